import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { demoIdentity } from '../../api/demo-identity.ts'
import { serveApi } from '../../api/serve.ts'
import { testApi, type TestApi } from '../support/api.ts'
import { openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { markerAt } from '../support/unified-rows.ts'

let store: TestDatabase
let database: pg.Pool
let api: TestApi
let app: FastifyInstance

beforeEach(async () => {
  store = await testDatabase()
  database = openDatabase(store.url)
  api = await testApi({ database, build: { version: '1.2.3' } })
  app = api.app
})

afterEach(async () => {
  await app.close()
  await database.end()
  await store.drop()
})

async function get(url: string) {
  const answer = await app.inject({ method: 'GET', url, headers: await api.as() })
  return { status: answer.statusCode, text: answer.body, headers: answer.headers }
}

const ready = async () => (await get('/health/readiness')).status

test('it is ready once every partition has passed a marker behind the whole first snapshot', async () => {
  expect(await ready(), 'no store yet').toBe(503)
  const sink = await openStore(store.url)
  expect(await ready(), 'an empty store').toBe(503)
  await sink.places([0, 1])
  await sink.write([markerAt({ offset: 0, lsn: 8 })])
  expect(await ready(), 'partition 1 has no marker').toBe(503)
  await sink.write([markerAt({ offset: 0, lsn: 8, partition: 1, snapshotDone: false })])
  expect(await ready(), 'the snapshot of partition 1 is not whole').toBe(503)
  await sink.write([markerAt({ offset: 1, lsn: 16, partition: 1 })])
  expect(await ready()).toBe(200)
  await sink.close()
})

test('who finds it ready waits for no connection to be opened, and for none to read what it must know of the tables', async () => {
  const sink = await openStore(store.url)
  await sink.places([0])
  expect([await ready(), database.totalCount]).toEqual([503, 1])
  await sink.write([markerAt({ offset: 0, lsn: 8 })])
  expect([await ready(), database.totalCount]).toEqual([200, database.options.max])
  const clients = await Promise.all(Array.from({ length: database.options.max }, () => database.connect()))
  for (const client of clients) {
    const { rows } = await client.query('SELECT name FROM pg_prepared_statements ORDER BY name')
    expect(rows).toContainEqual({ name: 'report details id' })
    expect(rows).toContainEqual({ name: 'assault summary' })
    client.release()
  }
  await sink.close()
})

test('before there is a store, answers say that they cannot be given, and the process stays alive', async () => {
  const answer = await get('/incident-reports')
  expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
    503,
    { status: 503, errorCode: null, moreInfo: null },
  ])
  expect((await get('/health/liveness')).status).toBe(200)
  expect(JSON.parse((await get('/health')).text)).toMatchObject({ status: 'DOWN' })
})

test('an answer without markers does not say how new it is', async () => {
  await (await openStore(store.url)).close()
  const { status, headers } = await get('/incident-reports')
  expect(status).toBe(200)
  expect(headers).not.toHaveProperty('x-data-as-of')
})

test.for<[path: string, body: object]>([
  ['/health/liveness', { status: 'UP' }],
  ['/health/ping', { status: 'UP' }],
  ['/info', { build: { version: '1.2.3', name: 'incidents' }, git: {}, productId: 'unknown' }],
])('%s answers without the store', async ([path, body]) => {
  const { status, text } = await get(path)
  expect([status, JSON.parse(text)]).toMatchObject([200, body])
})

test('/ping answers pong', async () => {
  expect(await get('/ping')).toMatchObject({ status: 200, text: 'pong' })
})

