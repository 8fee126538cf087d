/** NOMIS against the incident database, incident by incident and column by column; what differs is kept. */
import type pg from 'pg'
import type { NomisReport } from '../../schemas/nomis-payload.ts'
import { nomisRows } from '../../schemas/nomis-rows.ts'
import type { NomisClient } from './client.ts'
import { inParallel, PAGE_SIZE } from './migrator.ts'

export interface ComparisonOptions {
  readonly nomis: NomisClient
  /** The incident database, its times as ISO text. */
  readonly source: pg.Pool
  readonly concurrency?: number | undefined
  readonly signal?: AbortSignal
  readonly progress?: (compared: number, total: number) => void
}

export interface Difference {
  readonly nomisIncidentId: number
  readonly prison: string | null
  /** As NOMIS writes it. */
  readonly type: string | null
  /** A table, or on which side there is nothing. */
  readonly what: string
}

export interface Comparison {
  readonly compared: number
  readonly differences: readonly Difference[]
  readonly complete: boolean
}

type Row = Readonly<Record<string, unknown>>
type Tables = Readonly<Record<string, readonly Row[]>>

const FIRST_COPY = 10_000_000

/** Incidents that were edited here by hand are left out: they are to differ. NOMIS_UNREACHABLE. */
export async function compareNomis(options: ComparisonOptions): Promise<Comparison> {
  const { nomis, source, concurrency = 8, signal, progress } = options
  const [{ id: comparison }] = (await source.query('INSERT INTO migration.comparison DEFAULT VALUES RETURNING id'))
    .rows as [{ id: number }]
  const differences: Difference[] = []
  let compared = 0
  let last = 0
  for (let page = 0; signal?.aborted !== true; page++) {
    const { ids: all, total } = await nomis.page(page, PAGE_SIZE, last)
    const ids = all.filter((id) => id < FIRST_COPY)
    const until = all.at(-1) ?? FIRST_COPY - 1
    const held = await readHeld(source, last + 1, until)
    last = until
    const found: Difference[] = [...held]
      .filter(([id]) => !ids.includes(id))
      .map(([id, { prison, type }]) => ({ nomisIncidentId: id, prison, type, what: 'not in NOMIS' }))
    await inParallel(ids, concurrency, async (id) => {
      const here = held.get(id)
      if (here?.edited === true) return
      const difference = differ(await nomis.incident(id).catch(unreadable), here ?? null)
      if (difference !== null) found.push({ nomisIncidentId: id, ...difference })
    })
    await keep(source, comparison, found)
    differences.push(...found)
    compared += ids.length
    progress?.(compared, total)
    if (all.length === 0) break
  }
  const complete = signal?.aborted !== true
  await source.query(
    'UPDATE migration.comparison SET compared = $2, differing = $3, when_ended = CASE WHEN $4 THEN now() END WHERE id = $1',
    [comparison, compared, differences.length, complete],
  )
  return { compared, differences, complete }
}

function unreadable(error: unknown): 'unreadable' {
  if ((error as { code?: unknown }).code === 'NOMIS_PAYLOAD') return 'unreadable'
  throw error
}

interface Held {
  readonly prison: string | null
  readonly type: string
  readonly edited: boolean
  readonly tables: Tables
}

function differ(
  report: NomisReport | 'unreadable' | null,
  held: Held | null,
): Omit<Difference, 'nomisIncidentId'> | null {
  if (report === 'unreadable')
    return { prison: held?.prison ?? null, type: held?.type ?? null, what: 'unreadable in NOMIS' }
  if (report === null) return held === null ? null : { prison: held.prison, type: held.type, what: 'not in NOMIS' }
  const where = { prison: report.prison.code, type: report.type }
  if (held === null) return { ...where, what: 'not in the incident database' }
  const expected = tablesOf(report)
  const table = Object.keys(expected).find((name) => !same(expected[name]!, held.tables[name] ?? []))
  return table === undefined ? null : { ...where, what: table }
}

/** The history's number is the database's own, so its rows are told apart by what they say. */
function tablesOf(report: NomisReport): Tables {
  const { incident, parties, questions, responses, requirements, histories } = nomisRows(report)
  return {
    incident_cases: [incident],
    incident_case_parties: parties,
    incident_case_questions: questions,
    incident_case_responses: responses,
    incident_case_requirements: requirements,
    incident_questionnaire_hty: histories.map(({ history }) => history),
    incident_que_question_hty: histories.flatMap((each) => each.questions),
    incident_que_response_hty: histories.flatMap((each) => each.responses),
  }
}

/** Columns that a payload does not bring are not looked at. */
function same(expected: readonly Row[], held: readonly Row[]): boolean {
  if (expected.length !== held.length) return false
  const columns = Object.keys(expected[0] ?? {}).toSorted()
  const text = (row: Row): string => JSON.stringify(columns.map((column) => row[column] ?? null))
  const [a, b] = [expected.map(text).toSorted(), held.map(text).toSorted()]
  return a.every((each, i) => each === b[i])
}

const DIRECT = [
  'incident_cases',
  'incident_case_parties',
  'incident_case_questions',
  'incident_case_responses',
  'incident_case_requirements',
  'incident_questionnaire_hty',
]
const OF_HISTORY = ['incident_que_question_hty', 'incident_que_response_hty']

const listed = (table: string, where: string): string =>
  `'${table}', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM nomis.${table} t WHERE ${where})`

const READ = `
  SELECT incident_case_id AS id, agy_loc_id AS prison, incident_type AS type,
         EXISTS (SELECT FROM migration.edit WHERE nomis_incident_id = incident_case_id) AS edited,
         jsonb_build_object(${[
           ...DIRECT.map((table) => listed(table, 't.incident_case_id = c.incident_case_id')),
           ...OF_HISTORY.map((table) =>
             listed(
               table,
               `t.incident_questionnaire_id IN (SELECT incident_questionnaire_id FROM nomis.incident_questionnaire_hty h
                  WHERE h.incident_case_id = c.incident_case_id)`,
             ),
           ),
         ].join(', ')}) AS tables
    FROM nomis.incident_cases c WHERE incident_case_id BETWEEN $1 AND $2 AND incident_case_id < ${FIRST_COPY}`

async function readHeld(source: pg.Pool, from: number, until: number): Promise<Map<number, Held>> {
  const { rows } = await source.query<Held & { id: string | number }>(READ, [from, until])
  return new Map(rows.map((row) => [Number(row.id), row]))
}

async function keep(source: pg.Pool, comparison: number, found: readonly Difference[]): Promise<void> {
  if (found.length === 0) return
  await source.query(
    `INSERT INTO migration.difference (comparison_id, nomis_incident_id, prison, type, what)
     SELECT $1, d."nomisIncidentId", d.prison, d.type, d.what
       FROM json_to_recordset($2) AS d ("nomisIncidentId" bigint, prison text, type text, what text) ON CONFLICT DO NOTHING`,
    [comparison, JSON.stringify(found)],
  )
}
