/** Every route that changes something, given what is good, nearly good and nonsense: all of a change, or nothing of it. */
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import * as ROLES from '../../api/roles.ts'
import { openSource } from '../../api/source.ts'
import { nomisReportId } from '../../api/sync.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { describedRoutes, mustBeDeclared, requestOf, type Asked, type Described } from '../support/openapi.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { nomisReport } from '../support/writes.ts'

const RUNS_OF_EACH = 40
const REPORTS = 60

let database: TestDatabase
let store: pg.Pool
let source: pg.Pool
let api: TestApi
let headers: Record<string, string>
let routes: Described[]
let tables: string[]
let known: Record<string, string[]>

const REPORT = {
  type: 'ASSAULT_5',
  incidentDateAndTime: '2026-05-31T23:30:00',
  location: 'MDI',
  title: 'A fight on the wing',
  description: 'Two prisoners fought.',
}
const PRISONER = { prisonerNumber: 'T0001AA', firstName: 'Fern', lastName: 'Fixture', prisonerRole: 'FIGHTER' }
const STAFF = { firstName: 'Ivy', lastName: 'Stubbs', staffRole: 'WITNESS' }
const ADDENDUM = { firstName: 'Ivy', lastName: 'Stubbs', text: 'More' }
const CORRECTION = { descriptionOfChange: 'Say more', userAction: 'HOLD', userType: 'DATA_WARDEN', location: 'MDI' }
const QUESTION = {
  code: '45054',
  question: 'WHERE',
  responses: [{ code: '1', response: 'YES', responseDate: '2026-05-01' }],
}
const MAPPING = { dpsIncidentId: nomisReportId(5), nomisIncidentId: 5, label: 'run', mappingType: 'MIGRATED' }
const PROGRESS = {
  recordsMigrated: 3,
  filter: '7',
  failed: [{ nomisIncidentId: 9, code: '100', reason: 'Unknown' }],
  recovered: [8],
}

/** One that is accepted, of each route that takes a body. */
const BODIES: Readonly<Record<string, unknown>> = {
  'POST /incident-reports': REPORT,
  'PATCH /incident-reports/{id}': { title: 'Another title', location: 'MDI', staffInvolvementDone: true },
  'PATCH /incident-reports/{id}/status': {
    newStatus: 'AWAITING_REVIEW',
    correctionRequest: { descriptionOfChange: 'Ready' },
  },
  'PATCH /incident-reports/{id}/type': { newType: 'FIRE_1' },
  'PUT /incident-reports/{id}/questions': [QUESTION, { ...QUESTION, code: '2' }],
  'POST /incident-reports/{id}/prisoners-involved': PRISONER,
  'PATCH /incident-reports/{id}/prisoners-involved/{index}': PRISONER,
  'POST /incident-reports/{id}/staff-involved': STAFF,
  'PATCH /incident-reports/{id}/staff-involved/{index}': STAFF,
  'POST /incident-reports/{id}/description-addendums': ADDENDUM,
  'PATCH /incident-reports/{id}/description-addendums/{index}': ADDENDUM,
  'POST /incident-reports/{id}/correction-requests': CORRECTION,
  'PATCH /incident-reports/{id}/correction-requests/{index}': CORRECTION,
  'POST /sync/upsert': { id: null, initialMigration: true, incidentReport: nomisReport() },
  'POST /mapping/incidents': MAPPING,
  'POST /mapping/incidents/nomis-incident-id': [5, 6],
  'POST /migrate/history/active/{type}': { estimatedRecordCount: 10 },
  'PATCH /migrate/history/{id}': PROGRESS,
  'PUT /rollout/{prison}/{type}': { dpsFrom: '2026-01-01', cutOffMonths: 6 },
}

beforeAll(async () => {
  database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
  store = openDatabase(database.url)
  source = openSource(database.url)
  api = await testApi({ database: store, writes: { source, clock: () => new Date('2026-06-01T12:00:00Z') } })
  headers = await api.as({ roles: Object.values(ROLES) })
  const found = await database.query<{ name: string }>(
    `SELECT schemaname || '.' || tablename AS name FROM pg_tables
     WHERE schemaname IN ('public', 'nomis', 'migration') AND tablename NOT LIKE 'constant\\_%'`,
  )
  tables = found.map(({ name }) => name)
  const reading = await testApi({ database: store })
  const reads = new Set((await describedRoutes(reading.app)).map(({ method, path }) => `${method} ${path}`))
  await reading.app.close()
  routes = (await describedRoutes(api.app))
    .filter(({ method, path }) => method !== 'GET' && !reads.has(`${method} ${path}`))
    .toSorted((a, b) => takesAway(a) - takesAway(b))
  known = await goodValues()
})

afterAll(async () => {
  await api.app.close()
  await Promise.all([store.end(), source.end()])
  await database.drop()
})

const ask = (method: Described['method'], { url, body, headers: more }: Asked) =>
  api.app.inject({
    method,
    url,
    headers: { ...headers, ...more },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  })

const JSON_BODY = { 'content-type': 'application/json' }

async function made(method: Described['method'], url: string, body: unknown): Promise<Record<string, string>> {
  const answer = await ask(method, { url, body, headers: JSON_BODY })
  expect(answer.statusCode, url).toBeLessThan(300)
  return answer.json()
}

