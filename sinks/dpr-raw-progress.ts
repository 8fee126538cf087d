/** How far the flush at hand has come, partition by partition. */
import { isStreamed, type Change } from '../core/change.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import type { PartitionState } from './dpr-raw-state.ts'

export interface Progress {
  /** Counts a partition in although nothing has come from it yet. */
  know(partition: number): void
  /** False for a change that a flush, this one included, already covers. */
  isNew(change: Change): boolean
  /** As `isNew`, and covers it. */
  take(change: Change): boolean
  /** Whether the first snapshot's rows are all behind in this partition. */
  loaded(partition: number): boolean
  /** Whether they are in every partition. */
  allLoaded(): boolean
  /** Whether a partition stands inside a transaction. */
  midway(): boolean
  /** No partition can still bring a streamed change up to here. */
  passed(): Position
  partitions(): Record<string, PartitionState>
  /** The offsets since `published`: the first and the one after the last. */
  offsets(): Record<string, readonly [number, number]>
  published(): void
  /** Whether anything was taken since. */
  moved(): boolean
}

interface Partition {
  from: number
  next: number
  height: Position
  passed: Position
  loaded: boolean
  midway: boolean
}

export function progressFrom(state: Readonly<Record<string, PartitionState>>): Progress {
  const partitions = new Map<number, Partition>()
  for (const [partition, known] of Object.entries(state)) {
    partitions.set(Number(partition), { ...known, from: known.next, midway: false })
  }

  function of(partition: number): Partition {
    const found = partitions.get(partition)
    if (found !== undefined) return found
    const made = { from: 0, next: 0, height: BEGINNING, passed: BEGINNING, loaded: false, midway: false }
    partitions.set(partition, made)
    return made
  }

  return {
    know: of,
    isNew: (change) => change.offset >= of(change.partition).next,
    take: (change) => {
      const at = of(change.partition)
      if (change.offset < at.next) return false
      at.next = change.offset + 1
      const streamed = isStreamed(change)
      at.midway = streamed && !change.lastInTransaction
      if (!streamed && change.op !== 'm') return true
      if (change.position > at.passed) at.passed = change.position
      if (change.op === 'm') at.loaded ||= change.snapshotDone
      else at.height = change.position
      return true
    },
    loaded: (partition) => of(partition).loaded,
    allLoaded: () => partitions.size > 0 && [...partitions.values()].every((each) => each.loaded),
    midway: () => [...partitions.values()].some((each) => each.midway),
    passed: () =>
      [...partitions.values()].reduce<Position | null>(
        (lowest, { passed }) => (lowest === null || passed < lowest ? passed : lowest),
        null,
      ) ?? BEGINNING,
    partitions: () =>
      Object.fromEntries(
        [...partitions]
          .filter(([, each]) => each.next > 0)
          .map(([partition, { next, height, passed, loaded }]) => [partition, { next, height, passed, loaded }]),
      ),
    offsets: () =>
      Object.fromEntries(
        [...partitions]
          .filter(([, each]) => each.next > each.from)
          .map(([partition, { from, next }]) => [partition, [from, next] as const]),
      ),
    moved: () => [...partitions.values()].some((each) => each.next > each.from),
    published: () => {
      for (const each of partitions.values()) each.from = each.next
    },
  }
}
