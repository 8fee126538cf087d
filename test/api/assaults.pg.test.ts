/** CatTool's own sequence of calls (rule service.cattool), executed, and the one call that answers for it. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { AssaultSummary, ReportPage, ReportWithDetails } from '../../api/shapes.ts'
import type { EntityRow } from '../../core/incident.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { changesOf } from '../support/incidents.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { dpsReport, nomisReport, prisoner, question, response } from '../support/unified-rows.ts'

const ACTIVE = [
  'ACTIVE_INVOLVEMENT',
  'ASSAILANT',
  'FIGHTER',
  'IMPEDED_STAFF',
  'PERPETRATOR',
  'SUSPECTED_ASSAILANT',
  'SUSPECTED_INVOLVED',
]
const STATUSES = ['AWAITING_REVIEW', 'ON_HOLD', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'WAS_CLOSED']
const SERIOUS = [
  'WAS THIS A SEXUAL ASSAULT',
  'WAS MEDICAL TREATMENT FOR CONCUSSION OR INTERNAL INJURIES REQUIRED',
  'WAS A SERIOUS INJURY SUSTAINED',
  'DID INJURIES RESULT IN DETENTION IN OUTSIDE HOSPITAL AS AN IN-PATIENT',
]

let store: TestDatabase
let database: pg.Pool
let api: TestApi
let headers: Record<string, string>

const rows: EntityRow[] = []
const told: (Required<Told> & { readonly id: string })[] = []
let n = 100

/** London's date some months ago, with days added: the boundary is a date. */
function monthsAgo(months: number, days = 0): string {
  const [year = 0, month = 0, day = 0] = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/London' })
    .format(new Date())
    .split('-')
    .map(Number)
  const lastOfMonth = new Date(Date.UTC(year, month - months, 0)).getUTCDate()
  const then = new Date(Date.UTC(year, month - 1 - months, Math.min(day, lastOfMonth) + days))
  return then.toISOString().slice(0, 10)
}

interface Told {
  readonly type?: string
  readonly status?: string
  readonly date?: string
  readonly nomis?: boolean
  readonly involved: readonly (readonly [prisonerNumber: string, role: string])[]
  readonly answers?: readonly (readonly [question: string, answer: string])[]
}

function add({
  type = 'ASSAULT_5',
  status = 'CLOSED',
  date = monthsAgo(1),
  nomis = false,
  involved,
  answers = [],
}: Told) {
  n += 1
  const given = { type, status, incidentDateAndTimeLocal: `${date}T00:00:00.000000` }
  const report = nomis ? nomisReport(n, given) : dpsReport(n, given)
  told.push({ id: report.id, type, status, date, nomis, involved, answers })
  rows.push(report)
  for (const [prisonerNumber, prisonerRole] of involved)
    rows.push(prisoner(++n, report, { prisonerNumber, prisonerRole }))
  for (const [asked, answered] of answers) {
    const one = question(++n, report, { question: asked })
    rows.push(one, response(++n, one, { response: 'NO' }), response(++n, one, { response: answered }))
  }
  return report
}

const recentSerious = add({ involved: [['S0000AA', 'ASSAILANT']], answers: [[SERIOUS[2]!, 'YES']] })
const thrice = add({ involved: ['ASSAILANT', 'FIGHTER', 'PERPETRATOR'].map((role) => ['T0000AA', role] as const) })
add({ involved: [['T0000AA', 'VICTIM']] })
add({ involved: [['T0000AA', 'ASSAILANT']], type: 'ASSAULT_2' })
for (const status of ['DRAFT', 'DUPLICATE', 'NOT_REPORTABLE', 'REOPENED'])
  add({ involved: [['T0000AA', 'FIGHTER']], status })
add({ involved: [['B0000AA', 'FIGHTER']], date: monthsAgo(12) })
add({ involved: [['B0000AA', 'FIGHTER']], date: monthsAgo(12, -1) })
add({
  involved: [['N0000AA', 'FIGHTER']],
  nomis: true,
  type: 'ASSAULT_1',
  answers: [['was this a sexual assault', 'Yes']],
})
add({
  involved: [
    ['V0000AA', 'VICTIM'],
    ['W0000AA', 'ASSAILANT'],
  ],
})

/** Many prisoners, each in up to three reports of any kind, the roles those of one or several. */
const MANY = Array.from({ length: 1_000 }, (_, i) => `P${String(i).padStart(4, '0')}XY`)
let state = 7
const pick = <T>(from: readonly T[]): T => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
  return from[Math.floor((state / 2_147_483_648) * from.length)]!
}
for (const number of MANY) {
  for (let i = pick([0, 1, 2, 3]); i > 0; i--) {
    add({
      type: pick(['ASSAULT_1', 'ASSAULT_5', 'ASSAULT_4']),
      status: pick([...STATUSES, 'DUPLICATE']),
      date: monthsAgo(pick([1, 11, 12, 13, 30])),
      nomis: pick([true, false]),
      involved: [
        [number, pick([...ACTIVE, 'VICTIM', 'WITNESS'])],
        [pick([number, pick(MANY)]), pick([...ACTIVE, 'VICTIM'])],
      ],
      answers: pick([[], [[pick(SERIOUS), pick(['YES', 'NO', 'yes'])] as const]]),
    })
  }
}

