/** Who saw what: one record for each answer, durable before it leaves. */
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditStore, type AuditStore } from '../../api/audit-store.ts'
import type { AuditRecord } from '../../api/audit.ts'
import { openDatabase } from '../../api/database.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { changesOf, DPS_INCIDENT } from '../support/incidents.ts'
import { filledStore, openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

const REVIEWER = { username: 'REVIEWER1', roles: ['ROLE_IRS_CDC__AUDITOR__RO'] }

let store: TestDatabase
let database: pg.Pool
let audit: AuditStore
let api: TestApi

beforeAll(async () => {
  store = await filledStore(changesOf(DPS_INCIDENT.rows))
  database = openDatabase(store.url)
  audit = auditStore(store.url)
  api = await testApi({ database, audit })
})

afterAll(async () => {
  await api.app.close()
  await audit.close()
  await database.end()
  await store.drop()
})

const { id } = DPS_INCIDENT.report
const written = () =>
  store.query<Record<string, string | null>>('SELECT * FROM prisons.incidents_audit ORDER BY id DESC')

test.for<[url: string, status: number, record: object]>([
  [`/incident-reports/${id}`, 200, { what: 'VIEW_INCIDENT_REPORT', subject_id: id, subject_type: 'INCIDENT_REPORT' }],
  ['/incident-reports/reference/10000001/with-details', 200, { what: 'VIEW_INCIDENT_REPORT', subject_id: '10000001' }],
  ['/incident-reports/reference/5', 404, { what: 'VIEW_INCIDENT_REPORT', subject_id: '5' }],
  [
    '/incident-reports?status=CLOSED&reportedByUsername=REPORTER1',
    200,
    { what: 'SEARCH_INCIDENT_REPORTS', subject_id: null, subject_type: 'NOT_APPLICABLE' },
  ],
  [
    '/incident-reports?involvingPrisonerNumber=A1234BC',
    200,
    { what: 'SEARCH_INCIDENT_REPORTS', subject_id: 'A1234BC', subject_type: 'PRISONER_ID' },
  ],
  [
    '/prisoners/A1234BC/assault-summary',
    200,
    { what: 'VIEW_ASSAULT_SUMMARY', subject_id: 'A1234BC', subject_type: 'PRISONER_ID' },
  ],
])('%s leaves one record of who, what, whom and why', async ([url, status, record]) => {
  const before = (await written().catch(() => [])).length
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const headers = {
    ...(await api.as({ username: 'USER1', clientId: 'cattool' })),
    'x-reason': 'Category review',
    traceparent: `00-${trace}-b7ad6b7169203331-01`,
  }
  expect((await api.app.inject({ url, headers })).statusCode).toBe(status)
  const [last, ...rest] = await written()
  expect(rest).toHaveLength(before)
  expect(last).toMatchObject({
    ...record,
    who: 'USER1',
    client_id: 'cattool',
    service: 'irs-cdc',
    operation_id: trace,
    why: 'Category review',
  })
  expect(JSON.parse(last!['details']!)).toMatchObject({ method: 'GET', status })
  expect(last!['details']).not.toContain('REPORTER1')
})

test('what a caller may not see is recorded too; what was never asked for in a form that is read, is not', async () => {
  const before = (await written()).length
  await api.app.inject({ url: '/incident-reports', headers: await api.as({ username: 'NOSY', roles: [] }) })
  const [last] = await written()
  expect([last!['who'], JSON.parse(last!['details']!).status]).toEqual(['NOSY', 403])
  await api.app.inject({ url: '/incident-reports?size=0', headers: await api.as() })
  await api.app.inject({ url: '/incident-reports' })
  await api.app.inject({ url: '/constants/error-codes', headers: await api.as() })
  expect(await written()).toHaveLength(before + 1)
})

const TOO_LONG = 'X-Reason must have at most 500 characters'
const NO_TEXT = 'X-Reason must be text in one line, its % and what is not Latin percent-encoded as UTF-8'

test.for<[what: string, reason: string, message: string]>([
  ['that is too long', 'x'.repeat(501), TOO_LONG],
  ['that is too long once decoded', encodeURIComponent('ł'.repeat(501)), TOO_LONG],
  ['that is far too long', '%41'.repeat(2_500), TOO_LONG],
  ['with half an escape', '100% sure', NO_TEXT],
  ['of no UTF-8', '%ED%A0%80', NO_TEXT],
  ['with a NUL', 'x%00', NO_TEXT],
  ['of two lines', 'asked%0Aby the governor', NO_TEXT],
  ['that turns the text around it', '%E2%80%AEdenied', NO_TEXT],
])('a reason %s is refused, and nothing is kept', async ([, reason, message]) => {
  const before = (await written()).length
  const answer = await api.app.inject({
    url: '/incident-reports',
    headers: { ...(await api.as()), 'x-reason': reason },
  })
  expect([answer.statusCode, answer.json().developerMessage]).toEqual([400, message])
  expect(await written()).toHaveLength(before)
})

test.for<[reason: string, kept: string | null]>([
  ['Asked by the governor', 'Asked by the governor'],
  [encodeURIComponent('Прошение Łukasza – 100% sure 🚨'), 'Прошение Łukasza – 100% sure 🚨'],
  [encodeURIComponent('ł'.repeat(500)), 'ł'.repeat(500)],
  ['', null],
])('a reason is kept as it was meant: %s', async ([reason, kept]) => {
  const asked = { url: '/incident-reports?size=1', headers: { ...(await api.as()), 'x-reason': reason } }
  expect((await api.app.inject(asked)).statusCode).toBe(200)
  expect((await written()).at(0)!['why']).toBe(kept)
  // a refusal before any header is looked at keeps it too
  await api.app.inject({ ...asked, headers: { ...asked.headers, ...(await api.as({ roles: [] })) } })
  expect((await written()).at(0)!['why']).toBe(kept)
})

test('records are never changed or removed', async () => {
  for (const sql of [
    'UPDATE prisons.incidents_audit SET who = who',
    'DELETE FROM prisons.incidents_audit',
    'TRUNCATE prisons.incidents_audit',
  ]) {
    await expect(store.query(sql)).rejects.toThrow('audit records are not changed')
  }
})

test('a reviewer reads them a page at a time, the newest first, and is recorded as well', async () => {
  const get = async (query: string) =>
    (await api.app.inject({ url: `/audit?${query}`, headers: await api.as(REVIEWER) })).json()
  const all = await get('size=2')
  expect(all).toMatchObject({ number: 0, size: 2, numberOfElements: 2, sort: ['when,DESC'] })
  const next = await get('size=2&page=1')
  expect(next.content[0].id).toBeLessThanOrEqual(all.content[1].id + 1)
  expect((await get('who=USER1&subjectId=A1234BC&what=VIEW_ASSAULT_SUMMARY')).content).toMatchObject([
    { who: 'USER1', what: 'VIEW_ASSAULT_SUMMARY', subjectId: 'A1234BC', why: 'Category review', clientId: 'cattool' },
  ])
  expect((await get('who=REVIEWER1')).content[0]).toMatchObject({ what: 'SEARCH_AUDIT', subjectType: 'AUDIT' })
})

test('no audit, no data: an answer that cannot be recorded is 503 without a word of it', async () => {
  const broken = await testApi({
    database,
    audit: { write: () => Promise.reject(new Error('disk full')), ready: async () => {} },
  })
  const answer = await broken.app.inject({ url: `/incident-reports/${id}`, headers: await broken.as() })
  expect([answer.statusCode, answer.json()]).toMatchObject([503, { status: 503, errorCode: null }])
  expect(answer.body).not.toContain('kitchen')
  await broken.app.close()
})

describe('the table', () => {
  let empty: TestDatabase
  const record: AuditRecord = {
    what: 'VIEW_X',
    when: new Date(0),
    who: 'A\0\ud800B',
    clientId: 'c',
    operationId: 'o',
    correlationId: 'r',
    subject: null,
    why: null,
    details: {},
  }

  beforeEach(async () => {
    empty = await testDatabase()
    return () => empty.drop()
  })

  test('is made beside a store and not before there is one, by several at once', async () => {
    const stores = [auditStore(empty.url), auditStore(empty.url)]
    await expect(stores[0]!.write(record)).rejects.toThrow('prisons')
    await (await openStore(empty.url)).close()
    await Promise.all(stores.flatMap((each) => Array.from({ length: 700 }, () => each.write(record))))
    expect(await empty.query('SELECT count(*)::int AS n, min(who) AS who FROM prisons.incidents_audit')).toEqual([
      { n: 1400, who: 'A\ufffdB' },
    ])
    await (await openStore(empty.url)).close()
    await Promise.all(stores.map((each) => each.close()))
  })
})
