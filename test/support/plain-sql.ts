/**
 * What the operational store must hold, said in plain SQL on the source, independently of the transforms. Each pair of
 * queries gives the same columns in the same order; the store lies in the source's own database.
 */
import type { TestDatabase } from './postgres.ts'

interface Pair {
  readonly what: string
  readonly source: string
  readonly store: string
}

const placeholder = (column: string): string => `NULLIF(${column}, 'NO DETAILS GIVEN')`
const legacy = (table: string): string => `nomis.${table} n WHERE n.incident_case_id < 10000000`

/** The details of each case cut at each entry, numbered from 1. */
const DETAILS = `SELECT n.incident_case_id AS id, n.incident_details AS details, e.part, e.n
  FROM nomis.incident_cases n, unnest(string_to_array(n.incident_details, 'User:')) WITH ORDINALITY e (part, n)
  WHERE n.incident_case_id < 10000000`
const WELL_FORMED = String.raw`p.part ~ '^[^,\n]*,[^\n]*? Date:\d\d-[A-Za-z]{3}-\d{4} \d\d:\d\d'`

function earlierVersions(model: string, type: string): string {
  return `SELECT t.reference, t.report_id, t.source_key, ${type}, t.changed_at_local, t.changed_by, q.source_key, q.sequence, q.code, q.label, a.source_key, a.response
    FROM prisons.incidents_type_change t LEFT JOIN prisons.incidents_question q ON q.type_change_id = t.id
    LEFT JOIN prisons.incidents_response a ON a.question_id = q.id AND a.of_earlier_type WHERE t.source = '${model}'`
}