beforeAll(async () => {
  store = await filledStore(changesOf(rows))
  database = openDatabase(store.url)
  api = await testApi({ database })
  headers = await api.as({ clientId: 'cattool' })
})

afterAll(async () => {
  await api.app.close()
  await database.end()
  await store.drop()
})

async function get(url: string): Promise<unknown> {
  const answer = await api.app.inject({ url, headers })
  expect(answer.statusCode).toBe(200)
  return answer.json()
}

interface Counted {
  readonly countOfAssaults: number
  readonly countOfRecentSeriousAssaults: number
  readonly countOfRecentNonSeriousAssaults: number
}

/**
 * What the present service answers to CatTool's calls, as far as CatTool reads it: out of what was told, with each filter
 * as that service has it, number and role on two involvements among them (rule service.filters).
 */
function presentService(url: string): unknown {
  const { pathname, searchParams: asked } = new URL(url, 'http://present')
  const [, id] = /^\/incident-reports\/(.+)\/with-details$/.exec(pathname) ?? []
  if (id !== undefined) {
    const { answers } = told.find((each) => each.id === id)!
    return answers.map(([question, answer]) => [question, ['NO', answer]])
  }
  const matching = told.filter(
    ({ type, status, date, involved }) =>
      asked.getAll('type').includes(type) &&
      asked.getAll('status').includes(status) &&
      date >= (asked.get('incidentDateFrom') ?? '') &&
      involved.some(([who]) => who === asked.get('involvingPrisonerNumber')) &&
      involved.some(([, role]) => asked.getAll('involvingPrisonerRole').includes(role)),
  )
  const ids = matching.map((each) => each.id).toSorted()
  return [ids.length, asked.get('size') === '1' && ids.length > 1 ? 'one of them' : ids]
}

/** What CatTool reads of an answer. */
function readByCatTool(url: string, answer: unknown): unknown {
  if (url.endsWith('/with-details')) {
    return ReportWithDetails.parse(answer).questions.map(({ question: asked, responses }) => [
      asked,
      responses.map(({ response: given }) => given),
    ])
  }
  const { totalElements, content } = ReportPage.parse(answer)
  const ids = content.map(({ id }) => id).toSorted()
  return [totalElements, ids.length < totalElements ? 'one of them' : ids]
}

/** One call, whose answer is the present service's in all that CatTool reads. */
async function asPresently(url: string): Promise<unknown> {
  const answer = await get(url)
  expect([url, readByCatTool(url, answer)]).toEqual([url, presentService(url)])
  return answer
}

/** What CatTool asks: how many there are, then the recent ones' ids, then each with its questions. */
async function catTool(prisonerNumber: string, ask = get): Promise<Counted & { calls: number }> {
  const query = new URLSearchParams([
    ['involvingPrisonerNumber', prisonerNumber],
    ...ACTIVE.map((role): [string, string] => ['involvingPrisonerRole', role]),
    ['type', 'ASSAULT_1'],
    ['type', 'ASSAULT_5'],
    ...STATUSES.map((status): [string, string] => ['status', status]),
  ])
  const total = ReportPage.parse(await ask(`/incident-reports?${query.toString()}&size=1`)).totalElements
  const none = { countOfAssaults: 0, countOfRecentSeriousAssaults: 0, countOfRecentNonSeriousAssaults: 0 }
  if (total === 0) return { ...none, calls: 1 }
  const page = ReportPage.parse(
    await ask(`/incident-reports?${query.toString()}&incidentDateFrom=${monthsAgo(12)}&size=${total}`),
  )
  const recent: ReportWithDetails[] = []
  for (const { id } of page.content) {
    recent.push(ReportWithDetails.parse(await ask(`/incident-reports/${id}/with-details`)))
  }
  const serious = recent.filter((report) =>
    report.questions.some(
      ({ question: asked, responses }) =>
        SERIOUS.includes(asked.toUpperCase()) && responses.some((each) => each.response.toUpperCase() === 'YES'),
    ),
  ).length
  return {
    countOfAssaults: total,
    countOfRecentSeriousAssaults: serious,
    countOfRecentNonSeriousAssaults: recent.length - serious,
    calls: 2 + recent.length,
  }
}

type ReportWithDetails = ReturnType<typeof ReportWithDetails.parse>

const summary = async (number: string, query = '') =>
  AssaultSummary.strict().parse(await get(`/prisoners/${number}/assault-summary${query}`))

const counts = (all: number, serious: number, other: number): Counted => ({
  countOfAssaults: all,
  countOfRecentSeriousAssaults: serious,
  countOfRecentNonSeriousAssaults: other,
})

