/** The statements that make a NOMIS incident's rows what its payload says: one for all of them but the type history. */

const STAMPS = ['create_datetime', 'create_user_id', 'modify_datetime', 'modify_user_id'] as const
const ANSWER = [
  'response_date',
  'response_comment_text',
  'record_staff_id',
  'questionnaire_ans_id',
  'answer',
  'recorded_by',
] as const

interface Table {
  readonly name: string
  readonly key: readonly string[]
  /** Those behind the key that a payload brings. */
  readonly columns: readonly string[]
}

const INCIDENT: Table = {
  name: 'nomis.incident_cases',
  key: ['incident_case_id'],
  columns: [
    'reported_staff_id',
    'incident_date',
    'incident_time',
    'incident_status',
    'response_locked_flag',
    'incident_details',
    'report_date',
    'report_time',
    'agy_loc_id',
    'incident_title',
    'incident_type',
    'questionnaire_id',
    'follow_up_date',
    'staff_username',
    ...STAMPS,
  ],
}

/** In the order of {@link upsertStatement}'s parameters, from $2 on. */
const CHILDREN: readonly Table[] = [
  {
    name: 'nomis.incident_case_parties',
    key: ['incident_case_id', 'party_seq'],
    columns: [
      'participation_role',
      'staff_id',
      'comment_text',
      'outcome_code',
      'offender_no',
      'staff_username',
      'first_name',
      'last_name',
      ...STAMPS,
    ],
  },
  {
    name: 'nomis.incident_case_questions',
    key: ['incident_case_id', 'question_seq'],
    columns: ['questionnaire_que_id', 'question', ...STAMPS],
  },
  {
    name: 'nomis.incident_case_responses',
    key: ['incident_case_id', 'question_seq', 'response_seq'],
    columns: [...ANSWER, ...STAMPS],
  },
  {
    name: 'nomis.incident_case_requirements',
    key: ['incident_case_id', 'requirement_seq'],
    columns: ['record_staff_id', 'record_date', 'comment_text', 'agy_loc_id', 'recorded_by', ...STAMPS],
  },
]

const HISTORY: Table = {
  name: 'nomis.incident_questionnaire_hty',
  key: ['incident_questionnaire_id'],
  columns: [
    'incident_case_id',
    'questionnaire_id',
    'change_date',
    'change_staff_id',
    'type',
    'staff_username',
    ...STAMPS,
  ],
}

const HISTORY_QUESTIONS: Table = {
  name: 'nomis.incident_que_question_hty',
  key: ['incident_questionnaire_id', 'question_seq'],
  columns: ['questionnaire_que_id', 'question', ...STAMPS],
}

const HISTORY_RESPONSES: Table = {
  name: 'nomis.incident_que_response_hty',
  key: ['incident_questionnaire_id', 'question_seq', 'response_seq'],
  columns: [...ANSWER, ...STAMPS],
}

const all = ({ key, columns }: Table): string => [...key, ...columns].join(', ')
const given = ({ name }: Table, parameter: number): string => `json_populate_recordset(null::${name}, $${parameter})`

function insert(table: Table, parameter: number): string {
  return `INSERT INTO ${table.name} (${all(table)}) SELECT ${all(table)} FROM ${given(table, parameter)}`
}

/** Inserts what is new and updates what is different, so that a payload that says nothing new writes nothing. */
function upsert(table: Table, parameter: number): string {
  const row = (of: string): string => `(${table.columns.map((column) => `${of}.${column}`).join(', ')})`
  return `${insert(table, parameter).replace(table.name, `${table.name} AS held`)}
    ON CONFLICT (${table.key.join(', ')}) DO UPDATE
      SET ${table.columns.map((column) => `${column} = EXCLUDED.${column}`).join(', ')}
    WHERE ${row('held')} IS DISTINCT FROM ${row('EXCLUDED')} RETURNING 1`
}

