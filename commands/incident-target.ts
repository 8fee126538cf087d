/**
 * The incident service's use cases in this process, on the incident database: the same functions that its routes call,
 * without a port, tokens and JSON in between.
 */
import type pg from 'pg'
import { londonDate } from '../api/clock.ts'
import { beginRun, failures, updateRun } from '../api/history-records.ts'
import { nomisStatus } from '../api/nomis-status.ts'
import { REFUSAL, Refusal } from '../api/refusal.ts'
import type { Sql } from '../api/source.ts'
import { deleteIncident, upsertIncident } from '../api/sync.ts'
import type { IncidentTarget, Outcome } from '../connectors/nomis/target.ts'
import { PipelineError } from '../core/error.ts'

export function embeddedTarget(source: pg.Pool, clock = () => new Date()): IncidentTarget {
  const sql: Sql = async (text, values) => (await source.query(text, [...(values ?? [])])).rows
  return {
    mapped: async (ids) => {
      const rows = await sql<{ nomis: number; id: string }>(
        'SELECT nomis_incident_id AS nomis, incident_id AS id FROM migration.incident_mapping WHERE nomis_incident_id = ANY ($1)',
        [ids],
      )
      return new Map(rows.map(({ nomis, id }) => [nomis, id]))
    },
    upsert: ({ id, initialMigration, report, migrationId }) =>
      outcomeOf(
        upsertIncident(source, { id, initialMigration, incidentReport: report }, { clock, label: migrationId }),
      ),
    remove: (id) => outcomeOf(deleteIncident(source, id, { clock })),
    begin: (type, estimated) => beginRun(source, type, estimated),
    update: (run, update) => updateRun(source, run.migrationId, update),
    failures: () => failures(sql),
    isOver: async () => {
      const { rows, screens } = await nomisStatus(sql, londonDate(clock()))
      return rows.length > 0 && screens.may
    },
  }
}

async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    await work
    return { done: true }
  } catch (error) {
    if (error instanceof Refusal) return { done: false, code: REFUSAL[error.kind].errorCode, reason: error.message }
    const { code = 'no code' } = error as { code?: string }
    // 22 and 23: this incident cannot be stored; everything else concerns all of them
    if (/^2[23]...$/.test(code)) return { done: false, code: null, reason: `the database refuses it (${code})` }
    throw new PipelineError(
      'TARGET_UNREACHABLE',
      `the incident database cannot be written (${code})`,
      'Check DATABASE_URL and the server; then run the command again, it goes on where it was.',
      { cause: error },
    )
  }
}
