/** How the last transaction of a transactional id ended: DescribeTransactions, which kafkajs does not have. */
import { protocolReader } from './kafka-protocol-reader.ts'
import { compactString, NO_MORE_FIELDS, unsigned } from './kafka-protocol-writer.ts'
import type { Broker } from './kafkajs.ts'
import { errorOf, sendDescribeTransactions } from './kafkajs-requests.ts'

export type TransactionEnd = 'commit' | 'abort'

/** What is under way ends like this, too: nobody but a successor can end it. */
const ENDS: Readonly<Record<string, TransactionEnd>> = {
  PrepareCommit: 'commit',
  CompleteCommit: 'commit',
  Ongoing: 'abort',
  PrepareEpochFence: 'abort',
  PrepareAbort: 'abort',
  CompleteAbort: 'abort',
}

const TRANSACTIONAL_ID_NOT_FOUND = 105

/** Null when there has been none since a producer took the id. */
export async function lastEnd(coordinator: Broker, transactionalId: string): Promise<TransactionEnd | null> {
  const request = Buffer.concat([
    NO_MORE_FIELDS, // of the header, which kafkajs writes without
    unsigned(1 + 1),
    compactString(transactionalId),
    NO_MORE_FIELDS,
  ])
  const read = protocolReader(await sendDescribeTransactions(coordinator, request))
  read.skip(1 + 4) // no further fields of the header, throttle time
  read.unsigned() // one transaction was asked for
  const code = read.int16()
  if (code === TRANSACTIONAL_ID_NOT_FOUND) return null
  const error = errorOf(code)
  if (error !== null) throw error
  read.compactString()
  return ENDS[read.compactString()] ?? null
}