/** Foreign keys are checked when the statement ends, so the order of its parts is free. */
function removal({ name, key }: Table, parameter: number, where: string): string {
  const keys = key.map((column) => `held.${column}`).join(', ')
  return `DELETE FROM ${name} held WHERE ${where}
     AND (${keys}) NOT IN (SELECT ${key.join(', ')} FROM ${given({ name, key, columns: [] }, parameter)}) RETURNING 1`
}

/** $1 the incident, $2 on its {@link CHILDREN}, each a JSON array; then report id, label and kind of mapping. */
export const CREATE = `WITH
  incident AS (${insert(INCIDENT, 1)} RETURNING incident_case_id),
  ${CHILDREN.map((table, i) => `child${i} AS (${insert(table, i + 2)})`).join(',\n  ')}
  INSERT INTO migration.incident_mapping (incident_id, nomis_incident_id, label, mapping_type)
  SELECT $${CHILDREN.length + 2}, incident_case_id, $${CHILDREN.length + 3}, $${CHILDREN.length + 4} FROM incident
  ON CONFLICT DO NOTHING`

/** As {@link CREATE} without the mapping, then the incident's number; how many rows it wrote. */
export const UPDATE = `WITH
  incident AS (${upsert(INCIDENT, 1)}),
  ${CHILDREN.map((table, i) => `child${i} AS (${upsert(table, i + 2)})`).join(',\n  ')},
  ${CHILDREN.map((table, i) => `gone${i} AS (${removal(table, i + 2, `incident_case_id = $${CHILDREN.length + 2}`)})`).join(',\n  ')}
  SELECT (SELECT count(*) FROM incident) + ${CHILDREN.map((_, i) => `(SELECT count(*) FROM child${i}) + (SELECT count(*) FROM gone${i})`).join(' + ')} AS written`

/** $1 to $3 histories, their questions and responses; $4 the ids of all histories that there are to be. */
export const UPSERT_HISTORY = `WITH
  history AS (${upsert(HISTORY, 1)}),
  questions AS (${upsert(HISTORY_QUESTIONS, 2)}),
  responses AS (${upsert(HISTORY_RESPONSES, 3)}),
  gone_questions AS (${removal(HISTORY_QUESTIONS, 2, 'held.incident_questionnaire_id = ANY ($4::bigint[])')}),
  gone_responses AS (${removal(HISTORY_RESPONSES, 3, 'held.incident_questionnaire_id = ANY ($4::bigint[])')})
  SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM questions) + (SELECT count(*) FROM responses)
       + (SELECT count(*) FROM gone_questions) + (SELECT count(*) FROM gone_responses) AS written`

/** $1 the histories that go. */
export const DELETE_HISTORY = `WITH
  responses AS (DELETE FROM nomis.incident_que_response_hty WHERE incident_questionnaire_id = ANY ($1::bigint[])),
  questions AS (DELETE FROM nomis.incident_que_question_hty WHERE incident_questionnaire_id = ANY ($1::bigint[]))
  DELETE FROM nomis.incident_questionnaire_hty WHERE incident_questionnaire_id = ANY ($1::bigint[])`

const OF_HISTORIES = `incident_questionnaire_id IN
    (SELECT incident_questionnaire_id FROM nomis.incident_questionnaire_hty WHERE incident_case_id = $1)`

/** $1 the incident's number: everything of it, in one statement; how many incidents went. */
export const DELETE = `WITH
  ${[HISTORY_RESPONSES, HISTORY_QUESTIONS].map(({ name }, i) => `h${i} AS (DELETE FROM ${name} WHERE ${OF_HISTORIES})`).join(',\n  ')},
  ${[HISTORY, ...CHILDREN].map(({ name }, i) => `c${i} AS (DELETE FROM ${name} WHERE incident_case_id = $1)`).join(',\n  ')},
  mapping AS (DELETE FROM migration.incident_mapping WHERE nomis_incident_id = $1),
  incident AS (DELETE FROM nomis.incident_cases WHERE incident_case_id = $1 RETURNING 1)
  SELECT count(*) AS written FROM incident`
