/** Incidents in the legacy tables (schema nomis): inserted in bulk, or one upserted as the payload brings it. */
import { nomisCode } from './codes.ts'
import type { Answered } from './incidents.ts'
import {
  answerColumns,
  answersOf,
  caseRow,
  partyRows,
  questionRows,
  requirementRows,
  responseRows,
  type NewCase,
} from './nomis-rows.ts'
import { staffId } from './people.ts'
import type { Questionnaires } from './questionnaires.ts'
import { QUESTION_SETS } from './questions.ts'
import { cutBytes } from './texts.ts'
import { seconds } from './time.ts'
import type { Writer } from './writer.ts'

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

const QUESTION_CODES = new Set(QUESTION_SETS.flatMap((set) => set.questions.map((question) => String(question.id))))
const ANSWER_CODES = new Set(
  QUESTION_SETS.flatMap((set) =>
    set.questions.flatMap((question) => question.answers.map((answer) => String(answer.id))),
  ),
)
