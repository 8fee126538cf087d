/** What the end of a raw partition says: the topic is capture's own checkpoint. */
import type { Change, Marker } from './change.ts'
import type { Position } from './position.ts'

export interface Tail {
  /** The newest streamed position in the partition; '' when there is none. */
  readonly height: Position
  /** The last streamed change; null when there is none near the end. */
  readonly last: Change | null
  /** The newest marker; null when the partition has none. */
  readonly marker: Marker | null
  readonly empty: boolean
}
