/** How the incident reporting service writes questions and answers (rules dps.writes, dps.answers). */
import { TYPES } from './codes.ts'
import { CURRENT, insertHistory, insertQuestions, responseRows } from './dps.ts'
import { readReport } from './dps-read.ts'
import { answerQuestion, answerQuestions } from './incidents.ts'
import type { Pattern, Turn } from './patterns.ts'
import { questionSet } from './questions.ts'
import { onReport, touch, type Report } from './report-turn.ts'

export const QUESTION_PATTERNS: readonly Pattern[] = [
  { name: 'answer-questions', weight: 8, run: onReport(answerMore) },
  { name: 'answer-again', weight: 7, run: onReport(answerAgain) },
  { name: 'remove-questions', weight: 2, run: onReport(removeQuestions) },
  { name: 'change-type', weight: 4, run: onReport(changeType) },
]

async function answerMore(turn: Turn, { id, type }: Report): Promise<boolean> {
  const { write, random, at, by } = turn
  const asked = await readQuestions(turn, id)
  const codes = new Set(asked.map((question) => question.code))
  const left = questionSet(type).questions.filter((question) => !codes.has(String(question.id)))
  if (left.length === 0) return false
  const questions = left.slice(0, random.int(1, 4)).map((question) => answerQuestion(random, question, at, by))
  await insertQuestions(write, CURRENT, [{ parent: id, questions, first: (asked.at(-1)?.sequence ?? 0) + 1 }])
  await touch(turn, id)
  return true
}

/** Answers get new ids each time; in the service the new ones are mostly inserted before the old are deleted. */
async function answerAgain(turn: Turn, { id, type }: Report): Promise<boolean> {
  const { write, random, at, by } = turn
  const definitions = new Map(questionSet(type).questions.map((question) => [String(question.id), question]))
  const known = (await readQuestions(turn, id)).filter((question) => definitions.has(question.code))
  if (known.length === 0) return false
  for (const question of random.sample(known, random.int(1, 3))) {
    const answered = answerQuestion(random, definitions.get(question.code)!, at, by)
    await write.write('UPDATE public.question SET question = $2, additional_information = $3 WHERE id = $1', [
      question.id,
      answered.text,
      answered.information,
    ])
    const old = await write.read<{ id: number }>('SELECT id FROM public.response WHERE question_id = $1 ORDER BY id', [
      question.id,
    ])
    const remove = (): Promise<number> =>
      write.write('DELETE FROM public.response WHERE id = ANY ($1)', [old.map((response) => response.id)])
    const deleteFirst = random.chance(0.3)
    if (deleteFirst) await remove()
    await write.insert('public.response', responseRows(CURRENT, question.id, answered))
    if (!deleteFirst) await remove()
  }
  await touch(turn, id)
  return true
}

async function removeQuestions(turn: Turn, { id }: Report): Promise<boolean> {
  const { write, random } = turn
  const asked = await readQuestions(turn, id)
  if (asked.length === 0) return false
  const gone = random.sample(asked, random.int(1, 2)).map((question) => question.id)
  await write.write('DELETE FROM public.response WHERE question_id = ANY ($1)', [gone])
  await write.write('DELETE FROM public.question WHERE id = ANY ($1)', [gone])
  await touch(turn, id)
  return true
}

/** Questions move to the history under new ids; prisoners are dropped without a trace. */
async function changeType(turn: Turn, { id, type }: Report): Promise<boolean> {
  const { random, write, at, by } = turn
  const report = await readReport(write, id)
  if (report === null) return false
  await insertHistory(write, [{ report: id, type, at, by, questions: report.questions }])
  await write.write(
    'DELETE FROM public.response a USING public.question q WHERE q.id = a.question_id AND q.report_id = $1',
    [id],
  )
  await write.write('DELETE FROM public.question WHERE report_id = $1', [id])
  await write.write('DELETE FROM public.prisoner_involvement WHERE report_id = $1', [id])
  const next = random.pick(TYPES.filter(([dps]) => dps !== type))[0]
  await touch(turn, id, 'type = $4, prisoner_involvement_done = false', next)
  if (random.chance(0.3)) {
    await insertQuestions(write, CURRENT, [{ parent: id, questions: answerQuestions(random, next, at, by) }])
  }
  return true
}

function readQuestions({ write }: Turn, report: string): Promise<{ id: number; code: string; sequence: number }[]> {
  return write.read('SELECT id, code, sequence FROM public.question WHERE report_id = $1 ORDER BY sequence, id', [
    report,
  ])
}
