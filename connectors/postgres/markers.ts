/**
 * Markers: once a second each partition is told how far the source was read. A marker that is durable moves the index,
 * then the slot; nothing else does.
 */
import type { Change, Marker, Tuple } from '../../core/change.ts'
import type { Batch } from '../../core/feed.ts'
import { position, type Lsn } from '../../core/position.ts'
import type { Heights } from './heights.ts'
import type { Parents } from './parents.ts'
import type { SourceIdentity } from './slot.ts'
import type { Reached } from './steps.ts'

const MARKER_MS = 1_000
const IDLE_MARKER_MS = 5_000

export interface Markers {
  /** Everything that was committed before `lsn` has been handed on; the source's clock then said `asOf` (µs since 1970). */
  reached(lsn: Lsn, asOf: number): void
  /** The newest LSN reached. */
  readonly lsn: Lsn
  /** Once a second while the source moves, every five where it does not. */
  due(): boolean
  /** One marker a partition. Its `ack` makes the index durable to there, then confirms the slot. */
  batch(): Batch<Change<Tuple>>
  readonly snapshotDone: boolean
  /** Every row of the first snapshot has been handed on: the next markers say so. */
  snapshotIsWhole(): void
}

export interface MarkerOptions {
  readonly slot: string
  readonly identity: SourceIdentity
  readonly epoch: number
  readonly partitions: number
  readonly from: Lsn
  readonly snapshotDone: boolean
  readonly heights: Heights
  readonly parents: Parents
  /** The tables that are stopped, as `schema.table`. */
  stopped(): readonly string[]
  /** What is to be kept of the topic, now that everything before a marker is durable in it. */
  noteTopic(): Promise<void>
  /** Tells the source that everything before is durable. */
  confirm(lsn: Lsn): void
  readonly reached?: Reached | undefined
}

export function slotMarkers(options: MarkerOptions): Markers {
  const { identity, epoch, heights, parents } = options
  let { snapshotDone } = options
  let lsn = options.from
  let asOf = Date.now() * 1000
  let marked: Lsn = 0
  let markedAt = 0

  return {
    get lsn() {
      return lsn
    },
    get snapshotDone() {
      return snapshotDone
    },
    snapshotIsWhole: () => {
      snapshotDone = true
    },
    reached: (to, clock) => {
      lsn = Math.max(lsn, to)
      asOf = Math.max(asOf, clock)
    },
    due: () => performance.now() - markedAt >= (lsn > marked ? MARKER_MS : IDLE_MARKER_MS),
    batch: () => {
      const to = lsn
      const at = position(epoch, to, 0)
      marked = to
      markedAt = performance.now()
      const stopped = options.stopped()
      const items = Array.from({ length: options.partitions }, (_, partition): Marker => ({
        op: 'm',
        slot: options.slot,
        systemIdentifier: identity.systemIdentifier,
        timeline: identity.timeline,
        snapshotDone,
        stopped,
        position: at,
        lsn: to,
        committedAt: asOf,
        txId: 0,
        partition,
        offset: -1,
        streamedTo: heights.of(partition),
        lastInTransaction: true,
        bytes: 0,
      }))
      return {
        items,
        ack: async () => {
          await options.noteTopic()
          options.reached?.('measured')
          parents.merge(at)
          options.reached?.('merged')
          options.confirm(to)
          options.reached?.('noted')
        },
      }
    },
  }
}
