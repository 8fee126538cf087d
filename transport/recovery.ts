/** What capture needs to know of the raw topic before it goes on. */
import { isStreamed, type Change, type Marker } from '../core/change.ts'
import { BEGINNING } from '../core/position.ts'
import type { Tail } from '../core/tail.ts'
import type { RawDecoder } from '../schemas/raw-decoder.ts'
import type { Topic } from './topic.ts'

/** How many records are read first; ten times more each time no marker is among them. */
const FIRST_LOOK = 200

/**
 * The ends of all partitions, in order. A capture that was replaced may have written behind its successor, so what counts
 * is the newest by position among the last records; `look` says how many of them at least.
 */
export function readTails(topic: Topic, decoder: RawDecoder, look = FIRST_LOOK): Promise<Tail[]> {
  return Promise.all(
    Array.from({ length: topic.partitions }, (_, partition) => readTail(topic, decoder, partition, look)),
  )
}

async function readTail(topic: Topic, decoder: RawDecoder, partition: number, look: number): Promise<Tail> {
  for (let count = look; ; count *= 10) {
    const records = await topic.tail(partition, count)
    const changes = await decoder.decode(records)
    const marker = newest(changes.filter((change): change is Marker => change.op === 'm'))
    if (marker === null && records.length === count) continue
    const height = changes.reduce(
      (highest, change) => (change.streamedTo > highest ? change.streamedTo : highest),
      BEGINNING,
    )
    const last = newest(changes.filter(isStreamed))
    return { height, last: last?.position === height ? last : null, marker, empty: records.length === 0 }
  }
}

/** Of two markers at one position the later knows more: where the source rests, the snapshot's end moves no position. */
function newest<C extends Change>(changes: readonly C[]): C | null {
  return changes.reduce<C | null>(
    (found, each) => (found === null || each.position >= found.position ? each : found),
    null,
  )
}

/** Everything in the topic as it stands, a partition after the other. */
export async function* readHistory(
  topic: Topic,
  decoder: RawDecoder,
  group: string,
): AsyncGenerator<readonly Change[]> {
  const bounds = await topic.bounds()
  const left = new Map(
    bounds
      .entries()
      .filter(([, { low, high }]) => high > low)
      .map(([partition, { high }]) => [partition, high]),
  )
  const stop = new AbortController()
  const start = new Map(bounds.entries().map(([partition, { low }]) => [partition, { next: low, height: BEGINNING }]))
  const feed = topic.read({ group, signal: stop.signal, aheadBytes: 8 << 20, places: async () => start })
  try {
    if (left.size === 0) return
    for await (const batch of feed) {
      yield await decoder.decode(batch.items)
      for (const record of batch.items) {
        const high = left.get(record.partition)
        if (high !== undefined && record.offset >= high - 1) left.delete(record.partition)
      }
      if (left.size === 0) return
    }
  } finally {
    stop.abort()
  }
}
