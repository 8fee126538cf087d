/** How far the flush at hand has come, partition by partition. */
import { isStreamed, tableName, type Change, type Marker, type RowChange } from '../core/change.ts'
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
  /** Whether some of them may be in what was taken since `published`, or are still to come. */
  loading(): boolean
  /**
   * Whether an insert may be of a row that was published and that the source has lost without a change: after a gap that
   * was accepted, or in a table that was stopped, until everything has been read again.
   */
  mayBeHeld(change: RowChange): boolean
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
  /** Whether it was loaded at `published`. */
  wasLoaded: boolean
  rereading: boolean
  stopped: readonly string[]
}

export function progressFrom(state: Readonly<Record<string, PartitionState>>): Progress {
  const partitions = new Map<number, Partition>()
  for (const [partition, known] of Object.entries(state)) {
    const { rereading = false, stopped = [] } = known
    const at = { ...known, rereading, stopped, from: known.next, midway: false, wasLoaded: known.loaded }
    partitions.set(Number(partition), at)
  }

  function of(partition: number): Partition {
    const found = partitions.get(partition)
    if (found !== undefined) return found
    const made = { ...NEW_PARTITION }
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
      if (change.op === 'm') told(at, change)
      else at.height = change.position
      return true
    },
    loaded: (partition) => of(partition).loaded,
    allLoaded: () => partitions.size > 0 && [...partitions.values()].every((each) => each.loaded),
    loading: () => partitions.size === 0 || [...partitions.values()].some((each) => !each.wasLoaded),
    mayBeHeld: (change) => {
      const { rereading, stopped } = of(change.partition)
      return rereading || (stopped.length > 0 && stopped.includes(tableName(change.table)))
    },
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
          .map(([partition, { next, height, passed, loaded, rereading, stopped }]) => [
            partition,
            {
              next,
              height,
              passed,
              loaded,
              ...(rereading ? { rereading } : {}),
              ...(stopped.length > 0 ? { stopped } : {}),
            },
          ]),
      ),
    offsets: () =>
      Object.fromEntries(
        [...partitions]
          .filter(([, each]) => each.next > each.from)
          .map(([partition, { from, next }]) => [partition, [from, next] as const]),
      ),
    moved: () => [...partitions.values()].some((each) => each.next > each.from),
    published: () => {
      for (const each of partitions.values()) {
        each.from = each.next
        each.wasLoaded = each.loaded
      }
    },
  }
}

const NEW_PARTITION: Partition = {
  from: 0,
  next: 0,
  height: BEGINNING,
  passed: BEGINNING,
  loaded: false,
  midway: false,
  wasLoaded: false,
  rereading: false,
  stopped: [],
}

function told(at: Partition, { snapshotDone, stopped }: Marker): void {
  at.rereading = at.loaded && !snapshotDone
  at.loaded ||= snapshotDone
  at.stopped = stopped
}