test('/v3/api-docs describes every route, its parameters and its shapes', async () => {
  const docs = JSON.parse((await get('/v3/api-docs')).text) as {
    info: { version: string }
    paths: Record<string, { get: { summary?: string; parameters?: { name: string }[]; responses: object } }>
  }
  expect(docs.info.version).toBe('1.2.3')
  expect(Object.keys(docs.paths)).toEqual(
    expect.arrayContaining([
      '/health',
      '/health/liveness',
      '/health/ping',
      '/health/readiness',
      '/incident-reports',
      '/incident-reports/reference/{reference}',
      '/incident-reports/reference/{reference}/with-details',
      '/incident-reports/{id}',
      '/incident-reports/{id}/with-details',
      '/info',
      '/ping',
      '/audit',
      '/constants/types',
      '/incident-reports/counts',
      '/prisoners/{prisonerNumber}/assault-summary',
    ]),
  )
  const list = docs.paths['/incident-reports']!.get
  expect(list.parameters!.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['reference', 'location', 'involvingPrisonerRole', 'page', 'size', 'sort']),
  )
  expect(JSON.stringify(list.responses)).toContain('incidentDateAndTime')
  for (const path of Object.values(docs.paths)) {
    for (const operation of Object.values(path)) expect(operation.summary).toBeTruthy()
  }
})

describe('the port', () => {
  test('is opened on this host', async () => {
    const serving = await serveApi({ databaseUrl: store.url, host: '127.0.0.1', port: 0 })
    expect(await (await fetch(`${serving.url}/ping`)).text()).toBe('pong')
    await expect(
      serveApi({ databaseUrl: store.url, host: '127.0.0.1', port: Number(new URL(serving.url).port) }),
    ).rejects.toMatchObject({ code: 'CONFIG' })
    await serving.close()
  })

  test('is opened to others only with the keys of an identity provider, and not with the demo’s', async () => {
    const given = { databaseUrl: store.url, host: '0.0.0.0', port: 0 }
    for (const identity of [undefined, { demo: api.identity }]) {
      await expect(serveApi({ ...given, identity })).rejects.toMatchObject({ code: 'CONFIG' })
    }
    const serving = await serveApi({ ...given, identity: { jwksUrl: 'http://127.0.0.1:9/jwks' } })
    expect((await fetch(`${serving.url}/ping`)).status).toBe(200)
    await serving.close()
  })

  test('without an identity provider answers no token, and says nothing of metrics', async () => {
    const serving = await serveApi({ databaseUrl: store.url, host: '127.0.0.1', port: 0 })
    expect((await fetch(`${serving.url}/incident-reports`, { headers: await api.as() })).status).toBe(401)
    expect((await fetch(`${serving.url}/metrics`)).status).toBe(404)
    await serving.close()
  })

  test('/health tells each dependency, readiness the store alone', async () => {
    const jwksUrl = 'http://127.0.0.1:9/jwks'
    await (await openStore(store.url)).close()
    const serving = await serveApi({ databaseUrl: store.url, host: '127.0.0.1', port: 0, identity: { jwksUrl } })
    const health = await fetch(`${serving.url}/health`)
    expect([health.status, await health.json()]).toMatchObject([
      503,
      {
        components: {
          operationalStore: { status: 'UP' },
          audit: { status: 'UP' },
          identityProvider: { status: 'DOWN' },
        },
      },
    ])
    const readiness = (await (await fetch(`${serving.url}/health/readiness`)).json()) as { components: object }
    expect(Object.keys(readiness.components)).toEqual(['operationalStore', 'snapshot'])
    await serving.close()
  })

  test('the demo hands out tokens for the roles and prisons that are asked for, and not in production', async () => {
    const serving = await serveApi({
      databaseUrl: store.url,
      host: '127.0.0.1',
      port: 0,
      identity: { demo: api.identity },
    })
    const answer = await fetch(`${serving.url}/auth/token?username=SOMEONE&roles=ROLE_A&caseloads=MDI`)
    const { access_token } = (await answer.json()) as { access_token: string }
    expect(await api.identity.verify(access_token)).toEqual({
      username: 'SOMEONE',
      clientId: 'incidents-demo',
      roles: new Set(['ROLE_A']),
      scopes: new Set(['read', 'write']),
      caseloads: new Set(['MDI']),
    })
    await serving.close()
    await expect(demoIdentity({ production: true })).rejects.toMatchObject({ code: 'CONFIG' })
  })
})
