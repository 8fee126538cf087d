import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { serveApi } from '../../api/serve.ts'
import { buildServer } from '../../api/server.ts'
import { openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { markerAt } from '../support/unified-rows.ts'

let store: TestDatabase
let database: pg.Pool
let app: FastifyInstance

beforeEach(async () => {
  store = await testDatabase()
  database = openDatabase(store.url)
  app = await buildServer({ database, healthCacheMs: 0, build: { version: '1.2.3' } })
})

afterEach(async () => {
  await app.close()
  await database.end()
  await store.drop()
})

async function get(url: string) {
  const answer = await app.inject({ method: 'GET', url })
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
  expect(Object.keys(docs.paths).toSorted()).toEqual([
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
  ])
  const list = docs.paths['/incident-reports']!.get
  expect(list.parameters!.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['reference', 'location', 'involvingPrisonerRole', 'page', 'size', 'sort']),
  )
  expect(JSON.stringify(list.responses)).toContain('incidentDateAndTime')
  for (const { get: operation } of Object.values(docs.paths)) expect(operation.summary).toBeTruthy()
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

  test('is not opened to others, as long as nobody is asked who calls', async () => {
    await expect(serveApi({ databaseUrl: store.url, host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'CONFIG',
    })
  })
})
