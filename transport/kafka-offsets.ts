/**
 * What groups have committed.
 *
 * Asked with version 7, which kafkajs does not have: only from there on does a coordinator say that a transaction's
 * offset is not settled yet, instead of answering with the one before it.
 */
import { placeOf, type Place, type Places } from '../core/place.ts'
import { protocolReader } from './kafka-protocol-reader.ts'
import { compactString, NO_MORE_FIELDS, unsigned } from './kafka-protocol-writer.ts'
import { retrying, type Patience } from './kafka-retry.ts'
import type { Cluster } from './kafkajs.ts'
import { errorOf, sendOffsetFetch } from './kafkajs-requests.ts'

/**
 * Of the named partitions; those without a committed offset are missing. Waits while a transaction holds one of them,
 * so nobody asks for more than it needs: another partition's transaction may be waiting for who asks.
 */
export async function committedPlaces(
  cluster: Cluster,
  group: string,
  topic: string,
  partitions: readonly number[],
  patience: Patience,
): Promise<Places> {
  return retrying(
    async () => {
      const coordinator = await cluster.findGroupCoordinator({ groupId: group })
      return decodeOffsetFetch(await sendOffsetFetch(coordinator, encodeOffsetFetch(group, topic, partitions)))
    },
    { ...patience, mend: () => cluster.refreshMetadata() },
  )
}

function encodeOffsetFetch(group: string, topic: string, partitions: readonly number[]): Buffer {
  const indexes = Buffer.alloc(4 * partitions.length)
  for (const [i, partition] of partitions.entries()) indexes.writeInt32BE(partition, 4 * i)
  return Buffer.concat([
    NO_MORE_FIELDS, // of the header, which kafkajs writes without
    compactString(group),
    unsigned(1 + 1),
    compactString(topic),
    unsigned(partitions.length + 1),
    indexes,
    NO_MORE_FIELDS,
    Buffer.from([1]), // only settled offsets
    NO_MORE_FIELDS,
  ])
}

function decodeOffsetFetch(payload: Buffer): Places {
  const read = protocolReader(payload)
  const places = new Map<number, Place>()
  const failures: number[] = []
  read.skip(1 + 4) // no further fields of the header, throttle time
  for (let topics = read.unsigned() - 1; topics > 0; topics--) {
    read.compactString()
    for (let partitions = read.unsigned() - 1; partitions > 0; partitions--) {
      const partition = read.int32()
      const next = Number(read.int64())
      read.skip(4) // leader epoch
      const metadata = read.compactString()
      failures.push(read.int16())
      read.skip(1)
      if (next >= 0) places.set(partition, placeOf(next, metadata))
    }
    read.skip(1)
  }
  failures.push(read.int16())
  const error = failures.map(errorOf).find((each) => each !== null)
  if (error !== undefined) throw error
  return places
}
