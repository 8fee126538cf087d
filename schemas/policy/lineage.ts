/**
 * Which source columns each unified field is made of. A field must be at least as protected in every output as each of
 * these columns, so that no rule carries a value past the policy.
 */
import { ENTITIES, type Entity } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, type Kind } from '../entity.ts'
import { CLEARANCES, OUTPUTS, type Treatment } from './clearance.ts'
import { columnKind } from './columns.ts'
import { REFERENCE_CODE } from './lineage-codes.ts'

type Fields = Readonly<Record<string, readonly string[]>>

/** Per entity and field: `schema.table.column`; none where the rules write a constant. */
export const LINEAGE: Readonly<Record<Entity, Fields>> = {
  Report: {
    ...identity('public.report.id', 'nomis.incident_cases.incident_case_id'),
    reference: ['public.report.report_reference', 'nomis.incident_cases.incident_case_id'],
    systemOfRecord: ['public.report.modified_in'],
    createdIn: ['public.report.source'],
    type: ['public.report.type', 'nomis.incident_cases.incident_type'],
    typeFamily: ['public.report.type', 'nomis.incident_cases.incident_type'],
    typeRaw: ['public.report.type', 'nomis.incident_cases.incident_type'],
    status: ['public.report.status', 'nomis.incident_cases.incident_status'],
    statusRaw: ['public.report.status', 'nomis.incident_cases.incident_status'],
    ignoreDownstream: ['public.report.status', 'nomis.incident_cases.incident_status'],
    completed: ['public.report.status', 'nomis.incident_cases.incident_status'],
    location: ['public.report.location', 'nomis.incident_cases.agy_loc_id'],
    incidentDateAndTime: [
      'public.report.incident_date_and_time',
      'nomis.incident_cases.incident_date',
      'nomis.incident_cases.incident_time',
    ],
    incidentDateAndTimeLocal: [
      'public.report.incident_date_and_time',
      'nomis.incident_cases.incident_date',
      'nomis.incident_cases.incident_time',
    ],
    reportedAt: ['public.report.reported_at', 'nomis.incident_cases.report_date', 'nomis.incident_cases.report_time'],
    reportedAtLocal: [
      'public.report.reported_at',
      'nomis.incident_cases.report_date',
      'nomis.incident_cases.report_time',
    ],
    reportedBy: ['public.report.reported_by', 'nomis.incident_cases.staff_username'],
    title: ['public.report.title', 'nomis.incident_cases.incident_title'],
    description: ['public.report.description', 'nomis.incident_cases.incident_details'],
    placeholders: [
      'public.report.title',
      'public.report.description',
      'public.report.reported_by',
      'public.report.modified_by',
      'nomis.incident_cases.incident_title',
      'nomis.incident_cases.incident_details',
      'nomis.incident_cases.staff_username',
      'nomis.incident_cases.create_user_id',
      'nomis.incident_cases.modify_user_id',
    ],
    questionSetId: ['public.report.question_set_id', 'nomis.incident_cases.questionnaire_id'],
    createdAt: ['public.report.created_at', 'nomis.incident_cases.create_datetime'],
    createdAtLocal: ['public.report.created_at', 'nomis.incident_cases.create_datetime'],
    modifiedAt: [
      'public.report.modified_at',
      'nomis.incident_cases.modify_datetime',
      'nomis.incident_cases.create_datetime',
    ],
    modifiedAtLocal: [
      'public.report.modified_at',
      'nomis.incident_cases.modify_datetime',
      'nomis.incident_cases.create_datetime',
    ],
    modifiedBy: [
      'public.report.modified_by',
      'nomis.incident_cases.modify_user_id',
      'nomis.incident_cases.create_user_id',
    ],
    staffInvolvementDone: ['public.report.staff_involvement_done'],
    prisonerInvolvementDone: ['public.report.prisoner_involvement_done'],
    duplicatedReportId: ['public.report.duplicated_report_id'],
    lastUserAction: ['public.report.last_user_action'],
    responsesLocked: ['nomis.incident_cases.response_locked_flag'],
    followUpDate: ['nomis.incident_cases.follow_up_date'],
  },
  PrisonerInvolvement: {
    ...identity('public.prisoner_involvement.id', ...party('incident_case_id', 'party_seq')),
    systemOfRecord: [],
    reportId: ['public.prisoner_involvement.report_id', ...party('incident_case_id')],
    sequence: ['public.prisoner_involvement.sequence', ...party('party_seq')],
    prisonerNumber: ['public.prisoner_involvement.prisoner_number', ...party('offender_no')],
    firstName: ['public.prisoner_involvement.first_name', ...party('first_name')],
    lastName: ['public.prisoner_involvement.last_name', ...party('last_name')],
    prisonerRole: ['public.prisoner_involvement.prisoner_role', ...party('participation_role')],
    prisonerRoleRaw: ['public.prisoner_involvement.prisoner_role', ...party('participation_role')],
    outcome: ['public.prisoner_involvement.outcome', ...party('outcome_code')],
    outcomeRaw: ['public.prisoner_involvement.outcome', ...party('outcome_code')],
    comment: ['public.prisoner_involvement.comment', ...party('comment_text')],
  },
  StaffInvolvement: {
    ...identity('public.staff_involvement.id', ...party('incident_case_id', 'party_seq')),
    systemOfRecord: [],
    reportId: ['public.staff_involvement.report_id', ...party('incident_case_id')],
    sequence: ['public.staff_involvement.sequence', ...party('party_seq')],
    staffUsername: ['public.staff_involvement.staff_username', ...party('staff_username')],
    firstName: ['public.staff_involvement.first_name', ...party('first_name')],
    lastName: ['public.staff_involvement.last_name', ...party('last_name')],
    staffRole: ['public.staff_involvement.staff_role', ...party('participation_role')],
    staffRoleRaw: ['public.staff_involvement.staff_role', ...party('participation_role')],
    comment: ['public.staff_involvement.comment', ...party('comment_text')],
  },
  Question: {
    ...identity(
      'public.question.id',
      'public.historical_question.id',
      ...columns('nomis.incident_case_questions', 'incident_case_id', 'question_seq'),
      ...columns('nomis.incident_que_question_hty', 'incident_questionnaire_id', 'question_seq'),
    ),
    systemOfRecord: [],
    reportId: ['public.question.report_id', 'nomis.incident_case_questions.incident_case_id'],
    sequence: [...dpsQuestions('sequence'), ...nomisQuestions('question_seq')],
    code: [...dpsQuestions('code'), ...nomisQuestions('questionnaire_que_id')],
    question: [...dpsQuestions('question'), ...nomisQuestions('question')],
    label: [...dpsQuestions('label'), ...nomisQuestions('question')],
    additionalInformation: dpsQuestions('additional_information'),
    typeChangeId: [
      'public.historical_question.history_id',
      'nomis.incident_que_question_hty.incident_questionnaire_id',
    ],
  },
  Response: {
    ...identity(
      'public.response.id',
      'public.historical_response.id',
      ...columns('nomis.incident_case_responses', 'incident_case_id', 'question_seq', 'response_seq'),
      ...columns('nomis.incident_que_response_hty', 'incident_questionnaire_id', 'question_seq', 'response_seq'),
    ),
    systemOfRecord: [],
    questionId: [
      'public.response.question_id',
      'public.historical_response.historical_question_id',
      ...columns('nomis.incident_case_responses', 'incident_case_id', 'question_seq'),
      ...columns('nomis.incident_que_response_hty', 'incident_questionnaire_id', 'question_seq'),
    ],
    sequence: [...dpsResponses('sequence'), ...nomisResponses('response_seq')],
    code: [...dpsResponses('code'), ...nomisResponses('questionnaire_ans_id')],
    response: [...dpsResponses('response'), ...nomisResponses('answer')],
    label: [...dpsResponses('label'), ...nomisResponses('answer')],
    responseDate: [...dpsResponses('response_date'), ...nomisResponses('response_date')],
    additionalInformation: [...dpsResponses('additional_information'), ...nomisResponses('response_comment_text')],
    recordedBy: [...dpsResponses('recorded_by'), ...nomisResponses('recorded_by')],
    recordedAt: [...dpsResponses('recorded_at'), ...nomisResponses('create_datetime')],
    recordedAtLocal: [...dpsResponses('recorded_at'), ...nomisResponses('create_datetime')],
    ofEarlierType: [],
  },
  StatusChange: {
    ...identity('public.status_history.id', 'nomis.incident_cases.incident_case_id'),
    systemOfRecord: [],
    reportId: ['public.status_history.report_id', 'nomis.incident_cases.incident_case_id'],
    status: ['public.status_history.status', 'nomis.incident_cases.incident_status'],
    statusRaw: ['public.status_history.status', 'nomis.incident_cases.incident_status'],
    changedAt: [
      'public.status_history.changed_at',
      'nomis.incident_cases.report_date',
      'nomis.incident_cases.report_time',
    ],
    changedAtLocal: [
      'public.status_history.changed_at',
      'nomis.incident_cases.report_date',
      'nomis.incident_cases.report_time',
    ],
    changedBy: ['public.status_history.changed_by', 'nomis.incident_cases.staff_username'],
    synthetic: [],
  },
  TypeChange: {
    ...identity('public.history.id', 'nomis.incident_questionnaire_hty.incident_questionnaire_id'),
    systemOfRecord: [],
    reportId: ['public.history.report_id', 'nomis.incident_questionnaire_hty.incident_case_id'],
    type: ['public.history.type', 'nomis.incident_questionnaire_hty.type'],
    typeFamily: ['public.history.type', 'nomis.incident_questionnaire_hty.type'],
    typeRaw: ['public.history.type', 'nomis.incident_questionnaire_hty.type'],
    questionSetId: ['nomis.incident_questionnaire_hty.questionnaire_id'],
    changedAt: ['public.history.changed_at', 'nomis.incident_questionnaire_hty.change_date'],
    changedAtLocal: ['public.history.changed_at', 'nomis.incident_questionnaire_hty.change_date'],
    changedBy: ['public.history.changed_by', 'nomis.incident_questionnaire_hty.staff_username'],
  },
  CorrectionRequest: {
    ...identity('public.correction_request.id', ...requirement('incident_case_id', 'requirement_seq')),
    systemOfRecord: [],
    reportId: ['public.correction_request.report_id', ...requirement('incident_case_id')],
    sequence: ['public.correction_request.sequence', ...requirement('requirement_seq')],
    descriptionOfChange: ['public.correction_request.description_of_change', ...requirement('comment_text')],
    correctionRequestedAt: ['public.correction_request.correction_requested_at', ...requirement('record_date')],
    correctionRequestedAtLocal: ['public.correction_request.correction_requested_at', ...requirement('record_date')],
    correctionRequestedBy: ['public.correction_request.correction_requested_by', ...requirement('recorded_by')],
    location: ['public.correction_request.location', ...requirement('agy_loc_id')],
    userAction: ['public.correction_request.user_action'],
    originalReportReference: ['public.correction_request.original_report_reference'],
    userType: ['public.correction_request.user_type'],
  },
  DescriptionAddendum: {
    ...identity('public.description_addendum.id', 'nomis.incident_cases.incident_case_id'),
    id: ['public.description_addendum.id', ...columns('nomis.incident_cases', 'incident_case_id', 'incident_details')],
    systemOfRecord: [],
    reportId: ['public.description_addendum.report_id', 'nomis.incident_cases.incident_case_id'],
    sequence: ['public.description_addendum.sequence', 'nomis.incident_cases.incident_details'],
    text: ['public.description_addendum.text', 'nomis.incident_cases.incident_details'],
    createdAt: ['public.description_addendum.created_at', 'nomis.incident_cases.incident_details'],
    createdAtLocal: ['public.description_addendum.created_at', 'nomis.incident_cases.incident_details'],
    createdBy: ['public.description_addendum.created_by'],
    firstName: ['public.description_addendum.first_name', 'nomis.incident_cases.incident_details'],
    lastName: ['public.description_addendum.last_name', 'nomis.incident_cases.incident_details'],
  },
  ReferenceCode: REFERENCE_CODE,
}

