/** Incidents as rows of the incident reporting service (schema public): whole ones written. */
import type { Answered, Incident, PrisonerPart, StaffPart } from './incidents.ts'
import type { Writer } from './writer.ts'

/** What an incident needs to become a report. */
export interface NewReport {
  readonly id: string
  readonly reference: string
  readonly incident: Incident
  /** Set on a report that was taken over from NOMIS: its questionnaire and the system that changed it last. */
  readonly migrated: { readonly questionnaireId: number; readonly modifiedIn: 'DPS' | 'NOMIS' } | null
  /** The report that this one repeats. */
  readonly original: { readonly id: string; readonly reference: string } | null
}

/** Inserts reports with all their children; a table at a time, parents first. */
export async function insertReports(writer: Writer, reports: readonly NewReport[]): Promise<void> {
  await writer.insert('public.report', reports.map(reportRow))
  const each = <T>(rows: (incident: Incident, report: NewReport) => readonly T[]): T[] =>
    reports.flatMap((report) => rows(report.incident, report))
  await writer.insert(
    'public.status_history',
    each(({ statuses, reportedAt, reportedBy, status }, { id, migrated }) =>
      (migrated === null ? statuses : [{ status, at: reportedAt, by: reportedBy }]).map((step) => ({
        report_id: id,
        status: step.status,
        changed_at: step.at,
        changed_by: step.by,
      })),
    ),
  )
  await writer.insert(
    'public.prisoner_involvement',
    each(({ prisoners }, { id }) => prisoners.map((part, i) => prisonerRow(id, i, part))),
  )
  await writer.insert(
    'public.staff_involvement',
    each(({ staff }, { id }) => staff.map((part, i) => staffRow(id, i, part))),
  )
  await writer.insert(
    'public.correction_request',
    each(({ corrections, location }, { id, migrated, original }) =>
      corrections.map((correction, i) => ({
        report_id: id,
        description_of_change: correction.text,
        correction_requested_at: correction.at,
        correction_requested_by: correction.by,
        sequence: i,
        location: correction.userType === 'REPORTING_OFFICER' ? location : null,
        user_action: migrated === null ? correction.userAction : null,
        original_report_reference: correction.userAction === 'MARK_DUPLICATE' ? (original?.reference ?? null) : null,
        user_type: migrated === null ? correction.userType : null,
      })),
    ),
  )
  await writer.insert(
    'public.description_addendum',
    each(({ addenda }, { id, migrated }) =>
      addenda.map((addendum, i) => ({
        report_id: id,
        sequence: i,
        text: addendum.text,
        created_at: addendum.at,
        created_by: migrated === null ? addendum.by.username : 'INCIDENT_REPORTING_API',
        first_name: addendum.by.firstName,
        last_name: addendum.by.lastName,
      })),
    ),
  )
  await insertQuestions(
    writer,
    CURRENT,
    reports.map(({ id, incident, migrated }) => ({
      parent: id,
      questions: migrated === null ? incident.questions : asNomisWrites(incident.questions, incident.reportedAt),
    })),
  )
  await insertHistory(
    writer,
    each(({ earlier }, { id }) => earlier.map((version) => ({ report: id, ...version }))),
  )
}

/** The tables of a report's questions, and of those that it had under an earlier type. */
export interface QuestionTables {
  readonly question: string
  readonly parent: string
  readonly response: string
  readonly responseParent: string
  readonly sequence: string
}

export const CURRENT: QuestionTables = {
  question: 'public.question',
  parent: 'report_id',
  response: 'public.response',
  responseParent: 'question_id',
  sequence: 'public.question_id_seq',
}

export const EARLIER: QuestionTables = {
  question: 'public.historical_question',
  parent: 'history_id',
  response: 'public.historical_response',
  responseParent: 'historical_question_id',
  sequence: 'public.historical_question_id_seq',
}

interface QuestionsOf {
  /** The report's or the history's id. */
  readonly parent: string | number
  readonly questions: readonly Answered[]
  /** The first question's sequence: 1 unless given. */
  readonly first?: number
}

