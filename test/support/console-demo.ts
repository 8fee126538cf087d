/** The console as `incidents demo` has it: seeded reports of both models, every stage in one process, its people, metrics. */
import { join } from 'node:path'
import pg from 'pg'
import { expect, vi } from 'vitest'
import { demoIdentity } from '../../api/demo-identity.ts'
import { demoConsole } from '../../commands/console.ts'
import { serveMetrics } from '../../commands/metrics-server.ts'
import { embeddedStages } from '../../commands/run.ts'
import { supervise } from '../../commands/supervision.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { SINKS } from '../../sinks/names.ts'
import { embeddedRuntime } from '../../runtime.ts'
import { untilPassed } from '../../proof/progress.ts'
import { NOMIS_CODES } from '../../transforms/codes.ts'
import { seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from './agreement.ts'
import { temporaryDirectory } from './capture.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'
import { visitOf, type Visit } from './visit.ts'
import { PATIENCE_MS } from './patience.ts'

export interface DemoConsole {
  readonly url: string
  readonly metricsUrl: string
  readonly database: TestDatabase
  /** The published DuckDB file. */
  readonly analytics: string
  /** Signed in as one of the demo's people. */
  visit(username: string): Promise<Visit>
  /** Until every reader has what the source has committed now. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** Everything runs, and the first page says how far behind the data is, when it resolves. */
export async function openDemoConsole({ reports }: { readonly reports: number }): Promise<DemoConsole> {
  const database = await testDatabase()
  const directory = await temporaryDirectory()
  const config = parseConfig({
    ...environmentOf(database, directory.path, await freePort()),
    CONSOLE_PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    LOG_LEVEL: 'silent',
  })
  const url = `http://127.0.0.1:${config.CONSOLE_PORT}`
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  if (reports > 0) await seedReports(client, { seed: 1, reports })
  await client.end()
  const log = logger('silent')
  const runtime = await embeddedRuntime({ config, log, metrics: metrics() })
  const identity = await demoIdentity({ production: false })
  const stop = new AbortController()
  const pages = demoConsole(identity, 'a secret of tests only, at least 32', false)
  const stages = supervise(embeddedStages(runtime, identity, pages), log, stop.signal)
  stages.catch(() => {}) // told when it is closed
  const stopMetrics = serveMetrics(runtime)

  async function settled(): Promise<void> {
    const [row] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await untilPassed(parseLsn(row!.lsn), {
      ...runtime,
      groups: ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
  }

  const visit = (username: string): Promise<Visit> => visitOf(url, username)
  const demo: DemoConsole = {
    url,
    metricsUrl: `http://127.0.0.1:${config.METRICS_PORT}/metrics`,
    database,
    analytics: join(config.ANALYTICS_DIR!, 'incidents.duckdb'),
    visit,
    settled,
    close: async () => {
      stop.abort()
      await stages
      stopMetrics()
      await runtime.transport.close()
      await database.drop()
      await directory.remove()
    },
  }
  try {
    const operator = await vi.waitFor(() => visit('OPERATOR'), { timeout: 60_000, interval: 250 })
    await until(async () => (await operator.get('/')).words.includes('behind the prison system'))
    await settled()
  } catch (error) {
    await demo.close()
    throw error
  }
  return demo
}

/** Looked at four times a second, for a minute and a half at most. */
export async function until(done: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await done()).toBe(true), { timeout: 90_000, interval: 250 })
}

/** NOMIS's test data has this role; no DPS role stands for it (rule codes.prisoner-roles). */
const UNKNOWN_ROLE = 'DRONE'

const ROLE_TABLES = (): Map<string, string>[] => [
  NOMIS_CODES.prisonerRoles as Map<string, string>,
  NOMIS_CODES.staffRoles as Map<string, string>,
]

/** A row that no rule maps: a dead letter, until `knowUnknownRole`. Gives what makes the row as it was. */
export async function breakOneRow(database: TestDatabase): Promise<() => Promise<void>> {
  const [row] = await database.query<{ incident: number; party: number; role: string }>(
    `SELECT incident_case_id AS incident, party_seq AS party, participation_role AS role FROM nomis.incident_case_parties
      WHERE incident_case_id < 10000000 AND participation_role <> $1 ORDER BY 1, 2 LIMIT 1`,
    [UNKNOWN_ROLE],
  )
  const { incident, party, role } = row!
  const become = async (to: string): Promise<void> =>
    void (await database.query(
      `UPDATE nomis.incident_case_parties SET participation_role = $1 WHERE (incident_case_id, party_seq) = ($2, $3)`,
      [to, incident, party],
    ))
  await become(UNKNOWN_ROLE)
  return () => become(role)
}

/** Whether the store, which reads the raw topic for itself, has met the unknown role, and no row that mends it. */
export async function isRefused(database: TestDatabase): Promise<boolean> {
  return (await database.query(`SELECT FROM prisons.incidents_incomplete WHERE code = 'UNKNOWN_CODE'`)).length > 0
}

/** As the next version of the code tables might; `forgetUnknownRole` takes it back. */
export function knowUnknownRole(): void {
  const [prisoners, staff] = ROLE_TABLES()
  prisoners!.set(UNKNOWN_ROLE, 'PERPETRATOR')
  staff!.set(UNKNOWN_ROLE, 'ACTIVELY_INVOLVED')
}

export function forgetUnknownRole(): void {
  for (const table of ROLE_TABLES()) table.delete(UNKNOWN_ROLE)
}

/** A store that somebody changed by hand: one title of a DPS report. */
export async function tamperWithStore(database: TestDatabase): Promise<void> {
  await database.query(
    `UPDATE prisons.incidents_report SET title = 'tampered'
      WHERE id = (SELECT id FROM prisons.incidents_report WHERE source = 'DPS' ORDER BY 1 LIMIT 1)`,
  )
}

const SHOWN = /<data value="([^"]*)" data-metric="([^"]*)"(?: data-hop="([^"]*)")?>/g

/** Every number of a page that has a name in /metrics, by that name with its labels. */
export function shownNumbers(html: string): Map<string, number> {
  return new Map(
    [...html.matchAll(SHOWN)].map(([, value, name, hop]) => [
      hop === undefined ? name! : `${name}{hop="${hop}"}`,
      Number(value),
    ]),
  )
}