/** Fields that are less protected than what they are made of, each with the reason why that is safe. */
export const DECLASSIFIED: Readonly<Partial<Record<Entity, Readonly<Record<string, string>>>>> = {
  Report: { placeholders: 'One bit that says only that a fixed word stood in for an absent value.' },
  DescriptionAddendum: {
    id: 'Of the details it holds only how many additions there are.',
    sequence: 'Of the details it holds only how many additions there are.',
    createdAt: 'Only what stands in the details as date and time, in a fixed form, gets here.',
    createdAtLocal: 'Only what stands in the details as date and time, in a fixed form, gets here.',
  },
}

/** From the least protected on. */
const TREATMENTS: readonly Treatment[] = ['clear', 'pseudonym', 'length', 'withheld']

/**
 * What breaks the policy, one clause each; none when every field may leave as its kind says. A column that `kindOf`
 * does not know breaks it.
 */
export function violations(kindOf: typeof columnKind = columnKind): string[] {
  return ENTITIES.flatMap((entity) =>
    ENTITY_DEFINITIONS[entity].fields.flatMap(({ name, kind }) => {
      if (DECLASSIFIED[entity]?.[name] !== undefined) return []
      const columns = LINEAGE[entity][name]
      if (columns === undefined) return [`${entity}.${name} has no lineage`]
      return columns
        .filter((column) => exposes(kind, kindOfPath(column, kindOf)))
        .map((column) => `${entity}.${name} exposes ${column}`)
    }),
  )
}

