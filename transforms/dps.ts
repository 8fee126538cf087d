/** The new model: the DPS service's tables in schema `public`; its questions are in dps-questions.ts. */
import type { EntityRow } from '../core/incident.ts'
import { decoded, incident, integer, moment, optionalBoolean, optionallyDecoded, optionalText, text } from './cells.ts'
import type { Cells } from './cells.ts'
import { dpsChild } from './child.ts'
import { DPS_CODES, SYSTEMS } from './codes.ts'
import { author, details, username } from './placeholders.ts'
import { upsert, type Rule } from './rule.ts'

const ID = ['id'] as const

export const DPS_RULES: readonly Rule[] = [
  { table: 'public.report', key: ID, shapedBy: null, map: report },
  { table: 'public.prisoner_involvement', key: ID, shapedBy: null, map: prisonerInvolvement },
  { table: 'public.staff_involvement', key: ID, shapedBy: null, map: staffInvolvement },
  { table: 'public.status_history', key: ID, shapedBy: null, map: statusChange },
  { table: 'public.history', key: ID, shapedBy: null, map: typeChange },
  { table: 'public.correction_request', key: ID, shapedBy: null, map: correctionRequest },
  { table: 'public.description_addendum', key: ID, shapedBy: null, map: descriptionAddendum },
]

function report(source: Cells): EntityRow[] {
  const { type, family } = decoded(source, 'type', DPS_CODES.types)
  const { status, ignoreDownstream, completed } = decoded(source, 'status', DPS_CODES.statuses)
  const happened = moment(source, 'incident_date_and_time')
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
      reference: incident(source),
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
      incidentDateAndTime: happened.instant,
      incidentDateAndTimeLocal: happened.local,
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
      ...dpsChild(source, 'public.prisoner_involvement'),
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
      ...dpsChild(source, 'public.staff_involvement'),
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

function statusChange(source: Cells): EntityRow[] {
  const { status } = decoded(source, 'status', DPS_CODES.statuses)
  const changed = moment(source, 'changed_at')
  return [
    upsert('StatusChange', {
      ...dpsChild(source, 'public.status_history'),
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

/** One row for each change of type. The service copies the questions of the type before into tables of their own. */
function typeChange(source: Cells): EntityRow[] {
  const { type, family } = decoded(source, 'type', DPS_CODES.types)
  const changed = moment(source, 'changed_at')
  return [
    upsert('TypeChange', {
      ...dpsChild(source, 'public.history'),
      reportId: text(source, 'report_id'),
      type,
      typeFamily: family,
      typeRaw: type,
      questionSetId: null,
      changedAt: changed.instant,
      changedAtLocal: changed.local,
      changedBy: username(optionalText(source, 'changed_by')),
    }),
  ]
}

function correctionRequest(source: Cells): EntityRow[] {
  const requested = moment(source, 'correction_requested_at')
  return [
    upsert('CorrectionRequest', {
      ...dpsChild(source, 'public.correction_request'),
      reportId: text(source, 'report_id'),
      sequence: integer(source, 'sequence'),
      descriptionOfChange: details(optionalText(source, 'description_of_change')),
      correctionRequestedAt: requested.instant,
      correctionRequestedAtLocal: requested.local,
      correctionRequestedBy: username(optionalText(source, 'correction_requested_by')),
      location: optionalText(source, 'location'),
      userAction: optionalText(source, 'user_action'),
      originalReportReference: optionalText(source, 'original_report_reference'),
      userType: optionalText(source, 'user_type'),
    }),
  ]
}

function descriptionAddendum(source: Cells): EntityRow[] {
  const created = moment(source, 'created_at')
  return [
    upsert('DescriptionAddendum', {
      ...dpsChild(source, 'public.description_addendum'),
      reportId: text(source, 'report_id'),
      sequence: integer(source, 'sequence'),
      text: text(source, 'text'),
      createdAt: created.instant,
      createdAtLocal: created.local,
      createdBy: author(optionalText(source, 'created_by')),
      firstName: optionalText(source, 'first_name'),
      lastName: optionalText(source, 'last_name'),
    }),
  ]
}
