/** The question sets that a NOMIS incident refers to: made from what its payload says of them, where they are missing. */
import type { NomisReport } from '../schemas/nomis-payload.ts'
import { Refusal } from './refusal.ts'
import type { Sql } from './source.ts'

interface References {
  /** Type codes by questionnaire. */
  readonly questionnaires: ReadonlyMap<number, string>
  readonly questions: readonly { id: number; questionnaire: number; sequence: number; text: string }[]
  readonly answers: readonly { id: number; question: number; sequence: number; text: string }[]
}

/** Validation when a questionnaire is another type's. */
export async function ensureReferences(sql: Sql, report: NomisReport): Promise<void> {
  const wanted = referencesOf(report)
  const values = [
    [...wanted.questionnaires.keys()],
    [...wanted.questionnaires.values()],
    JSON.stringify(wanted.questions),
    JSON.stringify(wanted.answers),
  ]
  if (await isWhole(sql, values)) return
  // Two at a time would wait for each other's rows in another order each.
  await sql(`SELECT pg_advisory_xact_lock(hashtext('incidents nomis references'))`)
  await sql(MAKE, values)
  if (!(await isWhole(sql, values))) {
    throw new Refusal('validation', 'a questionnaire is not that of its incident type')
  }
}

async function isWhole(sql: Sql, values: readonly unknown[]): Promise<boolean> {
  const [found] = await sql<{ whole: boolean }>(WHOLE, values, 'incidents sync references')
  return found!.whole
}

const QUESTIONS = `json_to_recordset($3) AS q (id bigint, questionnaire bigint, sequence int, text text)`
const ANSWERS = `json_to_recordset($4) AS a (id bigint, question bigint, sequence int, text text)`

const WHOLE = `
  SELECT NOT EXISTS (SELECT FROM unnest($1::bigint[], $2::text[]) AS w (id, code) WHERE NOT EXISTS
           (SELECT FROM nomis.questionnaires WHERE questionnaire_id = w.id AND code = w.code))
     AND NOT EXISTS (SELECT FROM ${QUESTIONS} WHERE NOT EXISTS
           (SELECT FROM nomis.questionnaire_questions WHERE questionnaire_que_id = q.id))
     AND NOT EXISTS (SELECT FROM ${ANSWERS} WHERE NOT EXISTS
           (SELECT FROM nomis.questionnaire_answers WHERE questionnaire_ans_id = a.id)) AS whole`

const MAKE = `
  WITH sets AS (INSERT INTO nomis.questionnaires (questionnaire_id, questionnaire_category, code)
                SELECT id, 'IR_TYPE', code FROM unnest($1::bigint[], $2::text[]) AS w (id, code)
                ON CONFLICT DO NOTHING),
       questions AS (INSERT INTO nomis.questionnaire_questions (questionnaire_que_id, questionnaire_id, que_seq, description)
                     SELECT id, questionnaire, sequence, left(text, 120) FROM ${QUESTIONS} ON CONFLICT DO NOTHING)
  INSERT INTO nomis.questionnaire_answers (questionnaire_ans_id, questionnaire_que_id, ans_seq, description)
  SELECT id, question, sequence, left(text, 80) FROM ${ANSWERS} ON CONFLICT DO NOTHING`

/** Only the history tables refer to questions and answers. */
function referencesOf(report: NomisReport): References {
  const questionnaires = new Map([[report.questionnaireId, report.type]])
  const questions = new Map<number, References['questions'][number]>()
  const answers = new Map<number, References['answers'][number]>()
  for (const history of report.history) {
    const known = questionnaires.get(history.questionnaireId)
    if (known !== undefined && known !== history.type) {
      throw new Refusal('validation', 'a questionnaire is not that of its incident type')
    }
    questionnaires.set(history.questionnaireId, history.type)
    for (const { questionId, sequence, question, answers: given } of history.questions) {
      questions.set(questionId, { id: questionId, questionnaire: history.questionnaireId, sequence, text: question })
      for (const { questionResponseId, responseSequence, answer } of given) {
        if (questionResponseId == null) continue
        answers.set(questionResponseId, {
          id: questionResponseId,
          question: questionId,
          sequence: responseSequence,
          text: answer ?? '',
        })
      }
    }
  }
  return { questionnaires, questions: [...questions.values()], answers: [...answers.values()] }
}
