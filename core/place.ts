/** How far a reader is. */
import type { Sink } from './feed.ts'
import type { Position } from './position.ts'

/** In one partition: the next offset to read, and the highest streamed position before it ('' when there is none). */
export interface Place {
  readonly next: number
  readonly height: Position
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
