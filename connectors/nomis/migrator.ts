/**
 * Brings every incident of NOMIS over, several at a time. Each is one transaction with its mapping, so a run that was
 * killed goes on with what has none. What cannot be brought over is listed with its reason and can be repeated alone.
 */
import { PipelineError } from '../../core/error.ts'
import type { NomisClient } from './client.ts'
import type { Failed, IncidentTarget, Outcome, Run } from './target.ts'
import { noteWatermark } from './watermark.ts'

export interface MigrationOptions {
  readonly nomis: NomisClient
  readonly target: IncidentTarget
  /** How many at a time; 8 unless given. */
  readonly concurrency?: number | undefined
  /** At most so many a second. */
  readonly rate?: number | undefined
  readonly progress?: (progress: MigrationProgress) => void
  readonly signal?: AbortSignal
}

export interface MigrationProgress {
  readonly total: number
  /** With those of earlier runs. */
  readonly migrated: number
  readonly failed: number
  /** DPS's own, whose copies NOMIS holds. */
  readonly skipped: number
  readonly perSecond: number
  /** Null while there is no rate. */
  readonly secondsLeft: number | null
}

export interface MigrationResult extends MigrationProgress {
  readonly migrationId: string
  /** False when it was stopped, or when pages moved under it: then run it again. */
  readonly complete: boolean
  readonly seconds: number
}

export const PAGE_SIZE = 1_000
/** NOMIS's numbers from here on are copies of DPS reports. */
const FIRST_COPY = 10_000_000
/** So many in a row that cannot be read are not each one's own fault. */
const MOST_SILENT = 20
const REPORT_EXISTS = 302
const MODIFIED_IN_DPS = 303

/** NOMIS_UNREACHABLE and TARGET_UNREACHABLE when even patience does not help; then run it again. */
export async function migrate(options: MigrationOptions): Promise<MigrationResult> {
  const { nomis, target, concurrency = 8, rate, signal } = options
  const began = performance.now()
  await noteWatermark(options)
  let { ids, total } = await nomis.page(0, PAGE_SIZE, 0)
  const run = await target.begin('INCIDENTS', total)
  const count = { migrated: 0, failed: 0, skipped: 0, fresh: 0 }
  const failed: Failed[] = []
  const recovered: number[] = []
  const known = new Set((await target.failures()).map(({ nomisIncidentId }) => nomisIncidentId))
  const turn = pacer(rate)
  let silent = 0

  const progress = (): MigrationProgress => {
    const perSecond = (count.fresh * 1000) / (performance.now() - began)
    const left = Math.max(0, total - count.migrated - count.failed - count.skipped)
    return {
      total,
      migrated: count.migrated,
      failed: count.failed,
      skipped: count.skipped,
      perSecond,
      secondsLeft: perSecond === 0 ? null : left / perSecond,
    }
  }
  const record = async (): Promise<Run> =>
    target.update(run, {
      recordsMigrated: count.migrated,
      estimatedRecordCount: total,
      failed: failed.splice(0),
      recovered: recovered.splice(0),
    })

  const one = async (id: number): Promise<void> => {
    await turn()
    if (signal?.aborted === true) return
    const outcome = await bringOver(options, { id, reportId: null, run, initialMigration: true })
    count.fresh += 1
    if (outcome === null || isDps(outcome)) count.skipped += 1
    else if (outcome.done) {
      count.migrated += 1
      if (known.has(id)) recovered.push(id)
    } else {
      count.failed += 1
      failed.push(failure(id, outcome))
      silent = outcome.reason.startsWith('NOMIS_UNREACHABLE') ? silent + 1 : 0
      if (silent === MOST_SILENT) {
        throw new PipelineError(
          'NOMIS_UNREACHABLE',
          `NOMIS's API gave none of ${MOST_SILENT} incidents in a row`,
          'Check the service, then run the command again: it goes on where it was.',
        )
      }
    }
    if (outcome === null || outcome.done) silent = 0
  }

  const ticker = setInterval(() => options.progress?.(progress()), 1_000)
  let cancelled = false
  try {
    let last = 0
    for (let page = 1; ids.length > 0 && signal?.aborted !== true && !cancelled; page++) {
      const own = ids.filter((id) => id < FIRST_COPY)
      count.skipped += ids.length - own.length
      last = ids.at(-1)!
      // the next page comes while this one is brought over
      const next = nomis.page(page, PAGE_SIZE, last)
      next.catch(() => {})
      const mapped = await target.mapped(own)
      count.migrated += mapped.size
      await inParallel(
        own.filter((id) => !mapped.has(id)),
        concurrency,
        one,
      )
      const { status } = await record()
      cancelled = status === 'CANCELLED_REQUESTED'
      ;({ ids, total } = await next)
    }
  } finally {
    clearInterval(ticker)
    await record().catch(() => {})
  }
  // what NOMIS deletes meanwhile moves its pages: who was passed over is found by the next run
  const all = count.migrated + count.failed + count.skipped >= total
  const complete = signal?.aborted !== true && !cancelled && all
  if (complete) await target.update(run, { status: 'COMPLETED' })
  if (cancelled) await target.update(run, { status: 'CANCELLED' })
  options.progress?.(progress())
  return { ...progress(), migrationId: run.migrationId, complete, seconds: (performance.now() - began) / 1000 }
}