/** Reports of DPS with one of everything, an incident of NOMIS, and a run of the migrator. */
async function goodValues(): Promise<typeof known> {
  await made('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2026-01-01' })
  const ids: string[] = []
  for (let n = 0; n < REPORTS; n++) {
    const { id = '' } = await made('POST', '/incident-reports', REPORT)
    ids.push(id)
    await made('PUT', `/incident-reports/${id}/questions`, [QUESTION])
    for (const [part, body] of Object.entries({ 'prisoners-involved': PRISONER, 'staff-involved': STAFF })) {
      await made('POST', `/incident-reports/${id}/${part}`, body)
    }
    for (const [part, body] of Object.entries({
      'description-addendums': ADDENDUM,
      'correction-requests': CORRECTION,
    })) {
      await made('POST', `/incident-reports/${id}/${part}`, body)
    }
  }
  const { id: legacy = '' } = await made('POST', '/sync/upsert', {
    id: null,
    initialMigration: true,
    incidentReport: nomisReport({ incidentId: 6 }),
  })
  const { migrationId = '' } = await made('POST', '/migrate/history/active/INCIDENTS', { estimatedRecordCount: 1 })
  return {
    id: ids,
    index: ['1'],
    code: ['45054'],
    prison: ['MDI', '*ALL*'],
    type: ['FIRE_1', '*ALL*'],
    '/migrate/history/{id} id': [migrationId],
    '/sync/{id} id': [legacy],
    '/mapping/incidents/dps-incident-id/{id} id': [MAPPING.dpsIncidentId],
    '/migrate/history/active/{type} type': ['INCIDENTS', 'INCIDENTS_FOLLOW'],
  }
}

/** What deletes comes last, and what deletes everything behind it. */
function takesAway({ method, path }: Described): number {
  return Number(method === 'DELETE') + Number(`${method} ${path}` === 'DELETE /mapping/incidents')
}

/** Every row there is. */
async function everything(): Promise<string> {
  const rows = tables.map(
    (table) => `SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM ${table} t`,
  )
  return JSON.stringify(await database.query(rows.join(' UNION ALL ')))
}

test('whatever is asked, no answer is a 5xx, each is declared, and what is refused has written nothing', async () => {
  expect(routes.length).toBeGreaterThan(25)
  const changed = new Set<string>()
  const wrong: string[] = []
  for (const route of routes) {
    const what = `${route.method} ${route.path}`
    expect(!route.hasBody || what in BODIES, `${what} has a good body here`).toBe(true)
    let before = await everything()
    const requests = requestOf(route, { known, good: 85 }, BODIES[what])
    const holds = fc.asyncProperty(requests, async (asked) => {
      const answer = await ask(route.method, asked)
      const after = await everything()
      if (answer.statusCode < 300 && after !== before) changed.add(what)
      const refusedInPart = answer.statusCode >= 400 && after !== before
      before = after
      if (refusedInPart) throw new Error(`${what} was refused with ${answer.statusCode}, and has written`)
      mustBeDeclared(route, answer)
    })
    const { failed, counterexample, errorInstance } = await fc.check(holds, {
      numRuns: RUNS_OF_EACH,
      endOnFailure: true,
    })
    if (failed) wrong.push(`${String(errorInstance)}: ${JSON.stringify(counterexample).slice(0, 1_000)}`)
  }
  expect(wrong).toEqual([])
  const unchanging = routes.map(({ method, path }) => `${method} ${path}`).filter((what) => !changed.has(what))
  expect(unchanging).toEqual(['POST /mapping/incidents/nomis-incident-id'])
}, 180_000)

test('a report of another prison is not there for any route, and stays as it is', async () => {
  const { id = '' } = await made('POST', '/incident-reports', REPORT)
  const elsewhere = await api.as({ roles: Object.values(ROLES), caseloads: ['LEI'] })
  const before = await everything()
  const ofReports = routes.filter(({ path }) => path.startsWith('/incident-reports/{id}'))
  expect(ofReports.length).toBeGreaterThan(15)
  for (const { method, path } of ofReports) {
    const url = path.replace('{id}', id).replace('{index}', '1')
    const answer = await api.app.inject({
      method,
      url: url.endsWith('/questions') ? `${url}?code=45054` : url,
      headers: { ...elsewhere, ...JSON_BODY },
      payload: JSON.stringify(BODIES[`${method} ${path}`] ?? {}),
    })
    expect([answer.statusCode, answer.json().errorCode], `${method} ${path}`).toEqual([404, 301])
  }
  expect(await everything()).toBe(before)
})

test.for<[what: string, path: string, body: string, status: number]>([
  [
    'ten thousand questions',
    '/questions',
    JSON.stringify(
      Array.from({ length: 10_000 }, (_, i) => ({
        code: String(i),
        question: 'W',
        responses: [{ code: '1', response: 'Y' }],
      })),
    ),
    400,
  ],
  ['one question twice', '/questions', JSON.stringify([QUESTION, QUESTION]), 400],
  ['ten megabytes', '/questions', JSON.stringify([{ ...QUESTION, question: 'x'.repeat(10 << 20) }]), 413],
  ['half of a body', '/questions', JSON.stringify([QUESTION]).slice(0, -9), 400],
  ['ten thousand levels', '/questions', '['.repeat(10_000) + ']'.repeat(10_000), 400],
  ['a key of the prototype', '/questions', '[{"__proto__": {"code": "1"}}]', 400],
])('%s', async ([, path, body, status]) => {
  const { id } = await made('POST', '/incident-reports', REPORT)
  const before = await everything()
  const answer = await api.app.inject({
    method: 'PUT',
    url: `/incident-reports/${id}${path}`,
    headers: { ...headers, ...JSON_BODY },
    payload: body,
  })
  expect([answer.statusCode, answer.json()]).toMatchObject([status, { status, moreInfo: null }])
  expect(await everything()).toBe(before)
})
