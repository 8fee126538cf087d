/** What each run of the migrator did and what it could not bring over (rule service.runs). */
import type pg from 'pg'
import { Refusal } from './refusal.ts'
import { inTransaction, type Sql } from './source.ts'

export interface HistoryRecord {
  readonly migrationId: string
  readonly whenStarted: string
  readonly whenEnded: string | null
  readonly estimatedRecordCount: number
  readonly recordsMigrated: number
  readonly recordsFailed: number
  readonly migrationType: string
  readonly status: 'STARTED' | 'COMPLETED' | 'CANCELLED_REQUESTED' | 'CANCELLED'
  readonly filter: string | null
}

export interface FailureRecord {
  readonly nomisIncidentId: number
  /** Of the refusal, or what could not be reached. */
  readonly code: string
  /** Names no person and no value. */
  readonly reason: string
}

export interface HistoryUpdate {
  readonly recordsMigrated?: number | undefined
  readonly estimatedRecordCount?: number | undefined
  readonly filter?: string | undefined
  readonly status?: HistoryRecord['status'] | undefined
  readonly failed?: readonly FailureRecord[] | undefined
  /** Incidents that could be brought over after all. */
  readonly recovered?: readonly number[] | undefined
}

const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS'`
const COLUMNS = `migration_id AS "migrationId", to_char(when_started, ${TIME}) AS "whenStarted",
  to_char(when_ended, ${TIME}) AS "whenEnded", estimated_record_count AS "estimatedRecordCount",
  records_migrated AS "recordsMigrated", records_failed AS "recordsFailed", migration_type AS "migrationType", status, filter`

/** The run of this type that has not ended, else a new one: a migrator that was killed goes on with its own. */
export async function beginRun(source: pg.Pool, type: string, estimated: number): Promise<HistoryRecord> {
  return inTransaction(source, async (sql) => {
    await sql(
      `INSERT INTO migration.migration_history (migration_id, estimated_record_count, migration_type, status)
       VALUES (to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MS'), $1, $2, 'STARTED') ON CONFLICT DO NOTHING`,
      [estimated, type],
    )
    const [run] = await activeRuns(sql, type)
    return run!
  })
}

export function activeRuns(sql: Sql, type: string): Promise<HistoryRecord[]> {
  return sql<HistoryRecord & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM migration.migration_history
      WHERE migration_type = $1 AND status IN ('STARTED', 'CANCELLED_REQUESTED')`,
    [type],
  )
}

export function allRuns(sql: Sql, type: string): Promise<HistoryRecord[]> {
  return sql<HistoryRecord & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM migration.migration_history WHERE migration_type = $1 ORDER BY when_started DESC LIMIT 1000`,
    [type],
  )
}

export async function readRun(sql: Sql, id: string): Promise<HistoryRecord> {
  const [run] = await sql<HistoryRecord & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM migration.migration_history WHERE migration_id = $1`,
    [id],
  )
  if (run === undefined) throw new Refusal('notFound', 'There is no migration found')
  return run
}

/** Where the run is; the number of failures is counted. A run that has ended stays ended. */
export async function updateRun(source: pg.Pool, id: string, update: HistoryUpdate): Promise<HistoryRecord> {
  return inTransaction(source, async (sql) => {
    await readRun(sql, id)
    if (update.recovered !== undefined && update.recovered.length > 0) {
      await sql('DELETE FROM migration.migration_failure WHERE nomis_incident_id = ANY ($1)', [update.recovered])
    }
    if (update.failed !== undefined && update.failed.length > 0) {
      // of one that stands twice the last holds: one statement cannot change a row twice
      const failed = new Map(update.failed.map((each) => [each.nomisIncidentId, each]))
      await sql(
        `INSERT INTO migration.migration_failure (nomis_incident_id, migration_id, code, reason)
         SELECT f."nomisIncidentId", $1, f.code, f.reason
           FROM json_to_recordset($2) AS f ("nomisIncidentId" bigint, code text, reason text)
         ON CONFLICT (nomis_incident_id) DO UPDATE SET migration_id = EXCLUDED.migration_id, code = EXCLUDED.code,
           reason = EXCLUDED.reason, when_failed = now()`,
        [id, JSON.stringify([...failed.values()])],
      )
    }
    await sql(
      `UPDATE migration.migration_history SET
         records_migrated = coalesce($2, records_migrated), estimated_record_count = coalesce($3, estimated_record_count),
         filter = coalesce($4, filter),
         status = CASE WHEN status IN ('STARTED', 'CANCELLED_REQUESTED') THEN coalesce($5, status) ELSE status END,
         when_ended = CASE WHEN $5 IN ('COMPLETED', 'CANCELLED') THEN coalesce(when_ended, now()) ELSE when_ended END,
         records_failed = (SELECT count(*) FROM migration.migration_failure WHERE migration_id = $1)
       WHERE migration_id = $1`,
      [id, update.recordsMigrated, update.estimatedRecordCount, update.filter, update.status],
    )
    return readRun(sql, id)
  })
}

export function failures(sql: Sql): Promise<(FailureRecord & { migrationId: string })[]> {
  return sql<FailureRecord & { migrationId: string } & Record<string, unknown>>(
    `SELECT nomis_incident_id AS "nomisIncidentId", migration_id AS "migrationId", code, reason
       FROM migration.migration_failure ORDER BY 1 LIMIT 100000`,
  )
}
