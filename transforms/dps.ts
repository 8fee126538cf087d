/** The new model: the DPS service's tables in schema `public`. */
import type { EntityRow } from '../core/incident.ts'
import {
  decoded,
  integer,
  key,
  moment,
  optionalBoolean,
  optionalDate,
  optionallyDecoded,
  optionalText,
  text,
} from './cells.ts'
import type { Cells } from './cells.ts'
import { DPS_CODES, SYSTEMS } from './codes.ts'
import { rowId } from './identity.ts'
import { answerCode, details, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const ID = ['id'] as const

export const DPS_RULES: readonly Rule[] = [
  { table: 'public.report', key: ID, splitBy: null, map: report },
  { table: 'public.prisoner_involvement', key: ID, splitBy: null, map: prisonerInvolvement },
  { table: 'public.staff_involvement', key: ID, splitBy: null, map: staffInvolvement },
  { table: 'public.question', key: ID, splitBy: null, map: question },
  { table: 'public.response', key: ID, splitBy: null, map: response },
  { table: 'public.status_history', key: ID, splitBy: null, map: statusChange },
]

function report(source: Cells): EntityRow[] {
  const { type, family } = decoded(source, 'type', DPS_CODES.types)
  const { status, ignoreDownstream, completed } = decoded(source, 'status', DPS_CODES.statuses)
  const incident = moment(source, 'incident_date_and_time')
  const reported = moment(source, 'reported_at')
  const created = moment(source, 'created_at')
  const modified = moment(source, 'modified_at')
  const found = [optionalText(source, 'title'), optionalText(source, 'description')] as const
  const people = [optionalText(source, 'reported_by'), optionalText(source, 'modified_by')] as const
  const [title, description] = [details(found[0]), details(found[1])]
  const [reportedBy, modifiedBy] = [username(people[0]), username(people[1])]
  const id = text(source, 'id')
  return [
    upsert('Report', {
      id,
      reference: source.reference,
      source: 'DPS',
      systemOfRecord: decoded(source, 'modified_in', SYSTEMS),
      sourceTable: 'public.report',
      sourceKey: id,
      createdIn: decoded(source, 'source', SYSTEMS),
      type,
      typeFamily: family,
      typeRaw: type,
      status,
      statusRaw: status,
      ignoreDownstream,
      completed,
      location: optionalText(source, 'location'),
      incidentDateAndTime: incident.instant,
      incidentDateAndTimeLocal: incident.local,
      reportedAt: reported.instant,
      reportedAtLocal: reported.local,
      reportedBy,
      title,
      description,
      placeholders:
        title !== found[0] || description !== found[1] || reportedBy !== people[0] || modifiedBy !== people[1],
      questionSetId: optionalText(source, 'question_set_id'),
      createdAt: created.instant,
      createdAtLocal: created.local,
      modifiedAt: modified.instant,
      modifiedAtLocal: modified.local,
      modifiedBy,
      staffInvolvementDone: optionalBoolean(source, 'staff_involvement_done'),
      prisonerInvolvementDone: optionalBoolean(source, 'prisoner_involvement_done'),
      duplicatedReportId: optionalText(source, 'duplicated_report_id'),
      lastUserAction: optionalText(source, 'last_user_action'),
      responsesLocked: null,
      followUpDate: null,
    }),
  ]
}

function prisonerInvolvement(source: Cells): EntityRow[] {
  const prisonerRole = decoded(source, 'prisoner_role', DPS_CODES.prisonerRoles)
  const outcome = optionallyDecoded(source, 'outcome', DPS_CODES.outcomes)
  return [
    upsert('PrisonerInvolvement', {
      ...child(source, 'public.prisoner_involvement'),
      reportId: text(source, 'report_id'),
      sequence: integer(source, 'sequence'),
      prisonerNumber: optionalText(source, 'prisoner_number'),
      firstName: optionalText(source, 'first_name'),
      lastName: optionalText(source, 'last_name'),
      prisonerRole,
      prisonerRoleRaw: prisonerRole,
      outcome,
      outcomeRaw: outcome,
      comment: details(optionalText(source, 'comment')),
    }),
  ]
}

function staffInvolvement(source: Cells): EntityRow[] {
  const staffRole = decoded(source, 'staff_role', DPS_CODES.staffRoles)
  return [
    upsert('StaffInvolvement', {
      ...child(source, 'public.staff_involvement'),
      reportId: text(source, 'report_id'),
      sequence: integer(source, 'sequence'),
      staffUsername: username(optionalText(source, 'staff_username')),
      firstName: optionalText(source, 'first_name'),
      lastName: optionalText(source, 'last_name'),
      staffRole,
      staffRoleRaw: staffRole,
      comment: details(optionalText(source, 'comment')),
    }),
  ]
}

function question(source: Cells): EntityRow[] {
  return [
    upsert('Question', {
      ...child(source, 'public.question'),
      reportId: text(source, 'report_id'),
      sequence: integer(source, 'sequence'),
      code: text(source, 'code'),
      question: optionalText(source, 'question'),
      label: optionalText(source, 'label'),
      additionalInformation: optionalText(source, 'additional_information'),
    }),
  ]
}

function response(source: Cells): EntityRow[] {
  const recorded = moment(source, 'recorded_at')
  return [
    upsert('Response', {
      ...child(source, 'public.response'),
      questionId: rowId('public.question', text(source, 'question_id')),
      sequence: integer(source, 'sequence'),
      code: answerCode(optionalText(source, 'code')),
      response: optionalText(source, 'response'),
      label: optionalText(source, 'label'),
      responseDate: optionalDate(source, 'response_date'),
      additionalInformation: optionalText(source, 'additional_information'),
      recordedBy: username(optionalText(source, 'recorded_by')),
      recordedAt: recorded.instant,
      recordedAtLocal: recorded.local,
    }),
  ]
}

function statusChange(source: Cells): EntityRow[] {
  const { status } = decoded(source, 'status', DPS_CODES.statuses)
  const changed = moment(source, 'changed_at')
  return [
    upsert('StatusChange', {
      ...child(source, 'public.status_history'),
      reportId: text(source, 'report_id'),
      status,
      statusRaw: status,
      changedAt: changed.instant,
      changedAtLocal: changed.local,
      changedBy: username(optionalText(source, 'changed_by')),
      // Of a report that came from NOMIS these rows are made up too, but only its report row tells that it did.
      synthetic: false,
    }),
  ]
}

/** What every child carries. It does not know where its report was last edited: DPS, which holds it, speaks for it. */
function child(source: Cells, table: string) {
  const sourceKey = key(source, ID)
  return {
    id: rowId(table, sourceKey),
    reference: source.reference,
    source: 'DPS',
    systemOfRecord: 'DPS',
    sourceTable: table,
    sourceKey,
  }
}
