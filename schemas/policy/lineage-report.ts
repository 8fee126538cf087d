/** Which source columns a report's own fields are made of, and those of its history: a part of lineage.ts. */
import { columns, identity, type Fields } from './lineage-columns.ts'

export const REPORT: Fields = {
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
}

export const STATUS_CHANGE: Fields = {
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
}

export const TYPE_CHANGE: Fields = {
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
}

export const CORRECTION_REQUEST: Fields = {
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
}

export const DESCRIPTION_ADDENDUM: Fields = {
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
}

function requirement(...names: readonly string[]): string[] {
  return columns('nomis.incident_case_requirements', ...names)
}