describe.each<[what: string, prisoner: string, counts: Counted]>([
  ['a recent serious assault', 'S0000AA', counts(1, 1, 0)],
  ['three roles in one report count once; other types, roles and statuses not at all', 'T0000AA', counts(1, 0, 1)],
  ['recent begins on the day twelve months ago', 'B0000AA', counts(2, 0, 1)],
  ['a report of NOMIS, whatever the case of question and answer', 'N0000AA', counts(1, 1, 0)],
  ['nobody of that number', 'X0000XX', counts(0, 0, 0)],
])('%s', (_, number, expected) => {
  test('as CatTool finds it with its sequence of calls', async () => {
    expect(await catTool(number)).toMatchObject(expected)
  })

  test('as one call answers it', async () => {
    expect(await summary(number)).toMatchObject(expected)
  })
})

test('a victim of somebody else’s assault is an assailant to the list’s filters, as in the present service, and not to the summary (rule service.filters)', async () => {
  expect(await catTool('V0000AA')).toMatchObject({ countOfAssaults: 1 })
  expect(await summary('V0000AA')).toMatchObject(counts(0, 0, 0))
  expect(await summary('W0000AA')).toMatchObject({ countOfAssaults: 1 })
})

/** What was told, counted here; the list's filters may match number and role on two involvements. */
function expected(number: string, on: 'one involvement' | 'two involvements'): Counted {
  const active = ([who, role]: readonly [string, string]) =>
    ACTIVE.includes(role) && (on === 'two involvements' || who === number)
  const counted = told.filter(
    ({ type, status, involved }) =>
      ['ASSAULT_1', 'ASSAULT_5'].includes(type) &&
      STATUSES.includes(status) &&
      involved.some(([who]) => who === number) &&
      involved.some(active),
  )
  const recent = counted.filter(({ date }) => date >= monthsAgo(12))
  const serious = recent.filter(({ answers }) =>
    answers.some(([asked, given]) => SERIOUS.includes(asked.toUpperCase()) && given.toUpperCase() === 'YES'),
  )
  return counts(counted.length, serious.length, recent.length - serious.length)
}

test('for each of a thousand prisoners each call of the sequence is answered as the present service answers it, and the summary is what was told', async () => {
  let asked = 0
  let differ = 0
  const left = MANY.values()
  const worker = async (): Promise<void> => {
    for (const number of left) {
      const { calls, ...sequence } = await catTool(number, asPresently)
      asked += calls
      const { reportIds, incomplete, ...one } = await summary(number)
      expect([number, sequence]).toEqual([number, expected(number, 'two involvements')])
      expect([number, one, incomplete]).toEqual([number, expected(number, 'one involvement'), false])
      expect(reportIds).toHaveLength(one.countOfAssaults)
      if (one.countOfAssaults !== sequence.countOfAssaults) differ += 1
    }
  }
  await Promise.all(Array.from({ length: 10 }, worker))
  expect(asked).toBeGreaterThan(MANY.length * 2)
  expect(differ).toBeGreaterThan(0)
})

test('one of a page says how many there are, for each role, status and type', async () => {
  const found: unknown[] = []
  const wanted: unknown[] = []
  for (const role of ACTIVE) {
    for (const status of STATUSES) {
      for (const type of ['ASSAULT_1', 'ASSAULT_5']) {
        const query = `involvingPrisonerRole=${role}&status=${status}&type=${type}&size=1`
        const page = ReportPage.parse(await get(`/incident-reports?${query}`))
        found.push([query, page.totalElements])
        const matching = told.filter(
          (each) => each.type === type && each.status === status && each.involved.some(([, held]) => held === role),
        )
        wanted.push([query, matching.length])
      }
    }
  }
  expect(found).toEqual(wanted)
})

test('recent is as long as it is asked to be', async () => {
  expect(await summary('B0000AA', '?recentMonths=13')).toMatchObject(counts(2, 0, 2))
  expect(await summary('S0000AA')).toMatchObject({ reportIds: [recentSerious.id], incomplete: false })
  expect(await summary('T0000AA')).toMatchObject({ reportIds: [thrice.id] })
})

describe('counts', () => {
  const count = async (query: string) =>
    (await get(`/incident-reports/counts?${query}`)) as { total: number; counts: object[] }

  test('are of each group and their combinations, and add up to what the list says', async () => {
    const list = ReportPage.parse(await get('/incident-reports?size=1'))
    for (const by of ['by=prison', 'by=type', 'by=status', 'by=month', 'by=type&by=status&by=prison&by=month']) {
      expect([by, (await count(by)).total]).toEqual([by, list.totalElements])
    }
    expect(await count('by=status&by=type&involvingPrisonerNumber=T0000AA&type=ASSAULT_2')).toEqual({
      by: ['status', 'type'],
      total: 1,
      counts: [{ status: 'CLOSED', type: 'ASSAULT_2', count: 1 }],
    })
    const month = monthsAgo(1).slice(0, 7)
    expect((await count('by=month&involvingPrisonerNumber=S0000AA')).counts).toEqual([{ month, count: 1 }])
  })

  test('are refused without a known by', async () => {
    for (const query of ['', 'by=', 'by=title']) {
      const answer = await api.app.inject({ url: `/incident-reports/counts?${query}`, headers })
      expect([answer.statusCode, answer.json().developerMessage]).toEqual([
        400,
        'by must be one or several of prison, type, status, month',
      ])
    }
  })
})
