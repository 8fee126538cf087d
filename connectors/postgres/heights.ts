/** What the raw topic holds already: the topic is capture's own checkpoint. */
import type { Change, Tuple } from '../../core/change.ts'
import { BEGINNING, lsnOf, type Lsn, type Position } from '../../core/position.ts'
import type { Tail } from '../../core/tail.ts'
import { doubt, isOfEpoch } from './slot.ts'

export interface Heights {
  /** The newest streamed position of a partition; '' when it has none. */
  of(partition: number): Position
  /**
   * Whether a streamed change is to be written, which it then counts as. False when its partition holds it. IDENTITY when
   * the replay meets another history than the topic's: the source was restored to the past.
   */
  admit(change: Change<Tuple>): boolean
}

export interface HeightsOptions {
  readonly tails: readonly Tail[]
  /** Everything up to here is durable in every partition, and is not asked for. */
  readonly floor: Position
  readonly epoch: number
  /** Where the slot's replay begins. */
  readonly confirmed: Lsn
}

export function streamHeights({ tails, floor, epoch, confirmed }: HeightsOptions): Heights {
  const heights: Position[] = tails.map((tail) => tail.height)
  /** Ends of partitions that the replay must meet: proof that the source is still the one that wrote them. */
  const expected = new Map(
    tails
      .entries()
      .filter(([, { height }]) => height > floor && isOfEpoch(height, epoch) && lsnOf(height) >= confirmed),
  )

  function meet(tail: Tail, change: Change<Tuple>): void {
    const { last } = tail
    const same =
      change.position === tail.height &&
      (last === null || (last.txId === change.txId && last.committedAt === change.committedAt))
    if (!same) throw doubt('the source sends another history than the raw topic holds: it was restored to the past')
    expected.delete(change.partition)
  }

  return {
    of: (partition) => heights[partition] ?? BEGINNING,
    admit: (change) => {
      const tail = expected.get(change.partition)
      if (tail !== undefined && change.position >= tail.height) meet(tail, change)
      if (change.position <= (heights[change.partition] ?? '')) return false
      heights[change.partition] = change.position
      return true
    },
  }
}
