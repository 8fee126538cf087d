/** The description taken at its word: whatever is asked of a route, the answer is one that it declares. */
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { auditStore, type AuditStore } from '../../api/audit-store.ts'
import { openDatabase } from '../../api/database.ts'
import * as roles from '../../api/roles.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { changesOf, DPS_INCIDENT, NOMIS_INCIDENT } from '../support/incidents.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: { type?: string; enum?: string[]; items?: { enum?: string[] } }
}

interface Operation {
  readonly parameters?: Parameter[]
  readonly requestBody?: object
  readonly responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>
}

interface Described {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly hasBody: boolean
  /** What the body of each declared status is held to; null for one that is no JSON. */
  readonly answers: ReadonlyMap<number, z.ZodType | null>
}

const RUNS_OF_EACH = 40

let store: TestDatabase
let database: pg.Pool
let audit: AuditStore
let api: TestApi
let headers: Record<string, string>
let described: Described[]

beforeAll(async () => {
  store = await filledStore(changesOf(DPS_INCIDENT.rows, NOMIS_INCIDENT.rows))
  database = openDatabase(store.url)
  audit = auditStore(store.url)
  api = await testApi({ database, audit })
  headers = await api.as({ roles: Object.values(roles) })
  const docs = (await api.app.inject('/v3/api-docs')).json<{ paths: Record<string, Record<string, Operation>> }>()
  described = Object.entries(docs.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => read(path, method, operation)),
  )
})

afterAll(async () => {
  await api.app.close()
  await audit.close()
  await database.end()
  await store.drop()
})

function read(path: string, method: string, { parameters = [], requestBody, responses }: Operation): Described {
  const answers = Object.entries(responses).map(([status, { content }]) => {
    const schema = content?.['application/json']?.schema
    return [Number(status), schema === undefined ? null : z.fromJSONSchema(schema)] as const
  })
  return {
    method: method.toUpperCase() as Described['method'],
    path,
    parameters,
    hasBody: requestBody !== undefined,
    answers: new Map(answers),
  }
}

/** As it stands in a URL: what encodes well, and what no browser would send. */
const HOSTILE = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc.string({ minLength: 1, maxLength: 300 }).map((text) => encodeURIComponent(text)),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.constantFrom(
    '%00',
    'A%00B1234',
    '%ED%A0%80',
    '%ED%A0%80%ED%A0%80%ED%A0%80',
    '%F0%9F',
    '%',
    '%C0%AF',
    '%E2%80%AE',
    '0000-01-01',
    '0001-01-01',
    '9999-12-31',
    '10000-01-01',
    '%2B010000-01-01',
    '2023-02-29',
    'infinity',
    '1e308',
    '-0',
    'NaN',
    '99999999999999999999',
    '2147483647',
    '2147483648',
    '0x10',
    '%20',
    "o'hara123",
    "'%3BDROP%20TABLE%20x--",
    '%24%7B7*7%7D',
    '__proto__',
    'constructor',
    '..%2F..%2Fetc',
  ),
)

const KNOWN: Readonly<Record<string, string>> = {
  id: DPS_INCIDENT.report.id,
  reference: '247314',
  prisonerNumber: 'A1234BC',
  involvingPrisonerNumber: 'A1234BC',
  by: 'type',
  sort: 'reportReference,DESC',
}

function valueOf({ name, schema }: Parameter): fc.Arbitrary<string> {
  const codes = schema.enum ?? schema.items?.enum ?? []
  const good = [...codes, ...(KNOWN[name] === undefined ? [] : [KNOWN[name]])]
  return good.length === 0 ? HOSTILE : fc.oneof(HOSTILE, fc.constantFrom(...good))
}

