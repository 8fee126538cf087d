import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { demoIdentity } from '../../api/demo-identity.ts'
import { demoConsole } from '../../commands/console.ts'
import { serveMetrics } from '../../commands/environment.ts'
import { embeddedStages } from '../../commands/run.ts'
import { supervise } from '../../commands/supervision.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../../observability.ts'
import { embeddedRuntime } from '../../pipeline.ts'
import { NOMIS_CODES } from '../../transforms/codes.ts'
import { seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import pg from 'pg'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

/** NOMIS's test data has this role; no DPS role stands for it (domain 3.3). */
const UNKNOWN = 'DRONE'

let database: TestDatabase
let url: string
let metricsUrl: string
let cookie = ''
const toClose: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  database = await testDatabase()
  const directory = await temporaryDirectory()
  const config = parseConfig({
    ...environmentOf(database, directory.path, await freePort()),
    CONSOLE_PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    LOG_LEVEL: 'silent',
  })
  url = `http://127.0.0.1:${config.CONSOLE_PORT}`
  metricsUrl = `http://127.0.0.1:${config.METRICS_PORT}/metrics`
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 5 })
  await client.end()
  const log = logger('silent')
  const runtime = await embeddedRuntime({ config, log, metrics: metrics() })
  const identity = await demoIdentity({ production: false })
  const stop = new AbortController()
  const pages = demoConsole(identity, 'a secret of tests only, at least 32', false)
  const stages = supervise(embeddedStages(runtime, identity, pages), log, stop.signal)
  const stopMetrics = serveMetrics(runtime)
  toClose.push(async () => {
    stop.abort()
    await stages
    stopMetrics()
    await runtime.transport.close()
    await database.drop()
    await directory.remove()
  })
  await until(async () => {
    const answer = await post('/sign-in', { username: 'OPERATOR' }).catch(() => null)
    cookie = answer?.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    return cookie !== ''
  })
  await until(async () => (await text('/')).includes('behind the prison system</h1>') && (await lag()) === 0)
})

afterEach(async () => {
  ;(NOMIS_CODES.prisonerRoles as Map<string, string>).delete(UNKNOWN)
  ;(NOMIS_CODES.staffRoles as Map<string, string>).delete(UNKNOWN)
  for (const close of toClose.splice(0).reverse()) await close()
})

async function until(done: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await done()).toBe(true), { timeout: 60_000, interval: 250 })
}

async function text(path: string): Promise<string> {
  return (await fetch(new URL(path, url), { headers: { cookie } })).text()
}

function post(path: string, form: Record<string, string>): Promise<Response> {
  const headers = { cookie }
  return fetch(new URL(path, url), { method: 'POST', body: new URLSearchParams(form), headers, redirect: 'manual' })
}

/** Sends a form with the session's token. */
async function act(path: string, form: Record<string, string>): Promise<void> {
  const [, csrf] = /name="_csrf" value="([^"]+)"/.exec(await text('/contracts'))!
  const answer = await post(path, { ...form, _csrf: csrf! })
  expect(answer.status).toBe(302)
}

const SHOWN = /<data value="([^"]*)" data-metric="([^"]*)"(?: data-hop="([^"]*)")?>/g

function shownNumbers(page: string): Map<string, number> {
  return new Map(
    [...page.matchAll(SHOWN)].map(([, value, name, hop]) => [
      hop === undefined ? name! : `${name}{hop="${hop}"}`,
      Number(value),
    ]),
  )
}

async function lag(): Promise<number> {
  return shownNumbers(await text('/')).get('incidents_hop_lag_rows{hop="operational"}') ?? -1
}

test('every number of the first page is that of /metrics of the same moment', async () => {
  await vi.waitFor(
    async () => {
      const shown = shownNumbers(await text('/'))
      const told = await (await fetch(metricsUrl)).text()
      const [again] = [shownNumbers(await text('/'))]
      // no sample was taken in between
      expect([...again]).toEqual([...shown])
      expect(shown.size).toBeGreaterThan(20)
      for (const [name, value] of shown) expect(told).toContain(`${name} ${value}\n`)
    },
    { timeout: 30_000, interval: 100 },
  )
})

test('a dead letter is shown, rehearsed, and after the rules know its code replayed, with who and why', async () => {
  await database.query(
    `UPDATE nomis.incident_case_parties SET participation_role = $1 WHERE (incident_case_id, party_seq) =
       (SELECT incident_case_id, party_seq FROM nomis.incident_case_parties WHERE incident_case_id < 10000000 ORDER BY 1, 2 LIMIT 1)`,
    [UNKNOWN],
  )
  await until(async () => (await text('/failures')).includes('Unknown code'))
  const [, csrf] = /name="_csrf" value="([^"]+)"/.exec(await text('/failures'))!
  const rehearse = async (): Promise<string> => (await post('/failures', { act: 'rehearse', _csrf: csrf! })).text()
  expect(await rehearse()).toContain('Still refused: UNKNOWN_CODE')
  ;(NOMIS_CODES.prisonerRoles as Map<string, string>).set(UNKNOWN, 'PERPETRATOR')
  ;(NOMIS_CODES.staffRoles as Map<string, string>).set(UNKNOWN, 'ACTIVELY_INVOLVED')
  expect(await rehearse()).toContain('Would give upsert')
  await act('/failures', { act: 'replay', reason: 'the role is in the tables now' })
  await until(async () => {
    const rows = await database.query(
      `SELECT 1 FROM prisons.incidents_prisoner_involvement WHERE prisoner_role = 'PERPETRATOR' AND source = 'NOMIS'
       UNION ALL SELECT 1 FROM prisons.incidents_staff_involvement WHERE staff_role = 'ACTIVELY_INVOLVED' AND source = 'NOMIS'`,
    )
    return rows.length > 0
  })
  const page = await text('/')
  expect(page).toContain('Replay dead letters')
  expect(page).toContain('the role is in the tables now')
})

test('a row that differs in the store is found with its columns, and repaired', { timeout: 180_000 }, async () => {
  await database.query(
    `UPDATE prisons.incidents_report SET title = 'tampered' WHERE id = (SELECT id FROM prisons.incidents_report WHERE source = 'DPS' ORDER BY 1 LIMIT 1)`,
  )
  await act('/reconciliation', { act: 'reconcile', reason: 'a test' })
  await until(async () => (await text('/reconciliation')).includes('1 rows differ'))
  const rows = await text('/reconciliation/rows?place=operational&entity=Report')
  expect(rows).toContain('title')
  expect(rows).not.toContain('tampered')
  await act('/reconciliation', {
    act: 'repair',
    place: 'operational',
    entity: 'Report',
    reason: 'it was tampered with',
  })
  await until(async () => (await text('/reconciliation')).includes('No row differs'))
  expect(await text('/reconciliation/report?form=json')).toContain('incidents-reconciliation-1')
})
