/** Reading a topic from offset to offset, as it stands. */
import type { Received } from '../core/message.ts'
import { BEGINNING } from '../core/position.ts'
import type { Topic } from '../transport/topic.ts'

const AHEAD_BYTES = 8 << 20

export interface Scan {
  readonly topic: Topic
  readonly group: string
  /** By partition; the first offset kept where it is absent. */
  readonly from?: ReadonlyMap<number, number>
  readonly take: (records: readonly Received[]) => Promise<void>
}

/** Takes every record up to the end that the topic has now, in order per partition. Resolves to that end. */
export async function scanTopic({ topic, group, from, take }: Scan): Promise<ReadonlyMap<number, number>> {
  const bounds = await topic.bounds()
  const ends = new Map(bounds.entries().map(([partition, { high }]) => [partition, high]))
  const start = new Map(
    bounds.entries().map(([partition, { low }]) => [partition, Math.max(low, from?.get(partition) ?? low)]),
  )
  const left = new Set([...start].filter(([partition, next]) => next < ends.get(partition)!).map(([p]) => p))
  if (left.size === 0) return ends
  const stop = new AbortController()
  const places = new Map(
    [...start].map(([partition, next]) => [
      partition,
      // what is already read of a partition is left out by starting at its end
      { next: left.has(partition) ? next : ends.get(partition)!, height: BEGINNING },
    ]),
  )
  const feed = topic.read({ group, signal: stop.signal, aheadBytes: AHEAD_BYTES, places: async () => places })
  let quiet = 0
  try {
    for await (const batch of feed) {
      const inside = batch.items.filter(
        ({ partition, offset }) => offset < ends.get(partition)! && offset >= places.get(partition)!.next,
      )
      if (inside.length > 0) await take(inside)
      for (const { partition, offset } of batch.items) if (offset >= ends.get(partition)! - 1) left.delete(partition)
      quiet = batch.items.length === 0 ? quiet + 1 : 0
      // the last offsets of a transactional topic are commit markers, which are no records: a keepalive says that no more comes
      if (left.size === 0 || quiet > 1) break
    }
  } finally {
    stop.abort()
  }
  return ends
}

/** Decodes records; where one cannot be read the others still are. */
export async function decodeReadable<T>(
  records: readonly Received[],
  decode: (records: readonly Received[]) => Promise<readonly T[]>,
  unreadable: (record: Received) => void,
): Promise<readonly { readonly record: Received; readonly item: T }[]> {
  try {
    const items = await decode(records)
    return items.map((item, i) => ({ record: records[i]!, item }))
  } catch {
    const found: { record: Received; item: T }[] = []
    for (const record of records) {
      try {
        const [item] = await decode([record])
        if (item !== undefined) found.push({ record, item })
      } catch {
        unreadable(record)
      }
    }
    return found
  }
}
