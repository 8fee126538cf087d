/** Reading a topic from offset to offset, as it stands. */
import type { Received } from '../core/message.ts'
import type { Topic } from '../transport/topic.ts'

export interface Scan {
  readonly topic: Topic
  /** By partition; the first offset kept where it is absent. */
  readonly from?: ReadonlyMap<number, number>
  /** Offsets before `from` whose records are taken too, by partition and rising. */
  readonly also?: ReadonlyMap<number, readonly number[]>
  readonly take: (records: readonly Received[]) => Promise<void>
  /** Asked before each page: true when nothing more is wanted. */
  readonly enough?: () => boolean
}

/** Records handed over at once: so few that what is made of them is garbage before the collector comes. */
const TAKEN = 250

/**
 * Takes every record up to the end that the topic has now, one partition after the other, outside any group: readers of
 * the same topic neither wait for each other nor leave a trace. Resolves to that end.
 */
export async function scanTopic({ topic, from, also, take, enough }: Scan): Promise<ReadonlyMap<number, number>> {
  const bounds = await topic.bounds()
  for (const [partition, { low, high }] of bounds.entries()) {
    await takeSingle(topic, partition, also?.get(partition) ?? [], take)
    let next = Math.max(low, from?.get(partition) ?? low)
    let page = pageOf(topic, partition, next, high)
    while (page !== null && enough?.() !== true) {
      const { records, next: behind } = await page
      next = behind
      page = pageOf(topic, partition, next, high) // comes while this one is taken
      for (let at = 0; at < records.length; at += TAKEN) await take(records.slice(at, at + TAKEN))
    }
  }
  return new Map(bounds.entries().map(([partition, { high }]) => [partition, high]))
}

/** Offsets that lie so near each other are read together: fewer records than this cost less than to ask again. */
const NEAR = 100

/** The records of some offsets: what lies far from all of them is not read. */
async function takeSingle(topic: Topic, partition: number, offsets: readonly number[], take: Scan['take']) {
  const wanted = new Set(offsets)
  for (const [from, end] of rangesOf(offsets)) {
    for (let at = from; at < end;) {
      const { records, next } = await topic.page(partition, at, end)
      at = next
      await take(records.filter((record) => wanted.has(record.offset)))
    }
  }
}

/** From the first of near offsets to behind the last. */
function rangesOf(offsets: readonly number[]): readonly (readonly [from: number, end: number])[] {
  const ranges: [number, number][] = []
  for (const offset of offsets) {
    const last = ranges.at(-1)
    if (last !== undefined && offset - last[1] < NEAR) last[1] = offset + 1
    else ranges.push([offset, offset + 1])
  }
  return ranges
}

function pageOf(topic: Topic, partition: number, next: number, end: number): ReturnType<Topic['page']> | null {
  if (next >= end) return null
  const page = topic.page(partition, next, end)
  page.catch(() => {}) // told by who awaits it, unless the one before could not be taken
  return page
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
