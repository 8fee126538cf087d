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
            FROM prisons.incidents_response a JOIN prisons.incidents_question q ON q.id = a.question_id WHERE a.source = 'DPS'`,
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
            FROM prisons.incidents_response a JOIN prisons.incidents_question q ON q.id = a.question_id WHERE a.source = 'NOMIS'`,
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
