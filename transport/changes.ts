/** The raw topic as its readers see it: Changes, each once, in whole transactions. */
import type { Change } from '../core/change.ts'
import { mapBatches, type Feed } from '../core/feed.ts'
import type { Places } from '../core/place.ts'
import { beforeTransaction, BEGINNING, type Position } from '../core/position.ts'
import { wholeTransactions } from '../core/transactions.ts'
import type { RawDecoder } from '../schemas/raw-decoder.ts'
import type { Received, ReadOptions } from './topic.ts'

/** A transaction that is larger is handed on in pieces. */
const TRANSACTION_BYTES = 32 << 20

export interface ChangeFeed {
  readonly feed: Feed<Change>
  /** How often partitions have been assigned: what was read before the last time comes again. */
  assignments(): number
}

/** `open` is `topic.read`, or a processor's: told the callback by which each assignment resets what is held. */
export function changeFeed(
  open: (assigned: NonNullable<ReadOptions['assigned']>) => Feed<Received>,
  decoder: RawDecoder,
  transactionBytes = TRANSACTION_BYTES,
): ChangeFeed {
  let assignments = 0
  let restart = (_partition: number, _height: Position): void => {}
  const records = open((places, partitions) => {
    assignments += 1
    for (const partition of partitions) restart(partition, heightOf(places, partition))
  })
  const whole = wholeTransactions(
    mapBatches(records, (items) => decoder.decode(items)),
    transactionBytes,
  )
  restart = whole.restart
  return { feed: whole.feed, assignments: () => assignments }
}

/** A transaction that is read again from its first record has not been seen. */
function heightOf(places: Places, partition: number): Position {
  const place = places.get(partition)
  if (place === undefined) return BEGINNING
  return place.resume === undefined ? place.height : beforeTransaction(place.height)
}
