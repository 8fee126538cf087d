/** What belongs to a report: its questions by their codes, everything else by its place in its list, from 1. */
import { mustBeEditable, onReport, touch, type Locked, type OnReport } from './report-lock.ts'
import type { Part, PutQuestions } from './report-payloads.ts'
import { readParts, readQuestions } from './report-rows.ts'
import { Refusal } from './refusal.ts'
import type { Sql } from './source.ts'

type Given = Readonly<Record<string, unknown>>

export async function addPart(change: OnReport, part: Part, given: Given): Promise<unknown[]> {
  return onReport(change, async (sql, report) => {
    mustAllow(part, report)
    const values = { ...defaults(part, report, change), ...columnsOf(part, given) }
    const columns = Object.keys(values)
    await sql(
      `INSERT INTO public.${part.table} (report_id, ${columns.join(', ')}, sequence)
       SELECT $1, ${columns.map((_, i) => `$${i + 2}`).join(', ')}, coalesce(max(sequence) + 1, 0)
         FROM public.${part.table} WHERE report_id = $1`,
      [report.id, ...Object.values(values)],
    )
    return done(sql, { change, part, report })
  })
}

export async function changePart(
  change: OnReport,
  part: Part,
  { index, given }: { index: number; given: Given },
): Promise<unknown[]> {
  return onReport(change, async (sql, report) => {
    mustAllow(part, report)
    const row = await rowAt(sql, { part, report, index })
    const values = columnsOf(part, given)
    const columns = Object.keys(values)
    if (columns.length === 0) return readParts(sql, report.id, part)
    await sql(
      `UPDATE public.${part.table} SET ${columns.map((column, i) => `${column} = $${i + 2}`).join(', ')} WHERE id = $1`,
      [row, ...Object.values(values)],
    )
    return done(sql, { change, part, report })
  })
}

export async function removePart(change: OnReport, part: Part, index: number): Promise<unknown[]> {
  return onReport(change, async (sql, report) => {
    mustAllow(part, report)
    await sql(`DELETE FROM public.${part.table} WHERE id = $1`, [await rowAt(sql, { part, report, index })])
    return done(sql, { change, part, report })
  })
}

async function done(
  sql: Sql,
  { change, part, report }: { change: OnReport; part: Part; report: Locked },
): Promise<unknown[]> {
  if (part.table === 'correction_request') {
    await sql(
      `UPDATE public.report SET last_user_action = (SELECT user_action FROM public.correction_request
          WHERE report_id = $1 ORDER BY sequence DESC, id DESC LIMIT 1) WHERE id = $1`,
      [report.id],
    )
  }
  await touch(sql, report, change.caller)
  return readParts(sql, report.id, part)
}

/** Corrections and additions to the description are made in any status: that is what they are for. */
function mustAllow({ table }: Part, report: Locked): void {
  if (table === 'prisoner_involvement' || table === 'staff_involvement') mustBeEditable(report)
}

function columnsOf({ columns }: Part, given: Given): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(columns)
      .filter(
        ([property, column]) => given[property] !== undefined && !(given[property] === null && STAMPS.has(column)),
      )
      .map(([property, column]) => [column, given[property]]),
  )
}

/** Null leaves who and when to the default, or as it is. */
const STAMPS: ReadonlySet<string> = new Set(['created_by', 'created_at'])

function defaults({ table }: Part, { now }: Locked, { caller }: OnReport): Record<string, unknown> {
  if (table === 'description_addendum') return { created_by: caller.username, created_at: now }
  if (table !== 'correction_request') return {}
  return { correction_requested_by: caller.username, correction_requested_at: now }
}

async function rowAt(
  sql: Sql,
  { part, report, index }: { part: Part; report: Locked; index: number },
): Promise<number> {
  const [row] = await sql<{ id: number }>(
    `SELECT id FROM public.${part.table} WHERE report_id = $1 ORDER BY sequence, id LIMIT 1 OFFSET $2`,
    [report.id, index - 1],
  )
  if (row === undefined) throw new Refusal('notFound', 'There is nothing at this place')
  return row.id
}

/**
 * A question that is there keeps label and place; its responses are replaced by new rows
 * (rules dps.answers, dps.question-text).
 */
export async function putQuestions(change: OnReport, given: PutQuestions): Promise<Questions> {
  return onReport(change, async (sql, report) => {
    mustBeEditable(report)
    const held = await sql<{ id: number; code: string; sequence: number }>(
      'SELECT id, code, sequence FROM public.question WHERE report_id = $1 ORDER BY sequence, id',
      [report.id],
    )
    let last = Math.max(0, ...held.map(({ sequence }) => sequence))
    for (const question of given) {
      const there = held.find(({ code }) => code === question.code)
      const id =
        there === undefined
          ? await insertQuestion(sql, report.id, { question, sequence: ++last })
          : await resetQuestion(sql, there.id, question)
      await sql(
        `INSERT INTO public.response (question_id, sequence, code, response, label, response_date,
           additional_information, recorded_at, recorded_by)
         SELECT $1, (r.place - 1)::int, r.each->>'code', r.each->>'response', coalesce(r.each->>'label', r.each->>'response'),
                (r.each->>'responseDate')::date, r.each->>'additionalInformation', $3, $4
           FROM json_array_elements($2::json) WITH ORDINALITY AS r (each, place)`,
        [id, JSON.stringify(question.responses), report.now, change.caller.username],
      )
    }
    await touch(sql, report, change.caller)
    return readQuestions(sql, report.id)
  })
}

type OneQuestion = PutQuestions[number]
type Questions = Awaited<ReturnType<typeof readQuestions>>

async function insertQuestion(
  sql: Sql,
  report: string,
  { question, sequence }: { question: OneQuestion; sequence: number },
): Promise<number> {
  const [row] = await sql<{ id: number }>(
    `INSERT INTO public.question (report_id, sequence, code, question, label, additional_information)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
    [
      report,
      sequence,
      question.code,
      question.question,
      question.label ?? question.question,
      question.additionalInformation,
    ],
  )
  return row!.id
}

async function resetQuestion(sql: Sql, id: number, question: OneQuestion): Promise<number> {
  await sql('UPDATE public.question SET question = $2, additional_information = $3 WHERE id = $1', [
    id,
    question.question,
    question.additionalInformation,
  ])
  await sql('DELETE FROM public.response WHERE question_id = $1', [id])
  return id
}

export async function deleteQuestions(change: OnReport, codes: readonly string[]): Promise<Questions> {
  return onReport(change, async (sql, report) => {
    mustBeEditable(report)
    const gone = await sql('DELETE FROM public.question WHERE report_id = $1 AND code = ANY ($2) RETURNING 1', [
      report.id,
      codes,
    ])
    if (gone.length > 0) await touch(sql, report, change.caller)
    return readQuestions(sql, report.id)
  })
}
