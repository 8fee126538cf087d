/** One incident of NOMIS, posted to the running pipeline's own API, and everything that it arrives in. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { demoIdentity, type DemoIdentity } from '../../api/demo-identity.ts'
import { MIGRATE_REPORTS, VIEW_REPORTS } from '../../api/roles.ts'
import { ReportWithDetails } from '../../api/shapes.ts'
import { nomisReportId } from '../../api/sync.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { tableName, type Change } from '../../core/change.ts'
import { logger, metrics } from '../../observability.ts'
import { embeddedRuntime, topicsOf, type Runtime } from '../../runtime.ts'
import { ENTITY_DEFINITIONS } from '../../schemas/entity.ts'
import { eventDecoder } from '../../schemas/events.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import type { Received, Topic } from '../../transport/topic.ts'
import { freePort } from '../../workload/postgres.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { startCommand, type RunningCommand } from '../support/command.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { nomisReport } from '../support/writes.ts'

/** By source table: what {@link nomisReport} is written as. */
const WRITTEN = {
  'nomis.incident_cases': 1,
  'nomis.incident_case_parties': 2,
  'nomis.incident_case_questions': 1,
  'nomis.incident_case_responses': 1,
  'nomis.incident_case_requirements': 1,
  'nomis.incident_questionnaire_hty': 1,
  'nomis.incident_que_question_hty': 1,
  'nomis.incident_que_response_hty': 1,
}

/** By entity: what becomes of it. */
const UNIFIED = {
  Report: 1,
  PrisonerInvolvement: 1,
  StaffInvolvement: 1,
  Question: 2,
  Response: 2,
  StatusChange: 1,
  TypeChange: 1,
  CorrectionRequest: 1,
} as const
const TABLES = (Object.keys(UNIFIED) as (keyof typeof UNIFIED)[]).map((entity) => ENTITY_DEFINITIONS[entity].table)

const REFERENCE = '247314'
const TITLE = 'An assault on the wing'

