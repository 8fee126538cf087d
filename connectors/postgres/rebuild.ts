/** The parent index out of the raw topic: a record's reference is its route. Never out of live tables. */
import { image, tableName, type Change } from '../../core/change.ts'
import type { Position } from '../../core/position.ts'
import { ROUTES } from './routes.ts'
import type { CaptureState } from './state.ts'

/** Fills an empty index with what the topic held at `position`; what is newer is made again by the replay. */
export async function rebuildIndex(
  state: CaptureState,
  history: AsyncIterable<readonly Change[]>,
  position: Position,
): Promise<void> {
  state.forgetParents()
  for await (const changes of history) {
    const entries: [string, string, string | null][] = []
    for (const change of changes) {
      if (change.op === 'm' || change.position > position) continue
      const name = tableName(change.table)
      const key = ROUTES.get(name)?.key
      if (key === undefined) continue
      entries.push([name, String(image(change)[key]), change.op === 'd' ? null : change.reference])
    }
    state.mergeParents(entries, '' as Position)
  }
  state.mergeParents([], position)
}