function requestOf({ path, parameters, hasBody }: Described) {
  const inPath = parameters.filter((each) => each.in === 'path')
  const inQuery = parameters.filter((each) => each.in === 'query')
  const pair = inQuery.map((each) => valueOf(each).map((value) => `${each.name}=${value}`))
  return fc.record({
    url: fc
      .tuple(
        fc.tuple(...inPath.map(valueOf)),
        pair.length === 0 ? fc.constant([]) : fc.array(fc.oneof(...pair), { maxLength: 5 }),
      )
      .map(([values, query]) => {
        const filled = inPath.reduce((url, { name }, i) => url.replace(`{${name}}`, () => values[i]!), path)
        return query.length === 0 ? filled : `${filled}?${query.join('&')}`
      }),
    lsn: fc.constantFrom(undefined, '0/0', '', 'nonsense', 'FFFFFFFFF/0', '0/0, 0/0'),
    reason: fc.oneof(fc.constant(undefined), fc.stringMatching(/^[ -~\u00a1-\u00ff]{0,600}$/)),
    body: hasBody ? fc.jsonValue({ maxDepth: 4 }) : fc.constant(undefined),
  })
}

test('no answer is a 5xx, and each has a declared status and its shape', async () => {
  expect(described.length).toBeGreaterThan(20)
  const seen = new Map<number, number>()
  for (const route of described) {
    const asked = fc.asyncProperty(requestOf(route), async ({ url, lsn, reason, body }) => {
      const answer = await api.app.inject({
        method: route.method,
        url,
        headers: {
          ...headers,
          ...(lsn === undefined ? {} : { 'if-source-lsn-at-least': lsn }),
          ...(reason === undefined ? {} : { 'x-reason': reason }),
        },
        ...(body === undefined
          ? {}
          : { payload: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } }),
      })
      const { statusCode } = answer
      const isHealth = route.path.startsWith('/health')
      if (statusCode >= 500 && !isHealth) throw new Error(`${statusCode} of ${route.path}`)
      if (!route.answers.has(statusCode)) throw new Error(`${statusCode} of ${route.path} is not declared`)
      route.answers.get(statusCode)?.parse(answer.json())
      seen.set(statusCode, (seen.get(statusCode) ?? 0) + 1)
    })
    await fc.assert(asked, { numRuns: RUNS_OF_EACH, endOnFailure: true })
  }
  expect([...seen.keys()]).toEqual(expect.arrayContaining([200, 400, 404]))
}, 120_000)

test('what was asked for is in no log line, no header and no refusal', async () => {
  const lines: string[] = []
  const keep = (...given: unknown[]): void => void lines.push(JSON.stringify(given))
  const log = {
    info: keep,
    error: keep,
    debug: keep,
    warn: keep,
    fatal: keep,
    trace: keep,
    silent: keep,
    level: 'debug',
    child: () => log,
  }
  const { app, as } = await testApi({ database, log: log as never })
  const secrets = ['A9876ZZ', 'SECRETUSER', 'canary']
  const asked = await as()
  for (const url of [
    '/incident-reports?involvingPrisonerNumber=A9876ZZ&reportedByUsername=SECRETUSER&status=canary',
    '/incident-reports?involvingPrisonerNumber=A9876ZZ&reportedByUsername=SECRETUSER',
    '/prisoners/A9876ZZ/assault-summary?recentMonths=canary',
    '/prisoners/A9876ZZ/nothing?canary=SECRETUSER',
    '/incident-reports/canary',
    '/incident-reports?location=canary%00',
  ]) {
    const answer = await app.inject({ url, headers: { ...asked, 'x-reason': 'canary' } })
    const told = `${JSON.stringify(answer.headers)}${answer.body}${lines.join('')}`
    for (const secret of secrets) expect([url, told.includes(secret)]).toEqual([url, false])
  }
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.join('')).not.toContain(asked.authorization.slice(7, 40))
  await app.close()
})

test('an answer waits for the LSN that it must have, for some seconds, then says how far it is', async () => {
  const now = (await api.app.inject({ url: '/incident-reports', headers })).headers['x-source-lsn'] as string
  const ask = (lsn: string) =>
    api.app.inject({ url: '/incident-reports?size=1', headers: { ...headers, 'if-source-lsn-at-least': lsn } })
  expect((await ask(now)).statusCode).toBe(200)
  const early = await ask('FFFF/0')
  expect([early.statusCode, early.headers['x-source-lsn'], early.json().developerMessage]).toEqual([
    409,
    now,
    `Asked for FFFF/0, which the store is before: it has ${now}`,
  ])
  const waiting = ask('7000/0')
  await store.query(`UPDATE prisons.incidents_place SET marker = '0001/0000700000000000/00000000'`)
  expect((await waiting).statusCode).toBe(200)
})