/** One incident again, alone: made where it is missing, else changed. False when it could not be brought over. */
export async function migrateOnly(
  { nomis, target }: Pick<MigrationOptions, 'nomis' | 'target'>,
  id: number,
): Promise<Outcome> {
  const run = await target.begin('INCIDENTS_ONLY', 1)
  const reportId = (await target.mapped([id])).get(id) ?? null
  const outcome = (await bringOver({ nomis, target }, { id, reportId, run, initialMigration: reportId === null })) ?? {
    done: false,
    code: null,
    reason: 'NOMIS has no such incident',
  }
  await target.update(run, {
    status: 'COMPLETED',
    ...(outcome.done ? { recordsMigrated: 1, recovered: [id] } : { failed: [failure(id, outcome)] }),
  })
  return outcome
}

/** Null when NOMIS has it no more. What only waiting can mend is thrown. */
export async function bringOver(
  { nomis, target }: Pick<MigrationOptions, 'nomis' | 'target'>,
  given: { id: number; reportId: string | null; run: Run; initialMigration: boolean },
): Promise<Outcome | null> {
  const { id, reportId, run, initialMigration } = given
  try {
    const report = await nomis.incident(id)
    if (report === null) return null
    return await target.upsert({ id: reportId, initialMigration, report, migrationId: run.migrationId })
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code === 'TARGET_UNREACHABLE') throw error
    return { done: false, code: null, reason: `${error.code}: ${error.message}` }
  }
}

export function failure(id: number, outcome: Extract<Outcome, { done: false }>): Failed {
  const [, named] = /^([A-Z_]+): /.exec(outcome.reason) ?? []
  return {
    nomisIncidentId: id,
    code: outcome.code === null ? (named ?? 'UNKNOWN') : String(outcome.code),
    reason: outcome.reason.slice(0, 500),
  }
}

function isDps(outcome: Outcome): boolean {
  return !outcome.done && (outcome.code === REPORT_EXISTS || outcome.code === MODIFIED_IN_DPS)
}

/** The first that throws ends it, once those that have begun are done. */
export async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]()
  let stopped: { error: unknown } | null = null
  const worker = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true && stopped === null; next = left.next()) {
      try {
        await work(next.value)
      } catch (error) {
        stopped ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  if (stopped !== null) throw (stopped as { error: unknown }).error
}

/** Resolves when the next may begin. */
function pacer(rate: number | undefined): () => Promise<void> {
  if (rate === undefined) return () => Promise.resolve()
  let next = performance.now()
  return () => {
    next = Math.max(next + 1000 / rate, performance.now())
    return new Promise((resolve) => setTimeout(resolve, next - performance.now()))
  }
}