export async function insertQuestions(
  writer: Writer,
  tables: QuestionTables,
  sets: readonly QuestionsOf[],
): Promise<void> {
  const questions = sets.flatMap(({ parent, questions: answered, first = 1 }) =>
    answered.map((question, i) => ({ parent, sequence: first + i, question })),
  )
  if (questions.length === 0) return
  const ids = await writer.reserve(tables.sequence, questions.length)
  await writer.insert(
    tables.question,
    questions.map(({ parent, sequence, question }, i) => ({
      id: ids[i],
      [tables.parent]: parent,
      sequence,
      code: question.code,
      question: question.text,
      additional_information: question.information,
      label: question.label,
    })),
  )
  await writer.insert(
    tables.response,
    questions.flatMap(({ question }, i) => responseRows(tables, ids[i]!, question)),
  )
}

export function responseRows(tables: QuestionTables, question: number, { responses }: Answered): object[] {
  return responses.map((response, i) => ({
    [tables.responseParent]: question,
    sequence: i,
    response: response.text,
    response_date: response.date,
    additional_information: response.information,
    recorded_at: response.at,
    recorded_by: response.by,
    code: response.code,
    label: response.label,
  }))
}

export interface HistoryOf {
  readonly report: string
  readonly type: string
  readonly at: string
  readonly by: string
  readonly questions: readonly Answered[]
}

export async function insertHistory(writer: Writer, versions: readonly HistoryOf[]): Promise<void> {
  if (versions.length === 0) return
  const ids = await writer.reserve('public.history_id_seq', versions.length)
  await writer.insert(
    'public.history',
    versions.map(({ report, type, at, by }, i) => ({
      id: ids[i],
      report_id: report,
      type,
      changed_at: at,
      changed_by: by,
    })),
  )
  await insertQuestions(
    writer,
    EARLIER,
    versions.map(({ questions }, i) => ({ parent: ids[i]!, questions })),
  )
}

export function prisonerRow(report: string, sequence: number, part: PrisonerPart): object {
  return {
    report_id: report,
    prisoner_number: part.number,
    prisoner_role: part.role,
    outcome: part.outcome,
    comment: part.comment,
    sequence,
    first_name: part.firstName,
    last_name: part.lastName,
  }
}

export function staffRow(report: string, sequence: number, part: StaffPart): object {
  return {
    report_id: report,
    staff_username: part.username,
    staff_role: part.role,
    comment: part.comment,
    sequence,
    first_name: part.firstName,
    last_name: part.lastName,
  }
}

function reportRow({ id, reference, incident, migrated, original }: NewReport): object {
  return {
    id,
    report_reference: reference,
    title: incident.title,
    description: incident.description,
    location: incident.location,
    type: incident.type,
    source: migrated === null ? 'DPS' : 'NOMIS',
    status: incident.status,
    incident_date_and_time: incident.occurredAt,
    reported_at: incident.reportedAt,
    reported_by: incident.reportedBy,
    question_set_id: migrated === null ? null : String(migrated.questionnaireId),
    created_at: incident.createdAt,
    modified_by: incident.modifiedBy,
    modified_at: incident.modifiedAt,
    modified_in: migrated?.modifiedIn ?? 'DPS',
    staff_involvement_done: migrated !== null || incident.status !== 'DRAFT',
    prisoner_involvement_done: migrated !== null || incident.status !== 'DRAFT',
    duplicated_report_id: original?.id ?? null,
    last_user_action: migrated === null ? incident.lastUserAction : null,
  }
}

/** A report that came from NOMIS shows the machine text as label, and its answers as recorded when it was reported. */
function asNomisWrites(questions: readonly Answered[], reportedAt: string): Answered[] {
  return questions.map((question) => ({
    ...question,
    label: question.text,
    responses: question.responses.map((response) => ({ ...response, label: response.text, at: reportedAt })),
  }))
}
