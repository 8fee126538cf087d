/** Edits of a NOMIS record by hand: after its cut-off, by the admin role, each kept with what was there before. */
import type { Caller } from './access.ts'
import type { NomisRecord } from './report-lock.ts'
import type { UpdateReport } from './report-payloads.ts'
import { Refusal } from './refusal.ts'
import { readRollouts } from './rollout.ts'
import { ADMINISTER_REPORTS } from './roles.ts'
import { editVerdict, rolloutOf } from './rules.ts'
import { NOMIS_CODES } from '../transforms/codes.ts'
import type { Sql } from './source.ts'

export interface Edit {
  readonly caller: Caller
  /** London time. */
  readonly now: string
  readonly given: UpdateReport
  /** A DPS status. */
  readonly status?: string
}

/** As reports are written back (rule nomis.write-back); ON_HOLD was PIU too. */
const TO_NOMIS: Readonly<Record<string, string>> = {
  AWAITING_REVIEW: 'AWAN',
  ON_HOLD: 'INAN',
  NEEDS_UPDATING: 'INREQ',
  UPDATED: 'INAME',
  CLOSED: 'CLOSE',
  DUPLICATE: 'DUP',
}

/** Refusals: readOnly before the cut-off, validation for what NOMIS's tables cannot hold. */
export async function editNomisRecord(sql: Sql, { incidentId }: NomisRecord, edit: Edit): Promise<object> {
  const before = await read(sql, incidentId)
  const type = NOMIS_CODES.types.get(before.incident_type)?.type ?? before.incident_type
  const prison = before.agy_loc_id ?? ''
  const verdict = editVerdict({
    rollout: rolloutOf(await readRollouts(sql, prison), prison, type),
    on: edit.now.slice(0, 10),
    admin: edit.caller.roles.has(ADMINISTER_REPORTS),
  })
  if (verdict !== 'allowed') throw new Refusal('readOnly', 'The incident came from NOMIS and is read-only')
  const set = columnsOf(edit)
  if (set.length > 0) {
    await sql(
      `UPDATE nomis.incident_cases SET ${set.map(([column], i) => `${column} = $${i + 2}`).join(', ')} WHERE incident_case_id = $1`,
      [incidentId, ...set.map(([, value]) => value)],
    )
    await sql('INSERT INTO migration.edit (nomis_incident_id, edited_by, before, after) VALUES ($1, $2, $3, $4)', [
      incidentId,
      edit.caller.username,
      before,
      await read(sql, incidentId),
    ])
  }
  return answer(await read(sql, incidentId))
}

function columnsOf({ given, status, now, caller }: Edit): [string, unknown][] {
  const { title, description, location, incidentDateAndTime } = given
  if ((title?.length ?? 0) > 240 || (description?.length ?? 0) > 4_000 || (location?.length ?? 0) > 6) {
    throw new Refusal('validation', 'NOMIS’s tables do not hold a text of this length')
  }
  if (status !== undefined && TO_NOMIS[status] === undefined) {
    throw new Refusal('validation', 'NOMIS has no such status')
  }
  const time = incidentDateAndTime == null ? null : incidentDateAndTime.slice(0, 19)
  const columns: Record<string, unknown> = {
    incident_title: title,
    incident_details: description,
    agy_loc_id: location,
    incident_date: time === null ? null : `${time.slice(0, 10)}T00:00:00`,
    incident_time: time,
    incident_status: status === undefined ? null : TO_NOMIS[status],
  }
  const set = Object.entries(columns).filter(([, value]) => value != null)
  if (set.length === 0) return []
  return [...set, ['modify_datetime', now], ['modify_user_id', caller.username.slice(0, 32)]]
}

interface Row {
  readonly incident_case_id: number
  readonly incident_type: string
  readonly incident_status: string
  readonly agy_loc_id: string | null
  readonly [column: string]: unknown
}

async function read(sql: Sql, incidentId: number): Promise<Row> {
  const [found] = await sql<{ row: Row }>(
    `SELECT jsonb_strip_nulls(to_jsonb(c)) || jsonb_build_object('agy_loc_id', agy_loc_id) AS row
       FROM nomis.incident_cases c WHERE incident_case_id = $1`,
    [incidentId],
  )
  return found!.row
}

function answer(row: Row): object {
  const text = (column: string, otherwise: string): string => (row[column] as string | undefined) ?? otherwise
  const joined = (date: string, time: string): string => `${text(date, '').slice(0, 10)}T${text(time, '').slice(11)}`
  return {
    reportReference: String(row.incident_case_id),
    type: NOMIS_CODES.types.get(row.incident_type)?.type,
    status: NOMIS_CODES.statuses.get(row.incident_status)?.status,
    location: row.agy_loc_id ?? '',
    title: text('incident_title', 'NO DETAILS GIVEN'),
    description: text('incident_details', 'NO DETAILS GIVEN'),
    incidentDateAndTime: joined('incident_date', 'incident_time'),
    reportedAt: joined('report_date', 'report_time'),
    reportedBy: text('staff_username', 'unknown'),
    modifiedAt: text('modify_datetime', text('create_datetime', '')),
    modifiedBy: text('modify_user_id', 'unknown'),
    createdInNomis: true,
    lastModifiedInNomis: false,
  }
}
