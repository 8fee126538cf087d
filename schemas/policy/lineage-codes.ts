/** Which source columns the fields of a ReferenceCode are made of: a part of lineage.ts. */

/** The primary keys of the tables of codes. */
const CODE_KEYS = [
  ...constants('code'),
  'public.analytical_marker.response_code',
  'public.analytical_marker.marker_type',
  'nomis.incident_statuses.code',
  'nomis.questionnaires.questionnaire_id',
  'nomis.questionnaire_questions.questionnaire_que_id',
  'nomis.questionnaire_answers.questionnaire_ans_id',
  'nomis.questionnaire_roles.questionnaire_id',
  'nomis.questionnaire_roles.participation_role',
]

/** Per field: `schema.table.column`. */
export const REFERENCE_CODE: Readonly<Record<string, readonly string[]>> = {
  id: CODE_KEYS,
  sourceKey: CODE_KEYS,
  source: [],
  sourceTable: [],
  systemOfRecord: [],
  domain: [],
  code: [
    ...constants('code'),
    'public.analytical_marker.response_code',
    'nomis.incident_statuses.code',
    'nomis.questionnaires.questionnaire_id',
    'nomis.questionnaire_questions.questionnaire_que_id',
    'nomis.questionnaire_answers.questionnaire_ans_id',
    'nomis.questionnaire_roles.participation_role',
  ],
  parentCode: [
    'public.constant_type.family_code',
    'public.analytical_marker.marker_type',
    'nomis.questionnaire_questions.questionnaire_id',
    'nomis.questionnaire_answers.questionnaire_que_id',
    'nomis.questionnaire_roles.questionnaire_id',
  ],
  unifiedCode: [
    'nomis.incident_statuses.code',
    'nomis.questionnaires.code',
    'nomis.questionnaire_roles.participation_role',
  ],
  typeRaw: ['nomis.questionnaires.code'],
  category: ['nomis.questionnaires.questionnaire_category'],
  description: [
    ...constants('description'),
    'nomis.incident_statuses.description',
    'nomis.questionnaires.description',
    'nomis.questionnaire_questions.description',
    'nomis.questionnaire_answers.description',
  ],
  definition: ['public.constant_status.definition'],
  sequence: [
    ...constants('sequence'),
    'nomis.incident_statuses.list_seq',
    'nomis.questionnaires.list_seq',
    'nomis.questionnaire_questions.que_seq',
    'nomis.questionnaire_answers.ans_seq',
    'nomis.questionnaire_roles.list_seq',
  ],
  active: ['public.constant_type.active', ...nomisCodes('active_flag')],
  expiryDate: nomisCodes('expiry_date'),
  ignoreDownstream: ['public.constant_status.ignore_downstream'],
  standardUser: ['nomis.incident_statuses.standard_user_flag'],
  enhancedUser: ['nomis.incident_statuses.enhanced_user_flag'],
  multipleAnswers: ['nomis.questionnaire_questions.multiple_answer_flag'],
  nextCode: ['nomis.questionnaire_answers.next_questionnaire_que_id'],
  dateRequired: ['nomis.questionnaire_answers.date_required_flag'],
  commentRequired: ['nomis.questionnaire_answers.comment_required_flag'],
  score: ['nomis.questionnaire_answers.score'],
  singleRole: ['nomis.questionnaire_roles.single_role_flag'],
}

/** The same column of every constant table of DPS. */
function constants(column: string): string[] {
  return [
    'type',
    'type_family',
    'status',
    'prisoner_role',
    'prisoner_outcome',
    'staff_role',
    'user_action',
    'user_type',
  ].map((name) => `public.constant_${name}.${column}`)
}

/** The same column of every table of codes of NOMIS. */
function nomisCodes(column: string): string[] {
  return [
    'incident_statuses',
    'questionnaires',
    'questionnaire_questions',
    'questionnaire_answers',
    'questionnaire_roles',
  ].map((name) => `nomis.${name}.${column}`)
}
