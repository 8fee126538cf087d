/** The description taken at its word: whatever is asked of a route, the answer is one that it declares. */
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditStore, type AuditStore } from '../../api/audit-store.ts'
import { openDatabase } from '../../api/database.ts'
import * as roles from '../../api/roles.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { changesOf, DPS_INCIDENT, NOMIS_INCIDENT } from '../support/incidents.ts'
import { describedRoutes, KNOWN, mustBeDeclared, requestOf, type Described } from '../support/openapi.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'

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
  described = await describedRoutes(api.app)
})

afterAll(async () => {
  await api.app.close()
  await audit.close()
  await database.end()
  await store.drop()
})

test('no answer is a 5xx, and each has a declared status and its shape', async () => {
  expect(described.length).toBeGreaterThan(20)
  const seen = new Map<number, number>()
  for (const route of described) {
    const asked = fc.asyncProperty(
      requestOf(route, { known: KNOWN, good: 50 }),
      async ({ url, body, headers: more }) => {
        const answer = await api.app.inject({
          method: route.method,
          url,
          headers: { ...headers, ...more },
          ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
        })
        mustBeDeclared(route, answer)
        seen.set(answer.statusCode, (seen.get(answer.statusCode) ?? 0) + 1)
      },
    )
    await fc.assert(asked, { numRuns: RUNS_OF_EACH, endOnFailure: true })
  }
  expect([...seen.keys()]).toEqual(expect.arrayContaining([200, 400, 404]))
})

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
