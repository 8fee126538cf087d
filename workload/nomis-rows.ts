/** An incident as rows of the legacy tables (schema nomis). */
import { nomisCode } from './codes.ts'
import type { Addendum, Answered, Incident } from './incidents.ts'
import { bookingId, staffId } from './people.ts'
import type { Questionnaires } from './questionnaires.ts'
import { hash } from './random.ts'
import { cutBytes, NO_DETAILS } from './texts.ts'
import { seconds } from './time.ts'

/** Cases from here on are copies of reports of the incident reporting service. */
export const FIRST_COPY = 10_000_000

export interface NewCase {
  readonly id: number
  readonly incident: Incident
  /** NOMIS code. */
  readonly status: string
}

/** How long a NOMIS code can be. */
const CODE = 12

export function caseRow({ id, incident, status }: NewCase, questionnaires: Questionnaires): object {
  const type = cutBytes(nomisCode.type(incident.type), CODE)
  const occurred = seconds(incident.occurredAt)
  const reported = seconds(incident.reportedAt)
  return {
    incident_case_id: id,
    reported_staff_id: staffId(incident.reportedBy),
    incident_date: `${occurred.slice(0, 10)}T00:00:00`,
    // the day of a time means nothing: only a part of the old rows was corrected
    incident_time: id % 5 === 0 ? `1970-01-01T${occurred.slice(11)}` : occurred,
    incident_status: status,
    response_locked_flag: status === 'CLOSE' ? 'Y' : 'N',
    incident_details: details(incident),
    report_date: `${reported.slice(0, 10)}T00:00:00`,
    report_time: reported,
    agy_loc_id: cutBytes(incident.location, 6),
    incident_title: incident.title === NO_DETAILS ? null : cutBytes(incident.title, 240),
    incident_type: type,
    questionnaire_id: questionnaires.get(type) ?? null,
    follow_up_date: id % 7 === 0 ? `${incident.modifiedAt.slice(0, 10)}T00:00:00` : null,
    staff_username: incident.reportedBy,
    ...stamps(incident),
    audit_timestamp: incident.modifiedAt,
    audit_user_id: cutBytes(incident.modifiedBy, 32),
    audit_module_name: id >= FIRST_COPY ? 'DPS_SYNCHRONISATION' : 'OIDINCRS',
  }
}

export function partyRows({ id, incident }: NewCase): object[] {
  const copy = id >= FIRST_COPY
  const stamp = stamps(incident)
  const offenders = incident.prisoners.map((part, i) => ({
    incident_case_id: id,
    party_seq: copy ? 2_000 + i : 1 + i * 2,
    participation_role: cutBytes(nomisCode.prisonerRole(part.role), CODE),
    offender_book_id: bookingId(part.number),
    staff_id: null,
    comment_text: commentText(part.comment),
    outcome_code: part.outcome === null ? null : cutBytes(nomisCode.outcome(part.outcome), CODE),
    offender_no: part.number,
    staff_username: null,
    first_name: part.firstName,
    last_name: part.lastName,
    ...stamp,
  }))
  const members = incident.staff.flatMap((part, i) => {
    if (part.username === null && copy) return []
    const username = part.username ?? 'unknown'
    const role = cutBytes(nomisCode.staffRole(part.role), CODE)
    return [
      {
        incident_case_id: id,
        party_seq: copy ? 1_000 + i : 2 + i * 2,
        participation_role: role === 'AI' && !copy && id % 2 === 0 ? 'INV' : role,
        offender_book_id: null,
        staff_id: staffId(username),
        comment_text: commentText(part.comment),
        outcome_code: null,
        offender_no: null,
        staff_username: username,
        first_name: part.firstName,
        last_name: part.lastName,
        ...stamp,
      },
    ]
  })
  return [...members, ...offenders]
}

export function questionRows({ id, incident }: NewCase): object[] {
  return incident.questions
    .filter((question) => isNumber(question.code))
    .map((question, i) => ({
      incident_case_id: id,
      question_seq: i + 1,
      questionnaire_que_id: Number(question.code),
      question: question.text,
      ...stamps(incident),
    }))
}

export function responseRows({ id, incident }: NewCase): object[] {
  const known = incident.questions.filter((question) => isNumber(question.code))
  return answersOf(known).map(({ answer, ...place }) => ({
    incident_case_id: id,
    ...place,
    ...answerColumns(answer),
    ...stamps(incident),
  }))
}

export function requirementRows({ id, incident }: NewCase): object[] {
  return incident.corrections.map((correction, i) => ({
    incident_case_id: id,
    requirement_seq: i + 1,
    record_staff_id: staffId(correction.by),
    record_date: seconds(correction.at),
    comment_text: commentText(correction.text),
    agy_loc_id: correction.userType === 'DATA_WARDEN' ? 'NOU' : cutBytes(incident.location, 6),
    recorded_by: correction.by,
    ...stamps(incident),
  }))
}

/** The answers with their place; `response_seq` runs on across all questions. */
export function answersOf(
  questions: readonly Answered[],
): { question_seq: number; response_seq: number; answer: Answered['responses'][number] }[] {
  return questions
    .flatMap((question, i) => question.responses.map((answer) => ({ question_seq: i + 1, answer })))
    .map((each, i) => ({ ...each, response_seq: i + 1 }))
}

/** One legacy response in forty has a comment but no answer. */
export function answerColumns(answer: Answered['responses'][number]): object {
  const none = !isNumber(answer.code) || hash(`${answer.code} ${answer.at} ${answer.by}`) % 40 === 0
  return {
    response_date: answer.date === null ? null : `${answer.date}T00:00:00`,
    response_comment_text: none ? 'No answer was chosen' : commentText(answer.information),
    record_staff_id: staffId(answer.by),
    questionnaire_ans_id: none ? null : Number(answer.code),
    answer: none ? null : answer.text,
    recorded_by: answer.by,
  }
}

function stamps(incident: Incident): object {
  return {
    create_datetime: incident.createdAt,
    create_user_id: cutBytes(incident.reportedBy, 32),
    modify_datetime: incident.modifiedAt,
    modify_user_id: cutBytes(incident.modifiedBy, 32),
  }
}

function details({ description, addenda }: Incident): string | null {
  if (description === NO_DETAILS || description === '') return null
  return cutBytes(description + addenda.map(detailsEntry).join(''), 4_000)
}

/** An addition as NOMIS appends it to the details. */
export function detailsEntry({ text, at, by }: Addendum): string {
  const [year, month, day] = at.slice(0, 10).split('-')
  return `User:${by.lastName},${by.firstName} Date:${day}-${MONTHS[Number(month) - 1]}-${year} ${at.slice(11, 16)}${text}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export function commentText(text: string | null): string | null {
  return text === null ? null : cutBytes(text, 240)
}

function isNumber(code: string): boolean {
  return /^\d{1,10}$/.test(code)
}
