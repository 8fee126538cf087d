/** The raw topic by the rule of all its readers (core/transactions.ts), from its beginning on, as far as it goes each time. */
import type { Change } from '../../core/change.ts'
import type { Feed } from '../../core/feed.ts'
import { lsnOf, type Lsn } from '../../core/position.ts'
import { wholeTransactions } from '../../core/transactions.ts'
import type { RawDecoder } from '../../schemas/raw-decoder.ts'
import type { Topic } from '../../transport/topic.ts'

export interface ChaosReader {
  /** What has come since the last call, as a reader has it. The topic may be opened anew for each call. */
  readOn(topic: Topic, decoder: RawDecoder): Promise<readonly Change[]>
  /** Everything that the source committed before is in the topic. */
  readonly passed: Lsn
  /** Every partition says that the first snapshot lies before. */
  readonly snapshotDone: boolean
  /** Records that came again, and that the rule dropped. */
  readonly dropped: number
}

const TRANSACTION_BYTES = 256 << 20

export function chaosReader(partitions: number): ChaosReader {
  const next: number[] = Array.from({ length: partitions }, () => 0)
  let opened: { topic: Topic; decoder: RawDecoder } | null = null
  const markers: Lsn[] = next.map(() => 0)
  const done: boolean[] = next.map(() => false)
  let taken = 0
  let given = 0
  let atEnd = false

  async function* records(): Feed<Change> {
    while (true) {
      atEnd = true
      const { topic, decoder } = opened!
      const bounds = await topic.bounds()
      for (const [partition, { high }] of bounds.entries()) {
        while (next[partition]! < high) {
          const page = await topic.page(partition, next[partition]!, high)
          next[partition] = page.next
          const items = await decoder.decode(page.records)
          taken += items.length
          atEnd = false
          yield { items, ack: async () => {} }
        }
      }
      if (atEnd) yield { items: [], ack: async () => {} }
    }
  }

  const feed = wholeTransactions(records(), TRANSACTION_BYTES).feed[Symbol.asyncIterator]()
  return {
    get passed() {
      return Math.min(...markers)
    },
    get snapshotDone() {
      return done.every((each) => each)
    },
    get dropped() {
      return taken - given
    },
    readOn: async (topic, decoder) => {
      opened = { topic, decoder }
      const changes: Change[] = []
      do {
        const { value } = (await feed.next()) as { value: { items: readonly Change[] } }
        for (const change of value.items) changes.push(change)
      } while (!atEnd)
      given += changes.length
      for (const change of changes) {
        if (change.op !== 'm') continue
        markers[change.partition] = Math.max(markers[change.partition]!, lsnOf(change.position))
        done[change.partition] = change.snapshotDone
      }
      return changes
    },
  }
}
