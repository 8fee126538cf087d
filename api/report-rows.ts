/** Reports of DPS as the incident database holds them, in the shapes in which they are answered. */
import type { z } from 'zod'
import { PARTS, type Part } from './report-payloads.ts'
import type { Question, ReportWithDetails } from './shapes.ts'
import type { Sql } from './source.ts'

export type Report = z.infer<typeof ReportWithDetails>

const list = (object: string, from: string): string =>
  `(SELECT coalesce(json_agg(json_build_object(${object}) ORDER BY sequence, id), '[]') FROM ${from})`

const partObject = ({ columns }: Part): string =>
  ["'sequence', sequence", ...Object.entries(columns).map(([property, column]) => `'${property}', ${column}`)].join(
    ', ',
  )

function partsOf(part: Part): string {
  return list(partObject(part), `public.${part.table} WHERE report_id = $1`)
}

const part = (path: string): string => partsOf(PARTS.find((each) => each.path === path)!)

const RESPONSE = `'code', code, 'response', response, 'label', label, 'sequence', sequence, 'responseDate', response_date,
  'additionalInformation', additional_information, 'recordedBy', recorded_by, 'recordedAt', recorded_at`
const QUESTION = `'code', code, 'question', question, 'label', label, 'sequence', sequence,
  'additionalInformation', additional_information`

const QUESTIONS = list(
  `${QUESTION}, 'responses', ${list(RESPONSE, 'public.response WHERE question_id = q.id')}`,
  'public.question q WHERE report_id = $1',
)

const EARLIER = list(
  `${QUESTION}, 'responses', ${list(RESPONSE, 'public.historical_response WHERE historical_question_id = q.id')}`,
  'public.historical_question q WHERE history_id = h.id',
)

const BASIC = `
  id, report_reference AS "reportReference", type, incident_date_and_time AS "incidentDateAndTime", location, title,
  description, reported_by AS "reportedBy", reported_at AS "reportedAt", status, created_at AS "createdAt",
  modified_at AS "modifiedAt", modified_by AS "modifiedBy", source = 'NOMIS' AS "createdInNomis",
  modified_in = 'NOMIS' AS "lastModifiedInNomis", duplicated_report_id AS "duplicatedReportId",
  last_user_action AS "latestUserAction", false AS incomplete`

const CHANGED = `'type', type, 'changedAt', changed_at, 'changedBy', changed_by`

/** As `/with-details?includeHistory=true` answers it. */
export async function readReport(sql: Sql, id: string): Promise<Report> {
  const [report] = await sql<Report>(
    `SELECT ${BASIC}, ${part('description-addendums')} AS "descriptionAddendums", ${QUESTIONS} AS questions,
       (SELECT coalesce(json_agg(json_build_object(${CHANGED}, 'nomisType', null, 'questions', ${EARLIER})
                                 ORDER BY changed_at, id), '[]') FROM public.history h WHERE report_id = $1) AS history,
       (SELECT coalesce(json_agg(json_build_object('status', status, 'changedAt', changed_at, 'changedBy', changed_by,
                                                   'nomisStatus', null) ORDER BY changed_at, id), '[]')
          FROM public.status_history WHERE report_id = $1) AS "historyOfStatuses",
       (SELECT coalesce(json_agg(json_build_object(${CHANGED}) ORDER BY changed_at, id), '[]')
          FROM public.history WHERE report_id = $1) AS "incidentTypeHistory",
       ${part('staff-involved')} AS "staffInvolved", ${part('prisoners-involved')} AS "prisonersInvolved",
       ${part('correction-requests')} AS "correctionRequests",
       coalesce(staff_involvement_done, true) AS "staffInvolvementDone",
       coalesce(prisoner_involvement_done, true) AS "prisonerInvolvementDone",
       null AS "nomisType", null AS "nomisStatus"
     FROM public.report WHERE id = $1`,
    [id],
  )
  return report!
}

export async function readParts(sql: Sql, id: string, which: Part): Promise<unknown[]> {
  const [found] = await sql<{ list: unknown[] }>(`SELECT ${partsOf(which)} AS list`, [id])
  return found!.list
}

export async function readQuestions(sql: Sql, id: string): Promise<z.infer<typeof Question>[]> {
  const [found] = await sql<{ list: z.infer<typeof Question>[] }>(`SELECT ${QUESTIONS} AS list`, [id])
  return found!.list
}
