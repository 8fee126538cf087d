/** Incidents as rows of the legacy tables (schema nomis): inserted in bulk, or one upserted as the payload brings it. */
import { nomisCode } from './codes.ts'
import type { Addendum, Answered, Incident } from './incidents.ts'
import { bookingId, staffId } from './people.ts'
import type { Questionnaires } from './questionnaires.ts'
import { QUESTION_SETS } from './questions.ts'
import { hash } from './random.ts'
import { cutBytes, NO_DETAILS } from './texts.ts'
import { seconds } from './time.ts'
import type { Writer } from './writer.ts'

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

const CHILDREN = [
  { table: 'nomis.incident_case_parties', key: ['incident_case_id', 'party_seq'], rows: partyRows },
  { table: 'nomis.incident_case_questions', key: ['incident_case_id', 'question_seq'], rows: questionRows },
  {
    table: 'nomis.incident_case_responses',
    key: ['incident_case_id', 'question_seq', 'response_seq'],
    rows: responseRows,
  },
  { table: 'nomis.incident_case_requirements', key: ['incident_case_id', 'requirement_seq'], rows: requirementRows },
] as const

/** Inserts cases with all their children; a table at a time, parents first. */
export async function insertCases(
  writer: Writer,
  questionnaires: Questionnaires,
  cases: readonly NewCase[],
): Promise<void> {
  await writer.insert(
    'nomis.incident_cases',
    cases.map((each) => caseRow(each, questionnaires)),
  )
  for (const { table, rows } of CHILDREN) await writer.insert(table, cases.flatMap(rows))
  for (const each of cases) {
    for (const version of each.incident.earlier) {
      await insertCaseHistory(writer, questionnaires, { ...version, id: each.id, type: nomisCode.type(version.type) })
    }
  }
}

/**
 * Makes a case what the incident says, in place: what is there is updated, what is new inserted, what is gone deleted.
 * Its history is appended to when the incident has more of it than the case.
 */
export async function upsertCase(writer: Writer, questionnaires: Questionnaires, each: NewCase): Promise<void> {
  await writer.upsert('nomis.incident_cases', ['incident_case_id'], [caseRow(each, questionnaires)])
  for (const { table, key, rows } of CHILDREN.toReversed()) {
    const kept = rows(each)
    await writer.write(
      `DELETE FROM ${table} WHERE incident_case_id = $1
          AND (${key.join(', ')}) NOT IN (SELECT ${key.join(', ')} FROM json_populate_recordset(null::${table}, $2))`,
      [each.id, JSON.stringify(kept)],
    )
  }
  for (const { table, key, rows } of CHILDREN) await writer.upsert(table, key, rows(each))
  const [history] = await writer.read<{ count: number }>(
    'SELECT count(*)::int FROM nomis.incident_questionnaire_hty WHERE incident_case_id = $1',
    [each.id],
  )
  for (const version of each.incident.earlier.slice(history!.count)) {
    await insertCaseHistory(writer, questionnaires, { ...version, id: each.id, type: nomisCode.type(version.type) })
  }
}

export interface CaseHistory {
  /** The case's. */
  readonly id: number
  /** The type before, a NOMIS code. */
  readonly type: string
  readonly at: string
  readonly by: string
  readonly questions: readonly Answered[]
}

async function insertCaseHistory(
  writer: Writer,
  questionnaires: Questionnaires,
  { id, type, at, by, questions }: CaseHistory,
): Promise<void> {
  const questionnaire = questionnaires.get(type)
  if (questionnaire === undefined) return
  // the history tables alone have foreign keys to the question sets
  const known = questions
    .filter((question) => QUESTION_CODES.has(question.code))
    .map((question) => ({
      ...question,
      responses: question.responses.filter((response) => ANSWER_CODES.has(response.code)),
    }))
  const [history] = await writer.reserve('nomis.incident_questionnaire_id', 1)
  const stamp = { create_datetime: at, create_user_id: cutBytes(by, 32) }
  await writer.insert('nomis.incident_questionnaire_hty', [
    {
      incident_questionnaire_id: history,
      incident_case_id: id,
      questionnaire_id: questionnaire,
      change_date: seconds(at),
      change_staff_id: staffId(by),
      type,
      staff_username: by,
      ...stamp,
    },
  ])
  await writer.insert(
    'nomis.incident_que_question_hty',
    known.map((question, i) => ({
      incident_questionnaire_id: history,
      question_seq: i + 1,
      questionnaire_que_id: Number(question.code),
      question: question.text,
      ...stamp,
    })),
  )
  await writer.insert(
    'nomis.incident_que_response_hty',
    answersOf(known).map(({ answer, ...place }) => ({
      incident_questionnaire_id: history,
      ...place,
      ...answerColumns(answer),
      ...stamp,
    })),
  )
}

function caseRow({ id, incident, status }: NewCase, questionnaires: Questionnaires): object {
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

function requirementRows({ id, incident }: NewCase): object[] {
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
function answersOf(
  questions: readonly Answered[],
): { question_seq: number; response_seq: number; answer: Answered['responses'][number] }[] {
  return questions
    .flatMap((question, i) => question.responses.map((answer) => ({ question_seq: i + 1, answer })))
    .map((each, i) => ({ ...each, response_seq: i + 1 }))
}

/** One legacy response in forty has a comment but no answer. */
function answerColumns(answer: Answered['responses'][number]): object {
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

const QUESTION_CODES = new Set(QUESTION_SETS.flatMap((set) => set.questions.map((question) => String(question.id))))
const ANSWER_CODES = new Set(
  QUESTION_SETS.flatMap((set) =>
    set.questions.flatMap((question) => question.answers.map((answer) => String(answer.id))),
  ),
)

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export function commentText(text: string | null): string | null {
  return text === null ? null : cutBytes(text, 240)
}

function isNumber(code: string): boolean {
  return /^\d{1,10}$/.test(code)
}
