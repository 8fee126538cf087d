/**
 * How each table reaches its incident (rules dps.parents, nomis.tables). A table that is not here belongs to none and
 * is partitioned by its own primary key.
 */
export interface Route {
  /** The column that holds the incident's reference itself. */
  readonly reference?: string
  /** The column that names a row of `parent`. */
  readonly via?: string
  readonly parent?: string
  /** The column by which children name this table's rows: present on tables that are parents. */
  readonly key?: string
}

const ofReport: Route = { via: 'report_id', parent: 'public.report' }
const ofCase: Route = { reference: 'incident_case_id' }
const ofQuestionnaire: Route = { via: 'incident_questionnaire_id', parent: 'nomis.incident_questionnaire_hty' }

/** Parents stand before their children. */
export const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['public.report', { reference: 'report_reference', key: 'id' }],
  ['public.status_history', ofReport],
  ['public.correction_request', ofReport],
  ['public.prisoner_involvement', ofReport],
  ['public.staff_involvement', ofReport],
  ['public.description_addendum', ofReport],
  ['public.question', { ...ofReport, key: 'id' }],
  ['public.response', { via: 'question_id', parent: 'public.question' }],
  ['public.history', { ...ofReport, key: 'id' }],
  ['public.historical_question', { via: 'history_id', parent: 'public.history', key: 'id' }],
  ['public.historical_response', { via: 'historical_question_id', parent: 'public.historical_question' }],
  ['nomis.incident_cases', ofCase],
  ['nomis.incident_case_parties', ofCase],
  ['nomis.incident_case_questions', ofCase],
  ['nomis.incident_case_responses', ofCase],
  ['nomis.incident_case_requirements', ofCase],
  ['nomis.incident_questionnaire_hty', { ...ofCase, key: 'incident_questionnaire_id' }],
  ['nomis.incident_que_question_hty', ofQuestionnaire],
  ['nomis.incident_que_response_hty', ofQuestionnaire],
])

/** Tables of both models that belong to no incident (rules dps.constants, nomis.tables). */
export const REFERENCE_TABLES = [
  'public.constant_type',
  'public.constant_type_family',
  'public.constant_status',
  'public.constant_prisoner_role',
  'public.constant_prisoner_outcome',
  'public.constant_staff_role',
  'public.constant_user_action',
  'public.constant_user_type',
  'public.analytical_marker',
  'nomis.incident_statuses',
  'nomis.questionnaires',
  'nomis.questionnaire_questions',
  'nomis.questionnaire_answers',
  'nomis.questionnaire_roles',
] as const

/** Every table that the pipeline publishes, parents before children. */
export const CAPTURED_TABLES: readonly string[] = [...ROUTES.keys(), ...REFERENCE_TABLES]

/** The order in which a snapshot reads: a table's place among its parents and children; unknown tables come last. */
export function snapshotOrder(table: string): number {
  const at = CAPTURED_TABLES.indexOf(table)
  return at === -1 ? CAPTURED_TABLES.length : at
}
