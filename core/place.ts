/** How far a reader is. */
import type { Sink } from './feed.ts'
import { BEGINNING, isPosition, type Position } from './position.ts'

/** In one partition: the next offset to read, and the highest streamed position before it ('' when there is none). */
export interface Place {
  readonly next: number
  readonly height: Position
  /**
   * The first record of a transaction that `next` lies inside of, where its reader needs to know all of it: reading goes
   * on from here, and what lies before `next` leaves nothing a second time.
   */
  readonly resume?: number
}

/** The offset that reading goes on from. */
export function startOf({ next, resume }: Place): number {
  return resume ?? next
}

/** All of a place but its offset as one text, for transports that keep a text beside an offset. */
export function placeNote({ height, resume }: Place): string {
  return resume === undefined ? height : `${height}@${resume}`
}

/** The inverse of {@link placeNote}; a text that is none says nothing. */
export function placeOf(next: number, note: string): Place {
  const [height = '', resume] = note.split('@')
  if (!isPosition(height)) return { next, height: BEGINNING }
  return resume === undefined ? { next, height } : { next, height, resume: Number(resume) }
}

/** By partition; a partition that is missing has not been read yet. */
export type Places = ReadonlyMap<number, Place>

/**
 * A sink that commits its place in the same transaction as its data: replaying the whole topic into it changes nothing.
 * It is given whole transactions; only the pieces of one that is too large for memory end without `lastInTransaction`,
 * and stay invisible until the rest has come.
 */
export interface PlacedSink<T> extends Sink<T> {
  /** Where to read on, of these partitions. */
  places(partitions: readonly number[]): Promise<Places>
  close(): Promise<void>
}