export const PAIRS: readonly Pair[] = [
  {
    what: 'DPS reports',
    source: `SELECT id, report_reference, type, status, location, incident_date_and_time, reported_at, created_at, modified_at, modified_in,
               ${placeholder('title')}, ${placeholder('description')}, NULLIF(reported_by, 'unknown'), duplicated_report_id, last_user_action FROM public.report`,
    store: `SELECT id, reference, type, status, location, incident_date_and_time_local, reported_at_local, created_at_local, modified_at_local, system_of_record,
              title, description, reported_by, duplicated_report_id, last_user_action FROM prisons.incidents_report WHERE source = 'DPS'`,
  },
  {
    what: 'DPS prisoners',
    source: `SELECT r.report_reference, p.id::text, p.report_id, p.sequence, p.prisoner_number, p.first_name, p.last_name, p.prisoner_role, p.outcome, ${placeholder('p.comment')}
             FROM public.prisoner_involvement p JOIN public.report r ON r.id = p.report_id`,
    store: `SELECT reference, source_key, report_id, sequence, prisoner_number, first_name, last_name, prisoner_role, outcome, comment
            FROM prisons.incidents_prisoner_involvement WHERE source = 'DPS'`,
  },
  {
    what: 'DPS staff',
    source: `SELECT r.report_reference, s.id::text, s.report_id, s.sequence, NULLIF(s.staff_username, 'unknown'), s.first_name, s.last_name, s.staff_role, ${placeholder('s.comment')}
             FROM public.staff_involvement s JOIN public.report r ON r.id = s.report_id`,
    store: `SELECT reference, source_key, report_id, sequence, staff_username, first_name, last_name, staff_role, comment
            FROM prisons.incidents_staff_involvement WHERE source = 'DPS'`,
  },
  {
    what: 'DPS questions and responses',
    source: `SELECT r.report_reference, q.id::text, q.code, q.question, a.id::text, a.response, a.sequence, a.response_date, a.recorded_at
             FROM public.response a JOIN public.question q ON q.id = a.question_id JOIN public.report r ON r.id = q.report_id`,
    store: `SELECT q.reference, q.source_key, q.code, q.question, a.source_key, a.response, a.sequence, a.response_date, a.recorded_at_local
            FROM prisons.incidents_response a JOIN prisons.incidents_question q ON q.id = a.question_id WHERE a.source_table = 'public.response'`,
  },
  {
    what: 'DPS status changes',
    source: `SELECT r.report_reference, h.id::text, h.status, h.changed_at, NULLIF(h.changed_by, 'unknown')
             FROM public.status_history h JOIN public.report r ON r.id = h.report_id`,
    store: `SELECT reference, source_key, status, changed_at_local, changed_by FROM prisons.incidents_status_change WHERE source = 'DPS'`,
  },
  {
    what: 'NOMIS cases',
    source: `SELECT n.incident_case_id::text, n.incident_type, n.incident_status, n.agy_loc_id, n.incident_date::date + n.incident_time::time,
               n.report_date::date + n.report_time::time, ${placeholder('n.incident_title')} FROM ${legacy('incident_cases')}`,
    store: `SELECT reference, type_raw, status_raw, location, incident_date_and_time_local, reported_at_local, title
            FROM prisons.incidents_report WHERE source = 'NOMIS'`,
  },
  {
    what: 'NOMIS parties',
    source: `SELECT n.incident_case_id::text, n.party_seq, n.staff_id IS NULL, n.participation_role, n.offender_no, n.first_name, n.last_name FROM ${legacy('incident_case_parties')}`,
    store: `SELECT reference, sequence, true, prisoner_role_raw, prisoner_number, first_name, last_name FROM prisons.incidents_prisoner_involvement WHERE source = 'NOMIS'
            UNION ALL SELECT reference, sequence, false, staff_role_raw, NULL, first_name, last_name FROM prisons.incidents_staff_involvement WHERE source = 'NOMIS'`,
  },
  {
    what: 'NOMIS answers',
    source: `SELECT n.incident_case_id::text, n.question_seq, n.response_seq, n.answer, n.questionnaire_ans_id::text FROM ${legacy('incident_case_responses')}`,
    store: `SELECT a.reference, q.sequence, a.sequence, a.response, a.code
            FROM prisons.incidents_response a JOIN prisons.incidents_question q ON q.id = a.question_id WHERE a.source_table = 'nomis.incident_case_responses'`,
  },
  {
    what: 'DPS changes of type with their questions and responses',
    source: `SELECT r.report_reference, h.report_id, h.id::text, h.type, h.changed_at, NULLIF(h.changed_by, 'unknown'), q.id::text, q.sequence, q.code, q.label, a.id::text, a.response
             FROM public.history h JOIN public.report r ON r.id = h.report_id
             LEFT JOIN public.historical_question q ON q.history_id = h.id LEFT JOIN public.historical_response a ON a.historical_question_id = q.id`,
    store: earlierVersions('DPS', 't.type'),
  },
  {
    what: 'NOMIS changes of type with their questions and responses',
    source: `SELECT n.incident_case_id::text, c.id, n.incident_questionnaire_id::text, n.type, n.change_date, NULLIF(n.staff_username, 'unknown'),
               q.incident_questionnaire_id || '/' || q.question_seq, q.question_seq, q.questionnaire_que_id::text, q.question,
               a.incident_questionnaire_id || '/' || a.question_seq || '/' || a.response_seq, a.answer
             FROM nomis.incident_questionnaire_hty n JOIN prisons.incidents_report c ON c.source = 'NOMIS' AND c.reference = n.incident_case_id::text
             LEFT JOIN nomis.incident_que_question_hty q USING (incident_questionnaire_id)
             LEFT JOIN nomis.incident_que_response_hty a ON a.incident_questionnaire_id = q.incident_questionnaire_id AND a.question_seq = q.question_seq
             WHERE n.incident_case_id < 10000000`,
    store: earlierVersions('NOMIS', 't.type_raw'),
  },
  {
    what: 'DPS correction requests',
    source: `SELECT r.report_reference, c.id::text, c.report_id, c.sequence, ${placeholder('c.description_of_change')}, c.correction_requested_at, NULLIF(c.correction_requested_by, 'unknown'),
               c.location, c.user_action, c.original_report_reference, c.user_type
             FROM public.correction_request c JOIN public.report r ON r.id = c.report_id`,
    store: `SELECT reference, source_key, report_id, sequence, description_of_change, correction_requested_at_local, correction_requested_by,
              location, user_action, original_report_reference, user_type FROM prisons.incidents_correction_request WHERE source = 'DPS'`,
  },
  {
    what: 'NOMIS requirements',
    source: `SELECT n.incident_case_id::text, n.requirement_seq, ${placeholder('n.comment_text')}, n.record_date, NULLIF(n.recorded_by, 'unknown'), n.agy_loc_id FROM ${legacy('incident_case_requirements')}`,
    store: `SELECT reference, sequence, description_of_change, correction_requested_at_local, correction_requested_by, location
            FROM prisons.incidents_correction_request WHERE source = 'NOMIS'`,
  },
  {
    what: 'DPS additions to descriptions',
    source: `SELECT r.report_reference, d.id::text, d.report_id, d.sequence, d.text, d.created_at, NULLIF(NULLIF(d.created_by, 'INCIDENT_REPORTING_API'), 'unknown'), d.first_name, d.last_name
             FROM public.description_addendum d JOIN public.report r ON r.id = d.report_id`,
    store: `SELECT reference, source_key, report_id, sequence, text, created_at_local, created_by, first_name, last_name
            FROM prisons.incidents_description_addendum WHERE source = 'DPS'`,
  },
  {
    what: 'NOMIS descriptions',
    source: `SELECT p.id::text, ${placeholder(`CASE WHEN bool_and(p.n = 1 OR ${WELL_FORMED}) THEN min(p.part) FILTER (WHERE p.n = 1) ELSE p.details END`)}
             FROM (${DETAILS}) p GROUP BY p.id, p.details
             UNION ALL SELECT n.incident_case_id::text, NULL FROM ${legacy('incident_cases')} AND n.incident_details IS NULL`,
    store: `SELECT reference, description FROM prisons.incidents_report WHERE source = 'NOMIS'`,
  },
  {
    what: 'NOMIS additions to descriptions',
    source: `SELECT p.id::text, p.n - 2, split_part(p.part, ',', 1), (regexp_match(p.part, '^[^,]*,(.*?) Date:'))[1],
               to_timestamp((regexp_match(p.part, ' Date:(.{17})'))[1], 'DD-Mon-YYYY HH24:MI')::timestamp, regexp_replace(p.part, '^[^,]*,.*? Date:.{17}', '')
             FROM (SELECT *, bool_and(n = 1 OR ${WELL_FORMED}) OVER (PARTITION BY id) AS whole FROM (${DETAILS}) p) p WHERE p.whole AND p.n > 1`,
    store: `SELECT reference, sequence, last_name, first_name, created_at_local, text FROM prisons.incidents_description_addendum WHERE source = 'NOMIS'`,
  },
  {
    what: 'codes of DPS',
    source: `SELECT 'type', code, family_code, description, NULL, sequence, active, NULL::boolean FROM public.constant_type
             UNION ALL SELECT 'status', code, NULL, description, definition, sequence, NULL, ignore_downstream FROM public.constant_status
             ${[
               'type_family typeFamily',
               'prisoner_role prisonerRole',
               'prisoner_outcome prisonerOutcome',
               'staff_role staffRole',
               'user_action userAction',
               'user_type userType',
             ]
               .map((each) => each.split(' '))
               .map(
                 ([table, domain]) =>
                   `UNION ALL SELECT '${domain}', code, NULL, description, NULL, sequence, NULL, NULL FROM public.constant_${table}`,
               )
               .join(' ')}
             UNION ALL SELECT 'analyticalMarker', response_code, marker_type, NULL, NULL, NULL, NULL, NULL FROM public.analytical_marker`,
    store: `SELECT domain, code, parent_code, description, definition, sequence, active, ignore_downstream FROM prisons.incidents_reference_code WHERE source = 'DPS'`,
  },
  {
    what: 'codes of NOMIS',
    source: `SELECT 'nomis.status', code, NULL, description, list_seq, active_flag = 'Y' FROM nomis.incident_statuses
             UNION ALL SELECT 'nomis.questionnaire', questionnaire_id::text, NULL, description, list_seq, active_flag = 'Y' FROM nomis.questionnaires
             UNION ALL SELECT 'nomis.question', questionnaire_que_id::text, questionnaire_id::text, description, que_seq, active_flag = 'Y' FROM nomis.questionnaire_questions
             UNION ALL SELECT 'nomis.answer', questionnaire_ans_id::text, questionnaire_que_id::text, description, ans_seq, active_flag = 'Y' FROM nomis.questionnaire_answers
             UNION ALL SELECT 'nomis.role', participation_role, questionnaire_id::text, NULL, list_seq, active_flag = 'Y' FROM nomis.questionnaire_roles`,
    store: `SELECT domain, code, parent_code, description, sequence, active FROM prisons.incidents_reference_code WHERE source = 'NOMIS'`,
  },
]

/** How many rows each side has that the other has not. */
export async function differences(
  database: TestDatabase,
): Promise<{ what: string; rows: number; missing: number; extra: number }[]> {
  const found = []
  for (const { what, source, store } of PAIRS) {
    const [row] = await database.query<{ rows: number; missing: number; extra: number }>(
      `SELECT (SELECT count(*)::int FROM (${source}) s) AS rows,
              (SELECT count(*)::int FROM ((${source}) EXCEPT ALL (${store})) m) AS missing,
              (SELECT count(*)::int FROM ((${store}) EXCEPT ALL (${source})) e) AS extra`,
    )
    found.push({ what, ...row! })
  }
  return found
}
