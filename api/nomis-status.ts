/** What stands in the way of switching NOMIS's incident screens, endpoints and tables off, prison by prison. */
import { NOMIS_CODES } from '../transforms/codes.ts'
import { readRollouts } from './rollout.ts'
import { cutOffOf, isCutOff, NOMIS_OPEN_STATUSES, reportedIn, rolloutOf } from './rules.ts'
import type { Sql } from './source.ts'

export interface NomisStatusRow {
  readonly prison: string
  /** A DPS type. */
  readonly type: string
  readonly migrated: number
  /** Still worked on in NOMIS, as last heard. */
  readonly openInNomis: number
  readonly reportedIn: 'DPS' | 'NOMIS'
  /** The day; null while none is decided. */
  readonly cutOff: string | null
  readonly afterCutOff: boolean
  /** In the last comparison; null when there was none. */
  readonly differing: number | null
}

export interface MayGo {
  readonly may: boolean
  /** Why not, a sentence each. */
  readonly reasons: readonly string[]
}

export interface NomisStatus {
  readonly rows: readonly NomisStatusRow[]
  readonly migrated: number
  readonly openInNomis: number
  readonly failed: number
  readonly lastMigration: { migrationId: string; status: string; estimated: number; migrated: number } | null
  readonly lastComparison: { when: string; compared: number; differing: number } | null
  readonly screens: MayGo
  readonly endpoints: MayGo
  readonly tables: MayGo
}

/** `on` is London's date. */
export async function nomisStatus(sql: Sql, on: string): Promise<NomisStatus> {
  const rollouts = await readRollouts(sql)
  const [comparison] = await sql<{ id: number; when: string; compared: number; differing: number }>(
    `SELECT id, to_char(when_ended, 'YYYY-MM-DD"T"HH24:MI:SS') AS when, compared, differing FROM migration.comparison
      WHERE when_ended IS NOT NULL ORDER BY id DESC LIMIT 1`,
  )
  const differing = new Map(
    (
      await sql<{ prison: string; type: string; count: number }>(
        `SELECT coalesce(prison, '') AS prison, coalesce(type, '') AS type, count(*) FROM migration.difference
          WHERE comparison_id = $1 GROUP BY 1, 2`,
        [comparison?.id ?? -1],
      )
    ).map(({ prison, type, count }) => [`${prison}/${type}`, count]),
  )
  const held = await sql<{ prison: string; type: string; migrated: number; open: number }>(
    `SELECT coalesce(agy_loc_id, '') AS prison, incident_type AS type, count(*) AS migrated,
            count(*) FILTER (WHERE incident_status = ANY ($1)) AS open
       FROM nomis.incident_cases WHERE incident_case_id < 10000000 GROUP BY 1, 2 ORDER BY 1, 2`,
    [NOMIS_OPEN_STATUSES],
  )
  const rows = held.map(({ prison, type: nomisType, migrated, open }): NomisStatusRow => {
    const type = NOMIS_CODES.types.get(nomisType)?.type ?? nomisType
    const rollout = rolloutOf(rollouts, prison, type)
    return {
      prison,
      type,
      migrated,
      openInNomis: open,
      reportedIn: reportedIn(rollout, on),
      cutOff: cutOffOf(rollout),
      afterCutOff: isCutOff(rollout, on),
      differing: comparison === undefined ? null : (differing.get(`${prison}/${nomisType}`) ?? 0),
    }
  })
  const [counts] = await sql<{ failed: number }>('SELECT count(*) AS failed FROM migration.migration_failure')
  const [last] = await sql<NonNullable<NomisStatus['lastMigration']>>(
    `SELECT migration_id AS "migrationId", status, estimated_record_count AS estimated, records_migrated AS migrated
       FROM migration.migration_history WHERE migration_type = 'INCIDENTS' ORDER BY when_started DESC LIMIT 1`,
  )
  const facts = { rows, failed: counts!.failed, last: last ?? null, comparison: comparison ?? null }
  const screens = mayGo(screenReasons(facts))
  const endpoints = mayGo([...screens.reasons, ...endpointReasons(facts)])
  return {
    rows,
    migrated: sum(rows, (row) => row.migrated),
    openInNomis: sum(rows, (row) => row.openInNomis),
    failed: counts!.failed,
    lastMigration: last ?? null,
    lastComparison:
      comparison === undefined
        ? null
        : { when: comparison.when, compared: comparison.compared, differing: comparison.differing },
    screens,
    endpoints,
    tables: mayGo([...endpoints.reasons, ...tableReasons(facts)]),
  }
}

interface Facts {
  readonly rows: readonly NomisStatusRow[]
  readonly failed: number
  readonly last: NomisStatus['lastMigration']
  readonly comparison: { compared: number; differing: number } | null
}

/** Nobody works in NOMIS any more: every prison and type is past its cut-off. */
function screenReasons({ rows }: Facts): string[] {
  const inNomis = rows.filter((row) => row.reportedIn === 'NOMIS').length
  const before = rows.filter((row) => row.reportedIn === 'DPS' && !row.afterCutOff).length
  return [
    ...(inNomis > 0 ? [`${inNomis} prisons and types are still reported in NOMIS.`] : []),
    ...(before > 0 ? [`${before} prisons and types are before their cut-off.`] : []),
  ]
}

/** Nothing is left to be read: the migration is complete and without failures. */
function endpointReasons({ failed, last }: Facts): string[] {
  return [
    ...(last === null ? ['No migration has run.'] : []),
    ...(last !== null && last.status !== 'COMPLETED' ? ['The last migration is not complete.'] : []),
    ...(failed > 0 ? [`${failed} incidents could not be brought over.`] : []),
  ]
}

/** What is here is what NOMIS has: compared, without a difference. */
function tableReasons({ rows, comparison }: Facts): string[] {
  if (comparison === null) return ['NOMIS was never compared with the incident database.']
  const migrated = sum(rows, (row) => row.migrated)
  return [
    ...(comparison.differing > 0 ? [`${comparison.differing} incidents differ from NOMIS.`] : []),
    ...(comparison.compared < migrated ? ['Incidents were brought over after the last comparison.'] : []),
  ]
}

function mayGo(reasons: readonly string[]): MayGo {
  return { may: reasons.length === 0, reasons }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
