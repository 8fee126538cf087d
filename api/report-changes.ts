/** What changes a report of DPS: each in one transaction, on the locked report (rule dps.writes). */
import { londonDate, londonTime, type Clock } from './clock.ts'
import { editNomisRecord } from './nomis-edits.ts'
import { readRollouts } from './rollout.ts'
import { Refusal } from './refusal.ts'
import {
  mustBeEditable,
  mustSee,
  onReport,
  onReportOrNomis,
  touch,
  type Change,
  type Locked,
  type OnReport,
} from './report-lock.ts'
import type { ChangeStatus, CreateReport, UpdateReport } from './report-payloads.ts'
import { readReport, type Report } from './report-rows.ts'
import { refusedTransition, reportedIn, rolloutOf } from './rules.ts'
import { inTransaction, type Sql } from './source.ts'
import type { z } from 'zod'

/** A draft with the next reference. Refusals: forbidden, otherSystem, validation. */
export async function createReport(change: Change, given: z.infer<typeof CreateReport>): Promise<Report> {
  const { source, caller, clock } = change
  const now = londonTime(clock())
  mustSee(caller, given.location, 'forbidden')
  mustBePast(given.incidentDateAndTime, now)
  return inTransaction(source, async (sql) => {
    await mustBeActive(sql, given.type)
    await mustBeReportedHere(sql, { ...given, clock })
    const id = uuidV7(clock())
    const by = caller.username
    await sql(
      `INSERT INTO public.report (id, report_reference, title, description, location, type, source, status,
         incident_date_and_time, reported_at, reported_by, created_at, modified_by, modified_at, modified_in,
         staff_involvement_done, prisoner_involvement_done)
       VALUES ($1, nextval('public.report_sequence')::text, $2, $3, $4, $5, 'DPS', 'DRAFT', $6, $7, $8, $7, $8, $7, 'DPS',
         false, false)`,
      [id, given.title, given.description, given.location, given.type, given.incidentDateAndTime, now, by],
    )
    await addStatus(sql, id, 'DRAFT', { now, by })
    return readReport(sql, id)
  })
}

/** Refusals: notFound, conflict, readOnly, validation, forbidden. What is given as null or left out stays. */
export async function updateReport(change: OnReport, given: UpdateReport): Promise<unknown> {
  return onReportOrNomis<unknown>(
    change,
    (sql, nomis) => editNomisRecord(sql, nomis, { caller: change.caller, now: londonTime(change.clock()), given }),
    async (sql, report) => {
      const columns: Record<string, unknown> = {
        incident_date_and_time: given.incidentDateAndTime,
        location: given.location,
        title: given.title,
        description: given.description,
        staff_involvement_done: given.staffInvolvementDone,
        prisoner_involvement_done: given.prisonerInvolvementDone,
      }
      const set = Object.entries(columns).filter(([, value]) => value != null)
      if (set.length > 0) mustBeEditable(report)
      if (given.incidentDateAndTime != null) mustBePast(given.incidentDateAndTime, report.now)
      if (given.location != null) mustSee(change.caller, given.location, 'forbidden')
      // unlike the others null takes the link away
      if (given.duplicatedReportId !== undefined) set.push(['duplicated_report_id', given.duplicatedReportId])
      if (set.length === 0) return readReport(sql, report.id)
      if (given.duplicatedReportId != null) await mustExist(sql, report, given.duplicatedReportId)
      await sql(
        `UPDATE public.report SET ${set.map(([column], i) => `${column} = $${i + 2}`).join(', ')} WHERE id = $1`,
        [report.id, ...set.map(([, value]) => value)],
      )
      await touch(sql, report, change.caller)
      return readReport(sql, report.id)
    },
  )
}

/** Along the service's flow (rule status.flow). The same status again changes nothing. */
export async function changeStatus(change: OnReport, given: ChangeStatus): Promise<unknown> {
  return onReportOrNomis<unknown>(
    change,
    (sql, nomis) =>
      editNomisRecord(sql, nomis, {
        caller: change.caller,
        now: londonTime(change.clock()),
        given: {},
        status: given.newStatus,
      }),
    async (sql, report) => {
      const { newStatus, correctionRequest } = given
      if (newStatus === report.status) return readReport(sql, report.id)
      const refused = refusedTransition({
        location: report.location,
        from: report.status,
        to: newStatus,
        action: correctionRequest?.userAction,
        by: correctionRequest?.userType,
        hasOriginal: correctionRequest?.originalReportReference != null,
      })
      if (refused !== null) throw new Refusal('validation', refused)
      const by = change.caller.username
      await sql('UPDATE public.report SET status = $2, last_user_action = $3 WHERE id = $1', [
        report.id,
        newStatus,
        correctionRequest?.userAction ?? null,
      ])
      await addStatus(sql, report.id, newStatus, { now: report.now, by })
      if (correctionRequest != null) {
        const { descriptionOfChange, location, userAction, originalReportReference, userType } = correctionRequest
        await sql(
          `INSERT INTO public.correction_request (report_id, description_of_change, correction_requested_at,
             correction_requested_by, location, user_action, original_report_reference, user_type, sequence)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce(max(sequence) + 1, 0)
             FROM public.correction_request WHERE report_id = $1`,
          [report.id, descriptionOfChange, report.now, by, location, userAction, originalReportReference, userType],
        )
      }
      await touch(sql, report, change.caller)
      return readReport(sql, report.id)
    },
  )
}

