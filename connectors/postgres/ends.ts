/**
 * How far the raw topic's partitions reached when the slot was last acknowledged: a topic that is shorter at the next
 * start, or has another number of partitions, is not the one that was written.
 */
import type { Tail } from '../../core/tail.ts'
import { doubt, isAdopted } from './slot.ts'
import type { CaptureState } from './state.ts'

/** How often they are noted, at most: with every marker or so. */
const NOTE_MS = 900

export interface Ends {
  /** IDENTITY when the topic was recreated, shortened or widened; not where an operator has accepted it as it is. */
  check(tails: readonly Tail[]): Promise<void>
  /** Notes where the topic ends now, once a second at most: before the slot is acknowledged. */
  note(): Promise<void>
}

export interface EndsOptions {
  readonly state: Pick<CaptureState, 'ends' | 'keepEnds'>
  /** By partition, the offset of the next record. */
  ends(): Promise<readonly number[]>
}

export function topicEnds({ state, ends }: EndsOptions): Ends {
  let notedAt = Number.NEGATIVE_INFINITY

  return {
    check: async (tails) => {
      const known = state.ends
      if (known.length === 0 || isAdopted(tails)) return
      const found = await ends()
      if (found.length !== known.length)
        throw doubt(`the raw topic has ${found.length} partitions, and had ${known.length}: incidents change theirs`)
      for (const [partition, end] of found.entries()) {
        if (end >= known[partition]!) continue
        throw doubt(
          `partition ${partition} of the raw topic ends at offset ${end}, and ended at ${known[partition]}: it was shortened or recreated`,
        )
      }
    },
    note: async () => {
      if (performance.now() - notedAt < NOTE_MS) return
      state.keepEnds(await ends())
      notedAt = performance.now()
    },
  }
}
