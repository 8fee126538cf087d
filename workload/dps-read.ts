/** A report of the incident reporting service, read back as the incident that it was written from. */
import { CURRENT, EARLIER, type QuestionTables } from './dps.ts'
import type { Incident } from './incidents.ts'
import type { Writer } from './writer.ts'

/** A report with its children as an incident, in the order of their sequence; null when there is none. */
export async function readReport(writer: Writer, id: string): Promise<(Incident & { reference: string }) | null> {
  const [row] = await writer.read<{ incident: Incident & { reference: string } }>(READ_REPORT, [id])
  return row?.incident ?? null
}

const QUESTIONS = (tables: QuestionTables, parent: string): string => `
  (SELECT coalesce(json_agg(json_build_object(
      'code', q.code, 'text', q.question, 'label', q.label, 'information', q.additional_information,
      'responses', (SELECT coalesce(json_agg(json_build_object(
            'code', a.code, 'text', a.response, 'label', a.label, 'date', a.response_date,
            'information', a.additional_information, 'at', a.recorded_at, 'by', a.recorded_by)
            ORDER BY a.sequence, a.id), '[]') FROM ${tables.response} a WHERE a.${tables.responseParent} = q.id))
      ORDER BY q.sequence, q.id), '[]') FROM ${tables.question} q WHERE q.${tables.parent} = ${parent})`

const READ_REPORT = `
  SELECT json_build_object(
    'reference', report_reference, 'type', type, 'status', status, 'location', location, 'title', title,
    'description', description, 'occurredAt', incident_date_and_time, 'reportedAt', reported_at,
    'createdAt', created_at, 'modifiedAt', modified_at, 'reportedBy', reported_by, 'modifiedBy', modified_by,
    'lastUserAction', last_user_action, 'statuses', '[]'::json,
    'prisoners', (SELECT coalesce(json_agg(json_build_object(
        'number', prisoner_number, 'firstName', first_name, 'lastName', last_name, 'role', prisoner_role,
        'outcome', outcome, 'comment', comment) ORDER BY sequence, id), '[]')
      FROM public.prisoner_involvement WHERE report_id = r.id),
    'staff', (SELECT coalesce(json_agg(json_build_object(
        'username', staff_username, 'firstName', first_name, 'lastName', last_name, 'role', staff_role,
        'comment', comment) ORDER BY sequence, id), '[]')
      FROM public.staff_involvement WHERE report_id = r.id),
    'corrections', (SELECT coalesce(json_agg(json_build_object(
        'text', description_of_change, 'at', correction_requested_at, 'by', correction_requested_by,
        'userAction', user_action, 'userType', user_type)
        ORDER BY sequence, id), '[]')
      FROM public.correction_request WHERE report_id = r.id),
    'addenda', (SELECT coalesce(json_agg(json_build_object(
        'text', text, 'at', created_at,
        'by', json_build_object('username', created_by, 'firstName', first_name, 'lastName', last_name))
        ORDER BY sequence, id), '[]')
      FROM public.description_addendum WHERE report_id = r.id),
    'questions', ${QUESTIONS(CURRENT, 'r.id')},
    'earlier', (SELECT coalesce(json_agg(json_build_object(
        'type', type, 'at', changed_at, 'by', changed_by, 'questions', ${QUESTIONS(EARLIER, 'h.id')})
        ORDER BY changed_at, id), '[]')
      FROM public.history h WHERE report_id = r.id)) AS incident
  FROM public.report r WHERE id = $1`
