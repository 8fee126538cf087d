/** An incident of NOMIS into the incident database: `POST /sync/upsert` without HTTP (rule nomis.sync). */
import type pg from 'pg'
import type { NomisReport, NomisSyncRequest } from '../schemas/nomis-payload.ts'
import { nomisRows, type NomisRows } from '../schemas/nomis-rows.ts'
import { NOMIS_CODES } from '../transforms/codes.ts'
import { rowId } from '../transforms/identity.ts'
import { londonDate, type Clock } from './clock.ts'
import { CREATE, DELETE, UPDATE } from './nomis-statements.ts'
import { ensureReferences } from './nomis-references.ts'
import { insertHistories, upsertHistories } from './nomis-histories.ts'
import { Refusal } from './refusal.ts'
import { dripFeedVerdict, FIRST_DPS_REFERENCE, isCutOff, rolloutOf, type Rollout, type Verdict } from './rules.ts'
import { inTransaction, type Sql } from './source.ts'

export interface SyncOptions {
  readonly clock: Clock
  /** The migrator's run, kept with the mapping. */
  readonly label?: string | undefined
}

export interface Synced {
  readonly id: string
  readonly created: boolean
}

/** The id of the report that a NOMIS incident is, known before there is one. */
export function nomisReportId(incidentId: number): string {
  return rowId('nomis.incident_cases', String(incidentId))
}

/**
 * Makes or changes the incident and its mapping, all in one transaction. Refusals: validation, notFound, exists,
 * modifiedInDps, readOnly, cutOff, otherSystem. What says nothing new writes nothing.
 */
export async function upsertIncident(
  source: pg.Pool,
  request: NomisSyncRequest,
  options: SyncOptions,
): Promise<Synced> {
  const { id, initialMigration, incidentReport: report } = request
  if (id != null && initialMigration) {
    throw new Refusal('validation', 'an initial migration makes reports, so it has no id')
  }
  refuseUnknownCodes(report)
  const rows = nomisRows(report)
  try {
    return await inTransaction(source, async (sql) => {
      const held = await readHeld(sql, report.incidentId, { lock: id != null, prison: report.prison.code })
      if (held.dps) throw id == null ? exists(held.dpsId) : modifiedInDps()
      if (report.incidentId >= FIRST_DPS_REFERENCE) throw modifiedInDps()
      if (id == null) return create(sql, { request, rows, held, options })
      return change(sql, { request, rows, held, options })
    })
  } catch (error) {
    const { code, constraint } = error as { code?: string; constraint?: string }
    if (code === '23505' && constraint === 'incident_cases_pk') throw exists(nomisReportId(report.incidentId))
    throw error
  }
}

interface Turn {
  readonly request: NomisSyncRequest
  readonly rows: NomisRows
  readonly held: Held
  readonly options: SyncOptions
}

async function create(sql: Sql, { request, rows, held, options }: Turn): Promise<Synced> {
  const { incidentReport: report, initialMigration } = request
  const id = nomisReportId(report.incidentId)
  if (held.status !== null) throw exists(id)
  refuse(verdictOf({ request, rows, held, options }))
  await ensureReferences(sql, report)
  await sql(
    CREATE,
    [...parameters(rows), id, options.label ?? null, initialMigration ? 'MIGRATED' : 'NOMIS_CREATED'],
    'incidents sync create',
  )
  await insertHistories(sql, rows)
  return { id, created: true }
}

async function change(sql: Sql, turn: Turn): Promise<Synced> {
  const { request, rows, held } = turn
  const { incidentReport: report } = request
  const id = nomisReportId(report.incidentId)
  if (held.status === null || request.id!.toLowerCase() !== id)
    throw new Refusal('notFound', 'There is no report found')
  await ensureReferences(sql, report)
  const [changed] = await sql<{ written: number }>(
    UPDATE,
    [...parameters(rows), report.incidentId],
    'incidents sync update',
  )
  const written = changed!.written + (await upsertHistories(sql, report.incidentId, rows))
  // what is refused is a change: NOMIS may say again what is held
  if (written > 0) refuse(verdictOf(turn))
  return { id, created: false }
}

/** Takes an incident that NOMIS deleted out; false when there is none. Refusal: cutOff. */
export async function deleteIncident(source: pg.Pool, id: string, { clock }: SyncOptions): Promise<boolean> {
  return inTransaction(source, async (sql) => {
    const [mapped] = await sql<{ incident: number }>(
      'SELECT nomis_incident_id AS incident FROM migration.incident_mapping WHERE incident_id = $1',
      [id.toLowerCase()],
    )
    if (mapped === undefined) return false
    const held = await readHeld(sql, mapped.incident, { lock: true, prison: '' })
    if (held.status === null) return false
    // what is deleted has no status any more: only the cut-off counts
    const rollout = rolloutOf(held.rollouts, held.prison ?? '', dpsType(held.type!))
    refuse(isCutOff(rollout, londonDate(clock())) ? 'cutOff' : 'allowed')
    const [gone] = await sql<{ written: number }>(DELETE, [mapped.incident])
    return gone!.written > 0
  })
}

