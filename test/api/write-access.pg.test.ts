/** Every writing route through the server that is deployed: who may, and that nobody else writes. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { demoIdentity } from '../../api/demo-identity.ts'
import * as ROLES from '../../api/roles.ts'
import { openSource } from '../../api/source.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { nomisReport } from '../support/writes.ts'

let database: TestDatabase
let store: pg.Pool
let source: pg.Pool
let api: TestApi
let routes: { method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'; path: string; roles: string[]; writes: boolean }[]

beforeAll(async () => {
  database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
  store = openDatabase(database.url)
  source = openSource(database.url)
  const reading = await paths(await testApi({ database: store }))
  api = await testApi({ database: store, writes: { source } })
  const known = new Set(reading.map(({ method, path }) => `${method} ${path}`))
  routes = (await paths(api)).filter(({ method, path }) => !known.has(`${method} ${path}`))
})

afterAll(async () => {
  await api.app.close()
  await Promise.all([store.end(), source.end()])
  await database.drop()
})

async function paths(of: TestApi): Promise<typeof routes> {
  const docs = (await of.app.inject('/v3/api-docs')).json<{
    paths: Record<string, Record<string, { description: string | undefined }>>
  }>()
  return Object.entries(docs.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { description = '' }]) => ({
      method: method.toUpperCase() as 'GET',
      path,
      roles: [...description.matchAll(/[A-Z_]{8,}/g)].map(([role]) => `ROLE_${role}`),
      writes: description.includes('and scope write.'),
    })),
  )
}

const url = (path: string): string =>
  path
    .replace('{prison}', 'MDI')
    .replace('{type}', path.startsWith('/rollout') ? 'FIRE_1' : 'INCIDENTS')
    .replace('{index}', '1')
    .replaceAll(/\{\w+\}/g, path.includes('nomis-incident-id') ? '1' : '0190a1b2-0000-7000-8000-000000000000')

test('every writing route is described with its role', () => {
  expect(routes.length).toBeGreaterThan(30)
  for (const route of routes) expect(route.roles.length, `${route.method} ${route.path}`).toBeGreaterThan(0)
})

test('without a token a route answers 401, with every role but its own 403, in the shape of every error', async () => {
  const everyRole = Object.values(ROLES)
  for (const { method, path, roles } of routes) {
    const what = `${method} ${path}`
    const nobody = await api.app.inject({ method, url: url(path), payload: '{' })
    expect([nobody.statusCode, nobody.json()], what).toMatchObject([401, { status: 401, errorCode: null }])
    const others = everyRole.filter((role) => !roles.includes(role))
    const headers = { ...(await api.as({ roles: others })), 'content-type': 'application/json' }
    const wrong = await api.app.inject({ method, url: url(path), headers, payload: '{}' })
    expect([wrong.statusCode, wrong.json()], what).toMatchObject([403, { status: 403, moreInfo: null }])
  }
})

test.for<[what: string, token: () => Promise<string>]>([
  ['that has expired', () => api.identity.token({ roles: Object.values(ROLES), lives: '-1m' })],
  [
    'of another provider',
    async () => (await demoIdentity({ production: false })).token({ roles: Object.values(ROLES) }),
  ],
])('with a token %s every route answers 401', async ([, token]) => {
  const headers = { authorization: `Bearer ${await token()}`, 'content-type': 'application/json' }
  for (const { method, path } of routes) {
    const answer = await api.app.inject({ method, url: url(path), headers, payload: '{}' })
    expect([answer.statusCode, answer.json()], `${method} ${path}`).toMatchObject([401, { status: 401 }])
  }
})

test('without the scope to write a route answers 403 whatever the roles, and one that only asks answers', async () => {
  const headers = {
    ...(await api.as({ roles: Object.values(ROLES), scope: ['read'] })),
    'content-type': 'application/json',
  }
  const posted = [...routes, { method: 'POST', path: '/analyses', writes: false } as const].filter(
    ({ method }) => method !== 'GET',
  )
  const answered: string[] = []
  for (const { method, path, writes } of posted) {
    const { statusCode } = await api.app.inject({ method, url: url(path), headers, payload: '{}' })
    expect(statusCode === 403, `${method} ${path}`).toBe(writes)
    if (statusCode !== 403) answered.push(`${method} ${path}`)
  }
  expect(answered).toEqual(['POST /mapping/incidents/nomis-incident-id', 'POST /analyses'])
  const count =
    'SELECT (SELECT count(*) FROM migration.rollout) + (SELECT count(*) FROM migration.migration_history) AS n'
  expect(await database.query(count)).toEqual([{ n: '0' }])
})

test('with its role an incident of NOMIS is brought over, and what is recorded of it names no person in it', async () => {
  const headers = await api.as({ roles: [ROLES.MIGRATE_REPORTS], username: 'TEST_MIGRATOR' })
  const answer = await api.app.inject({
    method: 'POST',
    url: '/sync/upsert?migrationId=one',
    headers,
    payload: { id: null, incidentReport: nomisReport() },
  })
  expect(answer.statusCode).toBe(201)
  const recorded = JSON.stringify(api.records)
  expect(recorded).toContain('SYNCHRONISE_INCIDENT_REPORT')
  expect(recorded).toContain(answer.json<{ id: string }>().id)
  expect(recorded).not.toContain('T0001AA')
})
