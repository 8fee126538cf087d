/** One whole row of each source table that is in the unified model, as the raw topic gives it back, and changes of it. */
import { CAPTURED_TABLES, REFERENCE_TABLES } from '../../connectors/postgres/routes.ts'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import type { Marker, Op, Row, RowChange, Table, Value } from '../../core/change.ts'
import { position } from '../../core/position.ts'

const OIDS: readonly (readonly [type: RegExp, oid: number])[] = [
  [/^bool/, 16],
  [/^bigint/, 20],
  [/^int/, 23],
  [/^date/, 1082],
  [/^timestamp/, 1114],
  [/^uuid/, 2950],
  [/^text/, 25],
  [/./, 1043],
]

/** A source table as schemas/source defines it. */
export function sourceTable(name: string): Table {
  const found = SOURCE_TABLES.find((table) => `${table.schema}.${table.name}` === name)
  if (found === undefined) throw new TypeError(`schemas/source has no table ${name}`)
  return {
    schema: found.schema,
    name: found.name,
    key: found.key,
    columns: found.columns.map(({ name: column, type }) => ({
      name: column,
      oid: OIDS.find(([pattern]) => pattern.test(type))![1],
      modifier: -1,
    })),
  }
}

const REPORT_ID = '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b'

const AUDIT: Row = {
  create_datetime: '2012-03-04 10:20:30.123456',
  create_user_id: 'CREATOR_GEN',
  modify_datetime: '2012-03-05 11:21:31',
  modify_user_id: 'MODIFIER_GEN',
  audit_timestamp: '2012-03-05 11:21:31.5',
  audit_user_id: 'AUDIT_GEN',
  audit_module_name: 'OIDINCRS',
  audit_client_user_id: 'client',
  audit_client_ip_address: '10.1.2.3',
  audit_client_workstation_name: 'PC1',
  audit_additional_info: 'info',
}

/** A description, and what somebody added to it. */
const DETAILS = 'Found on the wing.User:Brown,Ann Date:05-JUL-2004 10:15Nothing else was found.'

