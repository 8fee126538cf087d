/** The parent index out of the raw topic: a record's reference is its route. Never out of live tables. */
import { image, tableName, type Change } from '../../core/change.ts'
import type { Position } from '../../core/position.ts'
import { ROUTES } from './routes.ts'
import type { CaptureState } from './state.ts'

/**
 * Makes the index again as the topic held it at `position`; what is newer is made again by the replay. Of a parent that
 * stood in several incidents, and so in several partitions, the newest record counts, whichever is read first.
 */
export async function rebuildIndex(
  state: CaptureState,
  history: AsyncIterable<readonly Change[]>,
  position: Position,
): Promise<void> {
  const rebuild = state.rebuildParents()
  for await (const changes of history) {
    const entries: [string, string, string | null, Position][] = []
    for (const change of changes) {
      if (change.op === 'm' || change.position > position) continue
      const name = tableName(change.table)
      const key = ROUTES.get(name)?.key
      if (key === undefined) continue
      entries.push([name, String(image(change)[key]), change.op === 'd' ? null : change.reference, change.position])
    }
    rebuild.note(entries)
  }
  rebuild.finish(position)
}
