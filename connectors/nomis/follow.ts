/** The drip-feed: what changes in NOMIS after the migration, until the cut-off. */
import type { NomisClient } from './client.ts'
import { bringOver, failure, inParallel } from './migrator.ts'
import type { Failed, IncidentTarget } from './target.ts'
import { noteWatermark } from './watermark.ts'
import { pause } from '../../core/pause.ts'

export interface FollowOptions {
  readonly nomis: NomisClient
  readonly target: IncidentTarget
  readonly concurrency?: number | undefined
  /** Between two questions that found nothing; 5 s unless given. */
  readonly pollMs?: number | undefined
  readonly signal: AbortSignal
  readonly progress?: (changed: number, refused: number) => void
}

/** Ends with the signal, or when every prison and type is past its cut-off: true then. */
export async function follow(options: FollowOptions): Promise<boolean> {
  const { nomis, target, concurrency = 8, pollMs = 5_000, signal, progress } = options
  await noteWatermark(options)
  const run = await target.begin('INCIDENTS_FOLLOW', 0)
  let since = run.filter
  let migrated = run.recordsMigrated
  let refused = 0
  while (!signal.aborted) {
    const changes = await nomis.changes(since)
    const ids = [...new Set(changes.ids)]
    const failed: Failed[] = []
    const recovered: number[] = []
    const mapped = await target.mapped(ids)
    await inParallel(ids, concurrency, async (id) => {
      const reportId = mapped.get(id) ?? null
      const gone = async () => (reportId === null ? ({ done: true } as const) : target.remove(reportId))
      const outcome = (await bringOver(options, { id, reportId, run, initialMigration: false })) ?? (await gone())
      if (outcome.done) recovered.push(id)
      else failed.push(failure(id, outcome))
    })
    migrated += recovered.length
    refused += failed.length
    since = changes.upTo
    if (ids.length > 0) {
      await target.update(run, { recordsMigrated: migrated, filter: since, failed, recovered })
      progress?.(migrated, refused)
    }
    if (changes.more) continue
    if (await target.isOver()) {
      await target.update(run, { status: 'COMPLETED' })
      return true
    }
    await pause(pollMs, signal)
  }
  return false
}