const ROWS = {
  'public.report': {
    id: REPORT_ID,
    report_reference: '10000042',
    title: 'Assault: Jones A1234BC (Moorland)',
    description: 'A fight in the yard.',
    location: 'MDI',
    type: 'ASSAULT_5',
    source: 'DPS',
    status: 'AWAITING_REVIEW',
    incident_date_and_time: '2024-07-01 12:34:56.789',
    reported_at: '2024-01-15 09:00:00',
    reported_by: 'USER1_GEN',
    question_set_id: null,
    created_at: '2024-01-15 09:00:01.000001',
    modified_by: 'USER2_GEN',
    modified_at: '2024-01-16 10:00:00.5',
    modified_in: 'DPS',
    staff_involvement_done: true,
    prisoner_involvement_done: false,
    duplicated_report_id: null,
    last_user_action: 'REQUEST_REVIEW',
  },
  'public.prisoner_involvement': {
    id: 17,
    report_id: REPORT_ID,
    prisoner_number: 'A1234BC',
    prisoner_role: 'ASSAILANT',
    outcome: 'CHARGED_BY_POLICE',
    comment: 'Started it.',
    sequence: 2,
    first_name: 'John',
    last_name: 'Jones',
  },
  'public.staff_involvement': {
    id: 18,
    report_id: REPORT_ID,
    staff_username: 'STAFF1_GEN',
    staff_role: 'WITNESS',
    comment: 'Saw it.',
    sequence: 0,
    first_name: 'Mary',
    last_name: 'Smith',
  },
  'public.question': {
    id: 19,
    report_id: REPORT_ID,
    sequence: 1,
    code: '61279',
    question: 'WAS A SERIOUS INJURY SUSTAINED',
    additional_information: 'see below',
    label: 'Was a serious injury sustained?',
  },
  'public.response': {
    id: 20,
    question_id: 19,
    sequence: 0,
    response: 'YES',
    response_date: '2024-01-14',
    additional_information: 'broken arm',
    recorded_at: '2024-01-15 09:30:00',
    recorded_by: 'USER1_GEN',
    code: '218711',
    label: 'Yes',
  },
  'public.status_history': {
    id: 21,
    report_id: REPORT_ID,
    status: 'DRAFT',
    changed_at: '2024-01-15 09:00:01',
    changed_by: 'USER1_GEN',
  },
  'public.history': {
    id: 22,
    report_id: REPORT_ID,
    type: 'DISORDER_2',
    changed_at: '2024-01-15 09:20:00',
    changed_by: 'USER2_GEN',
  },
  'public.historical_question': {
    id: 23,
    history_id: 22,
    sequence: 1,
    code: '45001',
    question: 'WAS THIS A DEMONSTRATION',
    additional_information: 'on the yard',
    label: 'Was this a demonstration?',
  },
  'public.historical_response': {
    id: 24,
    historical_question_id: 23,
    sequence: 0,
    response: 'NO',
    response_date: '2024-01-13',
    additional_information: 'two people only',
    recorded_at: '2024-01-15 09:10:00',
    recorded_by: 'USER1_GEN',
    code: '182001',
    label: 'No',
  },
  'public.correction_request': {
    id: 25,
    report_id: REPORT_ID,
    description_of_change: 'Name the officer.',
    correction_requested_at: '2024-01-16 08:00:00',
    correction_requested_by: 'WARDEN_GEN',
    sequence: 3,
    location: 'MDI',
    user_action: 'REQUEST_DUPLICATE',
    original_report_reference: '10000041',
    user_type: 'DATA_WARDEN',
  },
  'public.description_addendum': {
    id: 26,
    report_id: REPORT_ID,
    sequence: 0,
    text: 'The officer was Smith.',
    created_at: '2024-01-17 08:30:00',
    created_by: 'USER1_GEN',
    first_name: 'Mary',
    last_name: 'Smith',
  },
  'public.constant_type': {
    code: 'ASSAULT_5',
    sequence: 5,
    description: 'Assault',
    active: true,
    family_code: 'ASSAULT',
  },
  'public.constant_type_family': { code: 'ASSAULT', sequence: 1, description: 'Assault' },
  'public.constant_status': {
    code: 'DUPLICATE',
    sequence: 8,
    description: 'Duplicate',
    ignore_downstream: true,
    definition: 'A copy of a report that exists already',
  },
  'public.constant_prisoner_role': { code: 'VICTIM', sequence: 18, description: 'Victim' },
  'public.constant_prisoner_outcome': { code: 'TRIAL', sequence: 16, description: 'Trial' },
  'public.constant_staff_role': { code: 'WITNESS', sequence: 16, description: 'Witness' },
  'public.constant_user_action': { code: 'HOLD', sequence: 8, description: 'Hold' },
  'public.constant_user_type': { code: 'DATA_WARDEN', sequence: 1, description: 'Data warden' },
  'public.analytical_marker': { response_code: '218711', marker_type: 'SERIOUS_INJURY' },
  'nomis.incident_cases': {
    incident_case_id: 247314,
    reported_staff_id: 485,
    incident_date: '2004-07-01 00:00:00',
    incident_time: '1970-01-01 21:45:00',
    incident_status: 'INAN',
    response_locked_flag: 'N',
    incident_details: DETAILS,
    report_date: '2004-07-02 00:00:00',
    report_time: '2004-07-05 08:15:00',
    agy_loc_id: 'BXI',
    incident_title: 'Find',
    incident_type: 'FIND0422',
    questionnaire_id: 3412,
    follow_up_date: '2004-08-01 00:00:00',
    ...AUDIT,
    staff_username: 'REPORTER_GEN',
  },
  'nomis.incident_case_parties': {
    incident_case_id: 247314,
    party_seq: 3,
    participation_role: 'VICT',
    offender_book_id: 1199,
    staff_id: null,
    person_id: null,
    comment_text: 'Hit on the arm.',
    outcome_code: 'POR',
    record_staff_id: 485,
    ...AUDIT,
    offender_no: 'B4321CD',
    staff_username: null,
    first_name: 'Peter',
    last_name: 'Brown',
  },
  'nomis.incident_case_questions': {
    incident_case_id: 247314,
    question_seq: 4,
    questionnaire_que_id: 44149,
    ...AUDIT,
    question: 'DESCRIBE THE FIND',
  },
  'nomis.incident_case_responses': {
    incident_case_id: 247314,
    question_seq: 4,
    response_seq: 7,
    response_date: '2004-07-01 00:00:00',
    response_comment_text: 'in the cell',
    record_staff_id: 485,
    questionnaire_ans_id: 182200,
    ...AUDIT,
    answer: 'DRUGS',
    recorded_by: 'REPORTER_GEN',
  },
  'nomis.incident_case_requirements': {
    incident_case_id: 247314,
    requirement_seq: 2,
    record_staff_id: 486,
    record_date: '2004-07-03 09:00:00',
    comment_text: 'Say where it was found.',
    agy_loc_id: 'BXI',
    ...AUDIT,
    recorded_by: 'WARDEN_GEN',
  },
  'nomis.incident_questionnaire_hty': {
    incident_questionnaire_id: 901,
    incident_case_id: 247314,
    questionnaire_id: 3411,
    change_date: '2004-07-02 12:00:00',
    change_staff_id: 486,
    ...AUDIT,
    type: 'ASSAULTS3',
    staff_username: 'CHANGER_GEN',
  },
  'nomis.incident_que_question_hty': {
    incident_questionnaire_id: 901,
    question_seq: 5,
    questionnaire_que_id: 44150,
    ...AUDIT,
    question: 'WERE THERE INJURIES',
  },
  'nomis.incident_que_response_hty': {
    incident_questionnaire_id: 901,
    question_seq: 5,
    response_seq: 8,
    response_date: '2004-07-01 00:00:00',
    response_comment_text: 'a bruise',
    record_staff_id: 485,
    questionnaire_ans_id: 182300,
    ...AUDIT,
    answer: 'YES',
    recorded_by: 'REPORTER_GEN',
  },
  'nomis.incident_statuses': {
    code: 'INAN',
    description: 'In Analysis',
    list_seq: 2,
    active_flag: 'Y',
    expiry_date: null,
    standard_user_flag: 'N',
    enhanced_user_flag: 'Y',
    ...AUDIT,
  },
  'nomis.questionnaires': {
    questionnaire_id: 3412,
    questionnaire_category: 'IR_TYPE',
    code: 'FIND0422',
    active_flag: 'Y',
    description: 'Finds',
    list_seq: 7,
    expiry_date: null,
    ...AUDIT,
  },
  'nomis.questionnaire_questions': {
    questionnaire_que_id: 44149,
    questionnaire_id: 3412,
    que_seq: 4,
    description: 'DESCRIBE THE FIND',
    list_seq: 40,
    active_flag: 'N',
    expiry_date: '2015-03-04 00:00:00',
    multiple_answer_flag: 'Y',
    ...AUDIT,
  },
  'nomis.questionnaire_answers': {
    questionnaire_ans_id: 182200,
    questionnaire_que_id: 44149,
    next_questionnaire_que_id: 44150,
    ans_seq: 2,
    description: 'DRUGS',
    list_seq: 20,
    active_flag: 'Y',
    expiry_date: null,
    date_required_flag: 'N',
    comment_required_flag: 'Y',
    score: 3,
    ...AUDIT,
  },
  'nomis.questionnaire_roles': {
    questionnaire_id: 3412,
    participation_role: 'PERP',
    single_role_flag: 'N',
    active_flag: 'Y',
    expiry_date: null,
    list_seq: 1,
    ...AUDIT,
  },
} as const satisfies Readonly<Record<string, Row>>

