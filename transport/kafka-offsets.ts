/**
 * What groups have committed.
 *
 * Asked with version 7, which kafkajs does not have: only from there on does a coordinator say that a transaction's
 * offset is not settled yet, instead of answering with the one before it.
 */
import { placeOf, type Place, type Places } from '../core/place.ts'
import { protocolReader } from './kafka-protocol-reader.ts'
import { retrying, type Patience } from './kafka-retry.ts'
import { errorOf, sendOffsetFetch, type Cluster } from './kafkajs.ts'

/** By partition; those without a committed offset are missing. */
export async function committedPlaces(
  cluster: Cluster,
  group: string,
  topic: string,
  partitions: number,
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

/** Lengths are one more than they are, so that 0 is null; every structure ends with its count of further fields. */
function encodeOffsetFetch(group: string, topic: string, partitions: number): Buffer {
  const indexes = Buffer.alloc(4 * partitions)
  for (let partition = 0; partition < partitions; partition++) indexes.writeInt32BE(partition, 4 * partition)
  return Buffer.concat([
    NO_MORE_FIELDS, // of the header, which kafkajs writes without
    compactString(group),
    unsigned(1 + 1),
    compactString(topic),
    unsigned(partitions + 1),
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

const NO_MORE_FIELDS = Buffer.from([0])

function unsigned(n: number): Buffer {
  const bytes: number[] = []
  let rest = n
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

function compactString(text: string): Buffer {
  return Buffer.concat([unsigned(Buffer.byteLength(text) + 1), Buffer.from(text)])
}