function parameters({ incident, parties, questions, responses, requirements }: NomisRows): string[] {
  return [[incident], parties, questions, responses, requirements].map((rows) => JSON.stringify(rows))
}

interface Held {
  /** Whether DPS has a report of this reference. */
  readonly dps: boolean
  readonly dpsId: string | null
  /** Of the legacy row; null when there is none. */
  readonly status: string | null
  readonly prison: string | null
  readonly type: string | null
  readonly rollouts: readonly Rollout[]
}

/** What is there, with its row locked where it is to change. */
async function readHeld(
  sql: Sql,
  incidentId: number,
  { lock, prison }: { lock: boolean; prison: string },
): Promise<Held> {
  const [held] = await sql<{
    dpsId: string | null
    status: string | null
    prison: string | null
    type: string | null
    rollouts: Rollout[]
  }>(lock ? LOCK_HELD : READ_HELD, [incidentId, prison], lock ? 'incidents sync lock' : 'incidents sync read')
  return { ...held!, dps: held!.dpsId !== null }
}

const heldQuery = (lock: string): string => `
  WITH held AS (SELECT incident_status, agy_loc_id, incident_type FROM nomis.incident_cases
                 WHERE incident_case_id = $1::bigint ${lock})
  SELECT (SELECT id FROM public.report WHERE report_reference = $1::bigint::text) AS "dpsId",
         (SELECT incident_status FROM held) AS status, (SELECT agy_loc_id FROM held) AS prison,
         (SELECT incident_type FROM held) AS type,
         (SELECT coalesce(json_agg(json_build_object('prison', prison, 'type', type, 'dpsFrom', dps_from,
                                                     'cutOffMonths', cut_off_months)), '[]')
            FROM migration.rollout WHERE prison IN ($2, (SELECT agy_loc_id FROM held), '*ALL*')) AS rollouts`
const READ_HELD = heldQuery('')
const LOCK_HELD = heldQuery('FOR UPDATE')

/** By what is held, where something is: an incident does not get out of its cut-off by moving. */
function verdictOf({ request, held, options }: Turn): Verdict {
  const { incidentReport: report, initialMigration } = request
  return dripFeedVerdict({
    rollout: rolloutOf(held.rollouts, held.prison ?? report.prison.code, dpsType(held.type ?? report.type)),
    on: londonDate(options.clock()),
    heldStatus: held.status,
    givenStatus: report.status.code,
    createdOn: report.createDateTime.slice(0, 10),
    initial: initialMigration,
  })
}

function dpsType(nomisType: string): string {
  return NOMIS_CODES.types.get(nomisType)?.type ?? nomisType
}

const SAID: Readonly<Record<Exclude<Verdict, 'allowed'>, string>> = {
  cutOff: 'The time in which NOMIS may change incidents of this prison and type is over',
  readOnly: 'The incident is closed in NOMIS and does not change any more',
  otherSystem: 'Incidents of this prison and type are reported in DPS since then',
}

function refuse(verdict: Verdict): void {
  if (verdict !== 'allowed') throw new Refusal(verdict, SAID[verdict])
}

function exists(id: string | null): Refusal {
  return new Refusal('exists', 'Report already exists', id)
}

function modifiedInDps(): Refusal {
  return new Refusal('modifiedInDps', 'Report was last modified in DPS')
}

function refuseUnknownCodes(report: NomisReport): void {
  const known = (codes: ReadonlyMap<string, unknown>, code: string, what: string): void => {
    if (!codes.has(code)) throw new Refusal('validation', `Unknown NOMIS ${what} code`)
  }
  known(NOMIS_CODES.types, report.type, 'type')
  known(NOMIS_CODES.statuses, report.status.code, 'status')
  for (const party of report.staffParties) known(NOMIS_CODES.staffRoles, party.role.code, 'staff role')
  for (const party of report.offenderParties) {
    known(NOMIS_CODES.prisonerRoles, party.role.code, 'prisoner role')
    if (party.outcome != null) known(NOMIS_CODES.outcomes, party.outcome.code, 'outcome')
  }
  for (const { type } of report.history) known(NOMIS_CODES.types, type, 'type')
}
