/** One report, locked for a change: who may change it, whether it still is what the caller read, and which system has it. */
import type pg from 'pg'
import type { Caller } from './access.ts'
import { londonTime, type Clock } from './clock.ts'
import { ADMINISTER_REPORTS } from './roles.ts'
import { Refusal } from './refusal.ts'
import { isEditable } from './rules.ts'
import { inTransaction, type Sql } from './source.ts'

export interface Change {
  readonly source: pg.Pool
  readonly caller: Caller
  readonly clock: Clock
}

export interface OnReport extends Change {
  readonly id: string
  /** The report's modifiedAt as the caller read it: another one is a conflict. */
  readonly modifiedAt?: string | undefined
}

/** The report as it is locked. */
export interface Locked {
  readonly id: string
  readonly location: string
  readonly status: string
  readonly type: string
  /** London time. */
  readonly now: string
}

export interface NomisRecord {
  readonly incidentId: number
}

/** On the locked report of DPS. Refusals: notFound, also for another prison's, conflict, and readOnly for NOMIS's. */
export async function onReport<T>(change: OnReport, work: (sql: Sql, report: Locked) => Promise<T>): Promise<T> {
  return onReportOrNomis(change, () => Promise.reject(readOnly()), work)
}

/** The same, but a record of NOMIS goes to `onNomis`: only the admin role gets so far. */
export async function onReportOrNomis<T>(
  change: OnReport,
  onNomis: (sql: Sql, record: NomisRecord) => Promise<T>,
  work: (sql: Sql, report: Locked) => Promise<T>,
): Promise<T> {
  const { source, caller, clock, id, modifiedAt } = change
  return inTransaction(source, async (sql) => {
    const [report] = await sql<Locked & { modifiedAt: string }>(
      `SELECT id, location, status, type, modified_at AS "modifiedAt" FROM public.report WHERE id = $1 FOR UPDATE`,
      [id],
    )
    if (report === undefined) return onNomis(sql, await mustBeNomis(sql, id, change))
    mustSee(caller, report.location, 'notFound')
    if (modifiedAt !== undefined && modifiedAt !== report.modifiedAt) {
      throw new Refusal('conflict', 'Somebody else has changed this report since it was read')
    }
    return work(sql, { ...report, now: londonTime(clock()) })
  })
}

async function mustBeNomis(sql: Sql, id: string, { caller }: OnReport): Promise<NomisRecord> {
  const [record] = await sql<{ incidentId: number; location: string | null }>(
    `SELECT c.incident_case_id AS "incidentId", agy_loc_id AS location FROM migration.incident_mapping m
       JOIN nomis.incident_cases c ON c.incident_case_id = m.nomis_incident_id WHERE m.incident_id = $1 FOR UPDATE OF c`,
    [id.toLowerCase()],
  )
  if (record === undefined) throw notFound()
  mustSee(caller, record.location ?? '', 'notFound')
  if (!caller.roles.has(ADMINISTER_REPORTS)) throw readOnly()
  return record
}

/** Each change has a time of its own, so that it tells who has read which. */
export async function touch(sql: Sql, { id, now }: Locked, { username }: Caller): Promise<void> {
  await sql(
    `UPDATE public.report SET modified_in = 'DPS', modified_by = $2,
       modified_at = greatest($3::timestamp, modified_at + interval '1 microsecond') WHERE id = $1`,
    [id, username, now],
  )
}

export function mustBeEditable({ status }: Locked): void {
  if (isEditable(status)) return
  throw new Refusal('validation', `a report with status ${status} is not changed before it is reopened`)
}

/** Another prison's report is not there; making one for another prison is not allowed. */
export function mustSee({ caseloads }: Caller, location: string, otherwise: 'notFound' | 'forbidden'): void {
  if (caseloads === null || caseloads.has(location)) return
  throw otherwise === 'notFound' ? notFound() : new Refusal('forbidden', 'The prison is not one of the caller’s')
}

function notFound(): Refusal {
  return new Refusal('notFound', 'There is no report found')
}

function readOnly(): Refusal {
  return new Refusal('readOnly', 'The incident came from NOMIS and is read-only')
}