/** Until a place has it: far more than it takes on a busy machine. */
const SOON = { timeout: 60_000, interval: 200 }

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let identity: DemoIdentity
let keys: Server
let command: RunningCommand
let api: string
let runtime: Runtime
let place: Readonly<Record<string, string>>

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  await initSource(database.url, { publication: database.name })
  identity = await demoIdentity({ production: false })
  keys = createServer((_, response) => void response.end(JSON.stringify(identity.jwks)))
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  const port = await freePort()
  api = `http://127.0.0.1:${port}`
  place = environmentOf(database, directory.path, port)
  const JWKS_URL = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`
  command = startCommand(['run'], { ...place, JWKS_URL, LOG_LEVEL: 'warn' })
  await untilReady()
  runtime = await embeddedRuntime({ config: parseConfig(place), log: logger('silent'), metrics: metrics() })
})

async function untilReady(): Promise<void> {
  const until = performance.now() + SOON.timeout
  while (
    !(await fetch(`${api}/health/readiness`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (performance.now() > until) throw new Error(`the run is not ready, but:\n${command.stderr()}`)
    await new Promise((resolve) => setTimeout(resolve, SOON.interval))
  }
}

afterEach(async () => {
  await runtime.transport.close()
  command.signal('SIGTERM')
  await command.ended
  keys.close()
  await directory.remove()
  await database.drop()
})

const headers = async (role: string): Promise<Record<string, string>> => ({
  authorization: `Bearer ${await identity.token({ roles: [role] })}`,
  'content-type': 'application/json',
})

async function recordsOf(topic: Topic): Promise<Received[]> {
  const found: Received[] = []
  for (const [partition, { low, high }] of (await topic.bounds()).entries()) {
    for (let from = low; from < high;) {
      const { records, next } = await topic.page(partition, from, high)
      found.push(...records)
      from = next
    }
  }
  return found
}

async function duckDb(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const options = path === ':memory:' ? {} : { access_mode: 'READ_ONLY' }
  return onDuckDb(path, options, async (connection) => (await connection.runAndReadAll(sql)).getRowObjectsJson())
}

const tally = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, each]) => [name, each.length]))

const byTable = Object.fromEntries(
  (Object.keys(UNIFIED) as (keyof typeof UNIFIED)[]).map((entity) => [
    ENTITY_DEFINITIONS[entity].table,
    UNIFIED[entity],
  ]),
)

/** So many rows of the incident in each table that `from` names. */
async function counted(count: (table: string) => Promise<number>): Promise<Record<string, number>> {
  return Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await count(table)] as const)))
}

test('an incident posted to the API is in the topics, the store, DPR’s files, DuckDB and the API, whole', async () => {
  const posted = await fetch(`${api}/sync/upsert`, {
    method: 'POST',
    headers: await headers(MIGRATE_REPORTS),
    body: JSON.stringify({ id: null, initialMigration: true, incidentReport: nomisReport() }),
  })
  expect([posted.status, await posted.json()]).toMatchObject([201, { id: nomisReportId(Number(REFERENCE)) }])

  const raw = rawDecoder(runtime.registry)
  const captured = async (): Promise<readonly Change[]> =>
    (await raw.decode(await recordsOf(runtime.raw))).filter(
      (change) => change.op !== 'm' && change.reference === REFERENCE,
    )
  await expect
    .poll(
      async () => tally((await captured()).map((change) => (change.op === 'm' ? '' : tableName(change.table)))),
      SOON,
    )
    .toEqual(WRITTEN)
  // one transaction, as it was committed
  expect(new Set((await captured()).map((change) => (change.op === 'm' ? 0 : change.txId))).size).toBe(1)

  const names = topicsOf(runtime.config)
  const governed = governedDecoder(runtime.registry)
  await expect
    .poll(async () => {
      const rows = await governed.rows(await recordsOf(await runtime.transport.topic(names.unified)))
      return tally(rows.filter(({ state }) => state?.fields['reference'] === REFERENCE).map(({ entity }) => entity))
    }, SOON)
    .toEqual(UNIFIED)

  const told = eventDecoder(runtime.registry)
  const events = await Promise.all(
    (await recordsOf(await runtime.transport.topic(names.events))).map((record) => told.event(record)),
  )
  expect(
    events
      .filter(({ additionalInformation }) => additionalInformation.reportReference === REFERENCE)
      .map(({ eventType, additionalInformation: { source } }) => [eventType, source]),
  ).toEqual([['incident.report.created', 'NOMIS']])

  const stored = async (table: string): Promise<number> =>
    (await database.query(`SELECT FROM prisons.incidents_${table} WHERE reference = $1`, [REFERENCE])).length
  await expect.poll(() => counted(stored), SOON).toEqual(byTable)

  const shown = await fetch(`${api}/incident-reports/reference/${REFERENCE}/with-details?includeHistory=true`, {
    headers: await headers(VIEW_REPORTS),
  })
  const report = ReportWithDetails.strict().parse(await shown.json())
  expect(report).toMatchObject({
    reportReference: REFERENCE,
    title: TITLE,
    type: 'ASSAULT_5',
    status: 'AWAITING_REVIEW',
    nomisStatus: 'AWAN',
    createdInNomis: true,
    prisonersInvolved: [{ prisonerNumber: 'T0001AA', prisonerRole: 'PERPETRATOR', comment: 'shouted' }],
    questions: [{ question: 'WAS THIS A SEXUAL ASSAULT', responses: [{ response: 'YES' }] }],
    history: [{ nomisType: 'ABSCOND', questions: [{ question: 'WHERE', responses: [{ response: 'YES' }] }] }],
    correctionRequests: [{ descriptionOfChange: 'say more' }],
  })
  expect(report.staffInvolved).toHaveLength(1)

  const files = (table: string): string => join(place['DPR_DIR']!, 'raw', 'incidents', table, '*.parquet')
  const inDpr = async (table: string): Promise<number> =>
    (await duckDb(':memory:', `SELECT id FROM read_parquet('${files(table)}') WHERE reference = '${REFERENCE}'`)).length
  await expect.poll(() => counted(inDpr).catch(() => ({})), SOON).toEqual(byTable)

  const copy = join(place['ANALYTICS_DIR']!, 'incidents.duckdb')
  const published = async (table: string): Promise<number> =>
    (await duckDb(copy, `SELECT id FROM current_${table} WHERE reference = '${REFERENCE}'`)).length
  await expect.poll(() => counted(published), SOON).toEqual(byTable)
}, 180_000)