/** Questions go to the history; the prisoners involved go for good, the staff stays (rule dps.type-change). */
export async function changeType(change: OnReport, newType: string): Promise<Report> {
  return onReport(change, async (sql, report) => {
    if (newType === report.type) return readReport(sql, report.id)
    mustBeEditable(report)
    await mustBeActive(sql, newType)
    await mustBeReportedHere(sql, { location: report.location, type: newType, clock: change.clock })
    await sql(ARCHIVE, [report.id, report.type, report.now, change.caller.username])
    await sql(
      'DELETE FROM public.response WHERE question_id IN (SELECT id FROM public.question WHERE report_id = $1)',
      [report.id],
    )
    await sql('DELETE FROM public.question WHERE report_id = $1', [report.id])
    await sql('DELETE FROM public.prisoner_involvement WHERE report_id = $1', [report.id])
    await sql('UPDATE public.report SET type = $2 WHERE id = $1', [report.id, newType])
    await touch(sql, report, change.caller)
    return readReport(sql, report.id)
  })
}

const ARCHIVE = `
  WITH change AS (INSERT INTO public.history (report_id, type, changed_at, changed_by) VALUES ($1, $2, $3, $4) RETURNING id),
  asked AS (SELECT q.*, nextval(pg_get_serial_sequence('public.historical_question', 'id'))::int AS archived
              FROM (SELECT * FROM public.question WHERE report_id = $1 ORDER BY sequence, id) q),
  questions AS (INSERT INTO public.historical_question (id, history_id, sequence, code, question, additional_information, label)
                SELECT archived, change.id, sequence, code, question, additional_information, label FROM asked, change)
  INSERT INTO public.historical_response (historical_question_id, sequence, response, response_date,
    additional_information, recorded_at, recorded_by, code, label)
  SELECT asked.archived, r.sequence, r.response, r.response_date, r.additional_information, r.recorded_at, r.recorded_by,
         r.code, r.label
    FROM public.response r JOIN asked ON asked.id = r.question_id ORDER BY asked.archived, r.sequence, r.id`

/** What was made in error goes with everything of it; answers what it was. */
export async function deleteReport(change: OnReport): Promise<Report> {
  return onReport(change, async (sql, report) => {
    const was = await readReport(sql, report.id)
    await sql('DELETE FROM public.report WHERE id = $1', [report.id])
    return was
  })
}

async function addStatus(
  sql: Sql,
  id: string,
  status: string,
  { now, by }: { now: string; by: string },
): Promise<void> {
  await sql('INSERT INTO public.status_history (report_id, status, changed_at, changed_by) VALUES ($1, $2, $3, $4)', [
    id,
    status,
    now,
    by,
  ])
}

function mustBePast(time: string, now: string): void {
  if (time.slice(0, 19) > now.slice(0, 19)) {
    throw new Refusal('validation', 'incidentDateAndTime cannot be in the future')
  }
}

async function mustBeActive(sql: Sql, type: string): Promise<void> {
  const [found] = await sql<{ active: boolean }>(
    'SELECT coalesce(active, true) AS active FROM public.constant_type WHERE code = $1',
    [type],
  )
  if (found?.active !== true) throw new Refusal('validation', 'Inactive incident type')
}

async function mustBeReportedHere(
  sql: Sql,
  { location, type, clock }: { location: string; type: string; clock: Clock },
): Promise<void> {
  const rollout = rolloutOf(await readRollouts(sql, location), location, type)
  if (reportedIn(rollout, londonDate(clock())) === 'DPS') return
  throw new Refusal('otherSystem', 'This prison still reports incidents of this type in NOMIS')
}

async function mustExist(sql: Sql, report: Locked, original: string): Promise<void> {
  const [found] = await sql('SELECT 1 FROM public.report WHERE id = $1 AND id <> $2', [original, report.id])
  if (found === undefined) throw new Refusal('validation', 'duplicatedReportId is not another report')
}

/** Time first, so that new reports lie together in the index. */
function uuidV7(now: Date): string {
  const bytes = crypto.getRandomValues(Buffer.alloc(16))
  bytes.writeUIntBE(now.getTime(), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
