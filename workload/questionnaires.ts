/** The question sets as NOMIS holds them: what cases and their history refer to. */
import { QUESTION_SETS } from './questions.ts'
import type { Writer } from './writer.ts'

/** Questionnaire ids by NOMIS type code. */
export type Questionnaires = ReadonlyMap<string, number>

/** The questionnaires of all types with their questions and answers: made where the database has none of them. */
export async function ensureQuestionnaires(writer: Writer): Promise<Questionnaires> {
  const [questionnaires, questions, answers] = [
    await readQuestionnaires(writer),
    await readIds(writer, 'nomis.questionnaire_questions', 'questionnaire_que_id'),
    await readIds(writer, 'nomis.questionnaire_answers', 'questionnaire_ans_id'),
  ]
  const sets = QUESTION_SETS.filter((set) => !questionnaires.has(set.code))
  const allQuestions = QUESTION_SETS.flatMap((set) => set.questions.map((question, i) => ({ set, question, i })))
  const newQuestions = allQuestions.filter(({ question }) => !questions.has(question.id))
  const newAnswers = allQuestions.flatMap(({ set, question, i }) =>
    question.answers
      .map((answer, j) => ({ answer, j, question, next: set.questions[i + 1]?.id ?? null }))
      .filter(({ answer }) => !answers.has(answer.id)),
  )
  if (sets.length + newQuestions.length + newAnswers.length === 0) return questionnaires

  const stamp = { create_datetime: '2005-01-01T00:00:00', create_user_id: 'SYSTEM' }
  const first = Math.max(1_000, ...questionnaires.values()) + 1
  const all = new Map([...questionnaires, ...sets.map((set, i) => [set.code, first + i] as const)])
  await writer.transaction(async () => {
    await writer.insert(
      'nomis.questionnaires',
      sets.map((set) => ({
        questionnaire_id: all.get(set.code),
        questionnaire_category: 'IR_TYPE',
        code: set.code,
        active_flag: 'Y',
        description: set.type,
        list_seq: set.index + 1,
        ...stamp,
      })),
    )
    await writer.insert(
      'nomis.questionnaire_questions',
      newQuestions.map(({ set, question, i }) => ({
        questionnaire_que_id: question.id,
        questionnaire_id: all.get(set.code),
        que_seq: i + 1,
        description: question.text,
        list_seq: i + 1,
        active_flag: 'Y',
        multiple_answer_flag: question.multiple ? 'Y' : 'N',
        ...stamp,
      })),
    )
    await writer.insert(
      'nomis.questionnaire_answers',
      newAnswers.map(({ answer, j, question, next }) => ({
        questionnaire_ans_id: answer.id,
        questionnaire_que_id: question.id,
        next_questionnaire_que_id: next,
        ans_seq: j + 1,
        description: answer.text,
        list_seq: j + 1,
        active_flag: 'Y',
        date_required_flag: answer.asksDate ? 'Y' : 'N',
        comment_required_flag: answer.asksComment ? 'Y' : 'N',
        ...stamp,
      })),
    )
    await writer.insert(
      'nomis.questionnaire_roles',
      sets.map((set) => ({
        questionnaire_id: all.get(set.code),
        participation_role: 'PERP',
        single_role_flag: 'N',
        active_flag: 'Y',
        list_seq: 1,
        ...stamp,
      })),
    )
  })
  return all
}

async function readQuestionnaires(writer: Writer): Promise<Questionnaires> {
  const rows = await writer.read<{ code: string; id: string }>(
    `SELECT code, questionnaire_id AS id FROM nomis.questionnaires WHERE questionnaire_category = 'IR_TYPE'`,
  )
  return new Map(rows.map((row) => [row.code, Number(row.id)]))
}

async function readIds(writer: Writer, table: string, column: string): Promise<ReadonlySet<number>> {
  const rows = await writer.read<{ id: string }>(`SELECT ${column} AS id FROM ${table}`)
  return new Set(rows.map((row) => Number(row.id)))
}
