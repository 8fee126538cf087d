/**
 * The legacy model: NOMIS's tables in schema `nomis`, which NOMIS's own data and copies of DPS reports share. Its
 * questions are in nomis-questions.ts.
 */
import type { RowChange } from '../core/change.ts'
import type { EntityRow } from '../core/incident.ts'
import { splitDetails } from './addenda.ts'
import {
  decoded,
  integer,
  isAbsent,
  joinedMoment,
  moment,
  optionalDate,
  optionallyDecoded,
  optionalText,
  text,
} from './cells.ts'
import type { Cells } from './cells.ts'
import { nomisChild, nomisReportId } from './child.ts'
import { NOMIS_CODES, YES_NO } from './codes.ts'
import { rowId } from './identity.ts'
import { details, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const CASE = ['incident_case_id'] as const
const PARTY = ['incident_case_id', 'party_seq'] as const
const REQUIREMENT = ['incident_case_id', 'requirement_seq'] as const
const HISTORY = ['incident_questionnaire_id'] as const

export const NOMIS_RULES: readonly Rule[] = [
  { table: 'nomis.incident_cases', key: CASE, shapedBy: 'incident_details', map: incidentCase },
  { table: 'nomis.incident_case_parties', key: PARTY, shapedBy: 'staff_id', map: party },
  { table: 'nomis.incident_case_requirements', key: REQUIREMENT, shapedBy: null, map: requirement },
  { table: 'nomis.incident_questionnaire_hty', key: HISTORY, shapedBy: null, map: typeChange },
]

/** References from here on are DPS's own. */
const FIRST_DPS_REFERENCE = 10_000_000

/** Whether a row of the legacy model is of a DPS report that was written back: the report itself has it all. */
export function isCopyOfDps(change: RowChange): boolean {
  return change.table.schema === 'nomis' && Number(change.reference) >= FIRST_DPS_REFERENCE
}

function incidentCase(source: Cells): EntityRow[] {
  const { id, ...common } = nomisChild(source, 'nomis.incident_cases', CASE)
  const { type, family } = decoded(source, 'incident_type', NOMIS_CODES.types)
  const { status, ignoreDownstream, completed } = decoded(source, 'incident_status', NOMIS_CODES.statuses)
  const statusRaw = text(source, 'incident_status')
  const happened = joinedMoment(source, 'incident_date', 'incident_time')
  const reported = joinedMoment(source, 'report_date', 'report_time')
  const created = moment(source, 'create_datetime')
  const modified = isAbsent(source, 'modify_datetime') ? created : moment(source, 'modify_datetime')
  const { description: written, addenda } = splitDetails(optionalText(source, 'incident_details'))
  const found = [optionalText(source, 'incident_title'), written] as const
  const people = [
    optionalText(source, 'staff_username'),
    optionalText(source, 'modify_user_id') ?? optionalText(source, 'create_user_id'),
  ] as const
  const [title, description] = [details(found[0]), details(found[1])]
  const [reportedBy, modifiedBy] = [username(people[0]), username(people[1])]
  return [
    upsert('Report', {
      id,
      ...common,
      createdIn: 'NOMIS',
      type,
      typeFamily: family,
      typeRaw: text(source, 'incident_type'),
      status,
      statusRaw,
      ignoreDownstream,
      completed,
      location: optionalText(source, 'agy_loc_id'),
      incidentDateAndTime: happened.instant,
      incidentDateAndTimeLocal: happened.local,
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
      id: rowId('nomis.incident_cases', `${common.sourceKey}/status`),
      ...common,
      reportId: id,
      status,
      statusRaw,
      changedAt: reported.instant,
      changedAtLocal: reported.local,
      changedBy: reportedBy,
      synthetic: true,
    }),
    ...addenda.map((addendum, sequence) =>
      upsert('DescriptionAddendum', {
        id: rowId('nomis.incident_cases', `${common.sourceKey}/addendum/${sequence}`),
        ...common,
        reportId: id,
        sequence,
        text: addendum.text,
        createdAt: addendum.created.instant,
        createdAtLocal: addendum.created.local,
        // The details name the person, not the account.
        createdBy: null,
        firstName: addendum.firstName,
        lastName: addendum.lastName,
      }),
    ),
  ]
}

/** One table holds prisoners and staff: without a staff id it is a prisoner. Their role codes overlap. */
function party(source: Cells): EntityRow[] {
  return isAbsent(source, 'staff_id') ? [prisoner(source)] : [staff(source)]
}

function prisoner(source: Cells): EntityRow {
  return upsert('PrisonerInvolvement', {
    ...nomisChild(source, 'nomis.incident_case_parties', PARTY),
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
    ...nomisChild(source, 'nomis.incident_case_parties', PARTY),
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

/** One row for each change of type. */
function typeChange(source: Cells): EntityRow[] {
  const { type, family } = decoded(source, 'type', NOMIS_CODES.types)
  const changed = moment(source, 'change_date')
  return [
    upsert('TypeChange', {
      ...nomisChild(source, 'nomis.incident_questionnaire_hty', HISTORY),
      reportId: reportId(source),
      type,
      typeFamily: family,
      typeRaw: text(source, 'type'),
      questionSetId: optionalText(source, 'questionnaire_id'),
      changedAt: changed.instant,
      changedAtLocal: changed.local,
      changedBy: username(optionalText(source, 'staff_username')),
    }),
  ]
}

function requirement(source: Cells): EntityRow[] {
  const recorded = moment(source, 'record_date')
  return [
    upsert('CorrectionRequest', {
      ...nomisChild(source, 'nomis.incident_case_requirements', REQUIREMENT),
      reportId: reportId(source),
      sequence: integer(source, 'requirement_seq'),
      descriptionOfChange: details(optionalText(source, 'comment_text')),
      correctionRequestedAt: recorded.instant,
      correctionRequestedAtLocal: recorded.local,
      correctionRequestedBy: username(optionalText(source, 'recorded_by')),
      location: optionalText(source, 'agy_loc_id'),
      userAction: null,
      originalReportReference: null,
      userType: null,
    }),
  ]
}

function reportId(source: Cells): string {
  return nomisReportId(text(source, 'incident_case_id'))
}
