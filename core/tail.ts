/** What the end of a raw partition says: the topic is capture's own checkpoint. */
import type { Change, Marker } from './change.ts'
import type { Position } from './position.ts'

export interface Tail {
  /** The newest streamed position in the partition; '' when there is none. */
  readonly height: Position
  /** The streamed change at the height; null when it is not near the end. */
  readonly last: Change | null
  /** The newest marker; null when the partition has none. */
  readonly marker: Marker | null
  readonly empty: boolean
}
