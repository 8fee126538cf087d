/**
 * How protected each source column is. A column that is not here leaves the raw topic nowhere.
 *
 * An answer's text is a code: it is one of the question set's options, and what a person types beside it goes to
 * additional_information. A staff id counts as a username, a booking as a prisoner number; a person who is neither has
 * no counterpart in any output, so that id is withheld like a name.
 */
import type { Kind } from '../entity.ts'

type Columns = Readonly<Partial<Record<Kind, readonly string[]>>>

/** What NOMIS adds to each of its tables. */
const NOMIS_AUDIT: Columns = {
  date: ['create_datetime', 'modify_datetime', 'audit_timestamp'],
  username: [
    'create_user_id',
    'modify_user_id',
    'audit_user_id',
    'audit_client_user_id',
    'audit_client_ip_address',
    'audit_client_workstation_name',
  ],
  code: ['audit_module_name'],
  freeText: ['audit_additional_info'],
}

const CONSTANT: Columns = { key: ['code'], code: ['sequence', 'description'] }

/** By `schema.table`. */
const COLUMNS: Readonly<Record<string, readonly Columns[]>> = {
  'public.report': [
    {
      key: ['id', 'report_reference', 'duplicated_report_id'],
      freeText: ['title', 'description'],
      location: ['location'],
      code: [
        'type',
        'source',
        'status',
        'question_set_id',
        'modified_in',
        'staff_involvement_done',
        'prisoner_involvement_done',
        'last_user_action',
      ],
      date: ['incident_date_and_time', 'reported_at', 'created_at', 'modified_at'],
      username: ['reported_by', 'modified_by'],
    },
  ],
  'public.status_history': [
    { key: ['id', 'report_id'], code: ['status'], date: ['changed_at'], username: ['changed_by'] },
  ],
  'public.correction_request': [
    {
      key: ['id', 'report_id', 'original_report_reference'],
      freeText: ['description_of_change'],
      date: ['correction_requested_at'],
      username: ['correction_requested_by'],
      code: ['sequence', 'user_action', 'user_type'],
      location: ['location'],
    },
  ],
  'public.prisoner_involvement': [
    {
      key: ['id', 'report_id'],
      prisonerNumber: ['prisoner_number'],
      code: ['prisoner_role', 'outcome', 'sequence'],
      freeText: ['comment'],
      name: ['first_name', 'last_name'],
    },
  ],
  'public.staff_involvement': [
    {
      key: ['id', 'report_id'],
      username: ['staff_username'],
      code: ['staff_role', 'sequence'],
      freeText: ['comment'],
      name: ['first_name', 'last_name'],
    },
  ],
  'public.description_addendum': [
    {
      key: ['id', 'report_id'],
      code: ['sequence'],
      freeText: ['text'],
      date: ['created_at'],
      username: ['created_by'],
      name: ['first_name', 'last_name'],
    },
  ],
  'public.question': [
    {
      key: ['id', 'report_id'],
      code: ['sequence', 'code', 'question', 'label'],
      freeText: ['additional_information'],
    },
  ],
  'public.response': [
    {
      key: ['id', 'question_id'],
      code: ['sequence', 'response', 'code', 'label'],
      date: ['response_date', 'recorded_at'],
      freeText: ['additional_information'],
      username: ['recorded_by'],
    },
  ],
  'public.history': [{ key: ['id', 'report_id'], code: ['type'], date: ['changed_at'], username: ['changed_by'] }],
  'public.historical_question': [
    {
      key: ['id', 'history_id'],
      code: ['sequence', 'code', 'question', 'label'],
      freeText: ['additional_information'],
    },
  ],
  'public.historical_response': [
    {
      key: ['id', 'historical_question_id'],
      code: ['sequence', 'response', 'code', 'label'],
      date: ['response_date', 'recorded_at'],
      freeText: ['additional_information'],
      username: ['recorded_by'],
    },
  ],
  'public.constant_type': [CONSTANT, { code: ['active', 'family_code'] }],
  'public.constant_type_family': [CONSTANT],
  'public.constant_status': [CONSTANT, { code: ['ignore_downstream', 'definition'] }],
  'public.constant_prisoner_role': [CONSTANT],
  'public.constant_prisoner_outcome': [CONSTANT],
  'public.constant_staff_role': [CONSTANT],
  'public.constant_user_action': [CONSTANT],
  'public.constant_user_type': [CONSTANT],
  'public.analytical_marker': [{ key: ['response_code', 'marker_type'] }],

  'nomis.incident_cases': [
    {
      key: ['incident_case_id'],
      username: ['reported_staff_id', 'staff_username'],
      date: ['incident_date', 'incident_time', 'report_date', 'report_time', 'follow_up_date'],
      code: ['incident_status', 'response_locked_flag', 'incident_type', 'questionnaire_id'],
      freeText: ['incident_details', 'incident_title'],
      location: ['agy_loc_id'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_case_parties': [
    {
      key: ['incident_case_id', 'party_seq'],
      code: ['participation_role', 'outcome_code'],
      prisonerNumber: ['offender_book_id', 'offender_no'],
      username: ['staff_id', 'record_staff_id', 'staff_username'],
      name: ['person_id', 'first_name', 'last_name'],
      freeText: ['comment_text'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_case_questions': [
    { key: ['incident_case_id', 'question_seq'], code: ['questionnaire_que_id', 'question'] },
    NOMIS_AUDIT,
  ],
  'nomis.incident_case_responses': [
    {
      key: ['incident_case_id', 'question_seq', 'response_seq'],
      code: ['questionnaire_ans_id', 'answer'],
      date: ['response_date'],
      freeText: ['response_comment_text'],
      username: ['record_staff_id', 'recorded_by'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_case_requirements': [
    {
      key: ['incident_case_id', 'requirement_seq'],
      username: ['record_staff_id', 'recorded_by'],
      date: ['record_date'],
      freeText: ['comment_text'],
      location: ['agy_loc_id'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_questionnaire_hty': [
    {
      key: ['incident_questionnaire_id', 'incident_case_id'],
      code: ['questionnaire_id', 'type'],
      date: ['change_date'],
      username: ['change_staff_id', 'staff_username'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_que_question_hty': [
    { key: ['incident_questionnaire_id', 'question_seq'], code: ['questionnaire_que_id', 'question'] },
    NOMIS_AUDIT,
  ],
  'nomis.incident_que_response_hty': [
    {
      key: ['incident_questionnaire_id', 'question_seq', 'response_seq'],
      code: ['questionnaire_ans_id', 'answer'],
      date: ['response_date'],
      freeText: ['response_comment_text'],
      username: ['record_staff_id', 'recorded_by'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.incident_statuses': [
    {
      key: ['code'],
      code: ['description', 'list_seq', 'active_flag', 'standard_user_flag', 'enhanced_user_flag'],
      date: ['expiry_date'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.questionnaires': [
    {
      key: ['questionnaire_id'],
      code: ['questionnaire_category', 'code', 'active_flag', 'description', 'list_seq'],
      date: ['expiry_date'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.questionnaire_questions': [
    {
      key: ['questionnaire_que_id', 'questionnaire_id'],
      code: ['que_seq', 'description', 'list_seq', 'active_flag', 'multiple_answer_flag'],
      date: ['expiry_date'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.questionnaire_answers': [
    {
      key: ['questionnaire_ans_id', 'questionnaire_que_id', 'next_questionnaire_que_id'],
      code: [
        'ans_seq',
        'description',
        'list_seq',
        'active_flag',
        'date_required_flag',
        'comment_required_flag',
        'score',
      ],
      date: ['expiry_date'],
    },
    NOMIS_AUDIT,
  ],
  'nomis.questionnaire_roles': [
    {
      key: ['questionnaire_id', 'participation_role'],
      code: ['single_role_flag', 'active_flag', 'list_seq'],
      date: ['expiry_date'],
    },
    NOMIS_AUDIT,
  ],
}

const kinds = new Map(
  Object.entries(COLUMNS).map(([table, groups]) => [
    table,
    new Map(
      groups.flatMap((group) =>
        (Object.entries(group) as [Kind, readonly string[]][]).flatMap(([kind, columns]) =>
          columns.map((column): [string, Kind] => [column, kind]),
        ),
      ),
    ),
  ]),
)

/** The tables with classified columns, as `schema.table`. */
export const CLASSIFIED_TABLES: readonly string[] = [...kinds.keys()]

/** A source column's kind; undefined when nobody has classified it: it must not leave the raw topic. */
export function columnKind(schema: string, table: string, column: string): Kind | undefined {
  return kinds.get(`${schema}.${table}`)?.get(column)
}

/** A table's classified columns, with their kinds. */
export function classifiedColumns(table: string): readonly (readonly [column: string, kind: Kind])[] {
  return [...(kinds.get(table) ?? [])]
}
