/** From where the drip-feed reads NOMIS's changes. */
import type { NomisClient } from './client.ts'
import type { IncidentTarget } from './target.ts'

/**
 * Notes where NOMIS is now, unless that is noted already. Before the first incident is brought over, whether or not a
 * drip-feed is to follow at once: what changes from then on is read again by it, however much later it begins.
 */
export async function noteWatermark({ nomis, target }: { nomis: NomisClient; target: IncidentTarget }): Promise<void> {
  const run = await target.begin('INCIDENTS_FOLLOW', 0)
  if (run.filter !== null) return
  const { upTo } = await nomis.changes(null)
  await target.update(run, { filter: upTo })
}
