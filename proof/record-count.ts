/** How many records a topic holds. Offsets do not tell: on Kafka the ends of transactions take some of them. */
import type { Topic } from '../transport/topic.ts'

/** Counts at each call what has come since the last one; what is not kept any more is not taken off. */
export function recordCounter(topic: Topic): () => Promise<number> {
  const places = new Map<number, number>()
  let counted = 0
  return async () => {
    for (const [partition, { low, high }] of (await topic.bounds()).entries()) {
      let from = Math.max(low, places.get(partition) ?? 0)
      while (from < high) {
        const { records, next } = await topic.page(partition, from, high)
        counted += records.length
        from = next
      }
      places.set(partition, from)
    }
    return counted
  }
}