/** Whether a field of this kind shows in some output more of a column than the column's own kind would. */
function exposes(field: Kind, column: Kind | undefined): boolean {
  if (column === undefined) return true
  return OUTPUTS.some(
    (output) => TREATMENTS.indexOf(CLEARANCES[output][field]) < TREATMENTS.indexOf(CLEARANCES[output][column]),
  )
}

function kindOfPath(path: string, kindOf: typeof columnKind): Kind | undefined {
  const [schema = '', table = '', column = ''] = path.split('.')
  return kindOf(schema, table, column)
}

/** Fields that every entity makes of the source row's key; `reference` is the route to the incident. */
function identity(...key: readonly string[]): Fields {
  return {
    id: key,
    sourceKey: key,
    reference: ['public.report.report_reference', 'nomis.incident_cases.incident_case_id'],
    source: [],
    sourceTable: [],
  }
}

function party(...names: readonly string[]): string[] {
  return columns('nomis.incident_case_parties', ...names)
}

function requirement(...names: readonly string[]): string[] {
  return columns('nomis.incident_case_requirements', ...names)
}

function columns(table: string, ...names: readonly string[]): string[] {
  return names.map((name) => `${table}.${name}`)
}

/** The same column of the present type's questions and of the earlier ones'. */
function dpsQuestions(column: string): string[] {
  return [`public.question.${column}`, `public.historical_question.${column}`]
}

function nomisQuestions(column: string): string[] {
  return [`nomis.incident_case_questions.${column}`, `nomis.incident_que_question_hty.${column}`]
}

function dpsResponses(column: string): string[] {
  return [`public.response.${column}`, `public.historical_response.${column}`]
}

function nomisResponses(column: string): string[] {
  return [`nomis.incident_case_responses.${column}`, `nomis.incident_que_response_hty.${column}`]
}