export type UnifiedTable = keyof typeof ROWS

/** The tables of this file. */
export const SAMPLED_TABLES = Object.keys(ROWS) as readonly UnifiedTable[]

/** A row of the table, with some cells of your own. */
export function sourceRow(table: UnifiedTable, cells: Readonly<Record<string, Value>> = {}): Row {
  return { ...ROWS[table], ...cells }
}

export interface ChangeParts {
  readonly before?: Row | null
  readonly after?: Row | null
  readonly reference?: string | null
  readonly op?: Op
  readonly ordinal?: number
}

/** The incident that the rows of this file belong to; null for those that belong to none. */
export function incidentOf(table: string): string | null {
  if (!CAPTURED_TABLES.includes(table) || REFERENCE_TABLES.some((each) => each === table)) return null
  return table.startsWith('nomis.') ? '247314' : '10000042'
}

/** A streamed change of a source table: what it does follows from its images unless `op` says it. */
export function rowChange(table: string, parts: ChangeParts): RowChange {
  const { before = null, after = null, reference = incidentOf(table), ordinal = 1 } = parts
  return {
    op: parts.op ?? (before === null ? 'c' : after === null ? 'd' : 'u'),
    table: sourceTable(table),
    reference,
    before,
    after,
    ...ORIGIN,
    position: position(1, 0x16b374d848, ordinal),
  }
}

export function marker(): Marker {
  return { op: 'm', slot: 'incidents', systemIdentifier: '7', timeline: 1, snapshotDone: true, stopped: [], ...ORIGIN }
}

const ORIGIN = {
  position: position(1, 0x16b374d848, 0),
  lsn: 0x16b374d000,
  committedAt: 1_721_000_000_123_456,
  txId: 4242,
  partition: 3,
  offset: 99,
  streamedTo: position(1, 0x16b374d848, 1),
  lastInTransaction: true,
  bytes: 100,
}
