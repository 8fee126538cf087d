/** The legacy model: NOMIS's tables in schema `nomis`, which NOMIS's own data and copies of DPS reports share. */
import type { Row } from '../core/change.ts'
import type { EntityRow } from '../core/incident.ts'
import {
  decoded,
  integer,
  isAbsent,
  joinedMoment,
  key,
  moment,
  optionalDate,
  optionallyDecoded,
  optionalText,
  text,
} from './cells.ts'
import type { Cells } from './cells.ts'
import { NOMIS_CODES, YES_NO } from './codes.ts'
import { rowId } from './identity.ts'
import { details, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const CASE = ['incident_case_id'] as const
const PARTY = ['incident_case_id', 'party_seq'] as const
const QUESTION = ['incident_case_id', 'question_seq'] as const
const RESPONSE = ['incident_case_id', 'question_seq', 'response_seq'] as const

export const NOMIS_RULES: readonly Rule[] = [
  { table: 'nomis.incident_cases', key: CASE, splitBy: null, map: incidentCase },
  { table: 'nomis.incident_case_parties', key: PARTY, splitBy: 'staff_id', map: party },
  { table: 'nomis.incident_case_questions', key: QUESTION, splitBy: null, map: question },
  { table: 'nomis.incident_case_responses', key: RESPONSE, splitBy: null, map: response },
]

/** References from here on are DPS's own. */
const FIRST_DPS_REFERENCE = 10_000_000

/** Whether a row of the legacy model is a copy of a DPS report that was written back: the report itself has it all. */
export function isCopyOfDps(row: Row): boolean {
  return Number(row['incident_case_id']) >= FIRST_DPS_REFERENCE
}

function incidentCase(source: Cells): EntityRow[] {
  const sourceKey = key(source, CASE)
  const id = rowId('nomis.incident_cases', sourceKey)
  const { type, family } = decoded(source, 'incident_type', NOMIS_CODES.types)
  const { status, ignoreDownstream, completed } = decoded(source, 'incident_status', NOMIS_CODES.statuses)
  const statusRaw = text(source, 'incident_status')
  const incident = joinedMoment(source, 'incident_date', 'incident_time')
  const reported = joinedMoment(source, 'report_date', 'report_time')
  const created = moment(source, 'create_datetime')
  const modified = isAbsent(source, 'modify_datetime') ? created : moment(source, 'modify_datetime')
  const found = [optionalText(source, 'incident_title'), optionalText(source, 'incident_details')] as const
  const people = [
    optionalText(source, 'staff_username'),
    optionalText(source, 'modify_user_id') ?? optionalText(source, 'create_user_id'),
  ] as const
  const [title, description] = [details(found[0]), details(found[1])]
  const [reportedBy, modifiedBy] = [username(people[0]), username(people[1])]
  return [
    upsert('Report', {
      id,
      reference: source.reference,
      source: 'NOMIS',
      systemOfRecord: 'NOMIS',
      sourceTable: 'nomis.incident_cases',
      sourceKey,
      createdIn: 'NOMIS',
      type,
      typeFamily: family,
      typeRaw: text(source, 'incident_type'),
      status,
      statusRaw,
      ignoreDownstream,
      completed,
      location: optionalText(source, 'agy_loc_id'),
      incidentDateAndTime: incident.instant,
      incidentDateAndTimeLocal: incident.local,
      reportedAt: reported.instant,
      reportedAtLocal: reported.local,
      reportedBy,
      title,
      description,
      placeholders:
        title !== found[0] || description !== found[1] || reportedBy !== people[0] || modifiedBy !== people[1],
      questionSetId: optionalText(source, 'questionnaire_id'),
      createdAt: created.instant,
      createdAtLocal: created.local,
      modifiedAt: modified.instant,
      modifiedAtLocal: modified.local,
      modifiedBy,
      staffInvolvementDone: null,
      prisonerInvolvementDone: null,
      duplicatedReportId: null,
      lastUserAction: null,
      responsesLocked: optionallyDecoded(source, 'response_locked_flag', YES_NO),
      followUpDate: optionalDate(source, 'follow_up_date'),
    }),
    // NOMIS keeps no history of statuses: the present one, as if the reporter had set it when reporting.
    upsert('StatusChange', {
      id: rowId('nomis.incident_cases', `${sourceKey}/status`),
      reference: source.reference,
      source: 'NOMIS',
      systemOfRecord: 'NOMIS',
      sourceTable: 'nomis.incident_cases',
      sourceKey,
      reportId: id,
      status,
      statusRaw,
      changedAt: reported.instant,
      changedAtLocal: reported.local,
      changedBy: reportedBy,
      synthetic: true,
    }),
  ]
}

/** One table holds prisoners and staff: without a staff id it is a prisoner. Their role codes overlap. */
function party(source: Cells): EntityRow[] {
  return isAbsent(source, 'staff_id') ? [prisoner(source)] : [staff(source)]
}

function prisoner(source: Cells): EntityRow {
  return upsert('PrisonerInvolvement', {
    ...child(source, 'nomis.incident_case_parties', PARTY),
    reportId: reportId(source),
    sequence: integer(source, 'party_seq'),
    prisonerNumber: optionalText(source, 'offender_no'),
    firstName: optionalText(source, 'first_name'),
    lastName: optionalText(source, 'last_name'),
    prisonerRole: decoded(source, 'participation_role', NOMIS_CODES.prisonerRoles),
    prisonerRoleRaw: text(source, 'participation_role'),
    outcome: optionallyDecoded(source, 'outcome_code', NOMIS_CODES.outcomes),
    outcomeRaw: optionalText(source, 'outcome_code'),
    comment: details(optionalText(source, 'comment_text')),
  })
}

function staff(source: Cells): EntityRow {
  return upsert('StaffInvolvement', {
    ...child(source, 'nomis.incident_case_parties', PARTY),
    reportId: reportId(source),
    sequence: integer(source, 'party_seq'),
    staffUsername: username(optionalText(source, 'staff_username')),
    firstName: optionalText(source, 'first_name'),
    lastName: optionalText(source, 'last_name'),
    staffRole: decoded(source, 'participation_role', NOMIS_CODES.staffRoles),
    staffRoleRaw: text(source, 'participation_role'),
    comment: details(optionalText(source, 'comment_text')),
  })
}

function question(source: Cells): EntityRow[] {
  const words = optionalText(source, 'question')
  return [
    upsert('Question', {
      ...child(source, 'nomis.incident_case_questions', QUESTION),
      reportId: reportId(source),
      sequence: integer(source, 'question_seq'),
      code: text(source, 'questionnaire_que_id'),
      question: words,
      // NOMIS has one text for machine and people.
      label: words,
      additionalInformation: null,
    }),
  ]
}

function response(source: Cells): EntityRow[] {
  const words = optionalText(source, 'answer')
  // The synchronisation replaced this by the report's time, which only its own row knows.
  const recorded = isAbsent(source, 'create_datetime') ? null : moment(source, 'create_datetime')
  return [
    upsert('Response', {
      ...child(source, 'nomis.incident_case_responses', RESPONSE),
      questionId: rowId('nomis.incident_case_questions', key(source, QUESTION)),
      sequence: integer(source, 'response_seq'),
      // A response without an answer stays, though the synchronisation dropped it: its date and comment were recorded,
      // and an incident of 2004 shows what was recorded.
      code: optionalText(source, 'questionnaire_ans_id'),
      response: words,
      label: words,
      responseDate: optionalDate(source, 'response_date'),
      additionalInformation: details(optionalText(source, 'response_comment_text')),
      recordedBy: username(optionalText(source, 'recorded_by')),
      recordedAt: recorded?.instant ?? null,
      recordedAtLocal: recorded?.local ?? null,
    }),
  ]
}

function reportId(source: Cells): string {
  return rowId('nomis.incident_cases', key(source, CASE))
}

function child(source: Cells, table: string, columns: readonly string[]) {
  const sourceKey = key(source, columns)
  return {
    id: rowId(table, sourceKey),
    reference: source.reference,
    source: 'NOMIS',
    systemOfRecord: 'NOMIS',
    sourceTable: table,
    sourceKey,
  }
}
