/**
 * The move from NOMIS at scale: a simulated NOMIS, the migrator as a process of its own that posts to the API, and the
 * embedded runtime, which carries what was written on to every place meanwhile. Then NOMIS against the incident database,
 * incident by incident; the incident database against topic, DPR's files, store and DuckDB, row by row; and NOMIS against
 * the API's answers.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { demoIdentity } from '../api/demo-identity.ts'
import { MAP_INCIDENTS, MIGRATE_REPORTS, VIEW_REPORTS } from '../api/roles.ts'
import { runtimeBeside } from '../commands/beside.ts'
import { parseConfig } from '../config.ts'
import { simulatedIncident } from '../connectors/nomis/simulator/incident.ts'
import { FIRST_ID, nomisSimulator } from '../connectors/nomis/simulator/server.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { parseLsn } from '../core/position.ts'
import { untilPassed } from '../proof/progress.ts'
import type { Reconciliation } from '../proof/reconcile.ts'
import { SINKS } from '../sinks/names.ts'
import { NOMIS_CODES } from '../transforms/codes.ts'
import { freePort, startPostgres } from '../workload/postgres.ts'
import { answerOf, type Usage } from './command.ts'
import { cpuOf } from './cpu.ts'
import { asker, type Asker } from './open-loop.ts'
import { postgresCpu } from './postgres-cpu.ts'
import { startMeasured } from './process.ts'
import type { BenchOptions } from './result.ts'

export interface MigrateResult {
  readonly name: 'migrate'
  /**
   * `migrate`; `into every place`, until each reader has passed the last of it, from the first one posted on; `NOMIS and
   * the incident database`, `the incident database and every place`, `NOMIS and the API`, each compared.
   */
  readonly what: string
  /** Incidents; of every place, source rows. */
  readonly rows: number
  readonly seconds: number
  readonly rowsPerSecond: number
  readonly differing?: number
  /** Of the places: what could not be compared. */
  readonly incomplete?: number
  /** Seconds. */
  readonly cpuByProcess?: Readonly<Record<string, number>>
  readonly peakRssMiB?: number
}

const SEED = 1

interface Migrated {
  readonly migrated: number
  readonly failed: number
  readonly seconds: number
  readonly compared: number
  readonly differing: number
}

export async function migrateBench({ rows }: BenchOptions): Promise<MigrateResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-bench-'))
  await chmod(directory, 0o755)
  const server = await startPostgres({ directory: join(directory, 'postgres'), settings: ['max_wal_size=4GB'] })
  const identity = await demoIdentity({ production: false })
  const keys = createServer((_, response) => void response.end(JSON.stringify(identity.jwks)))
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  const simulator = await nomisSimulator({ incidents: rows, seed: SEED })
  const port = String(await freePort())
  const api = `http://127.0.0.1:${port}`
  const pipeline = {
    DATABASE_URL: server.url,
    STATE_DIR: join(directory, 'state'),
    PSEUDONYM_KEY: 'a key for benchmarks only',
    LOG_LEVEL: 'warn',
    METRICS_PORT: '0',
  }
  await initSource(server.url, { publication: 'incidents' })
  const client = new pg.Client({ connectionString: server.url, application_name: 'the measurement' })
  await client.connect()
  const jwks = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`
  const run = startMeasured(['run'], { ...pipeline, PORT: '0', JWKS_URL: jwks })
  const serve = startMeasured(['serve'], { ...pipeline, PORT: port, JWKS_URL: jwks })
  const reader = asker(api, await identity.token({ clientId: 'bench', roles: [VIEW_REPORTS] }))
  try {
    while ((await reader.get('/health/readiness').catch(() => ({ status: 0 }))).status !== 200) await pause(200)
    const token = await identity.token({ clientId: 'migrator', roles: [MIGRATE_REPORTS, MAP_INCIDENTS] })
    const migrator = { ...pipeline, NOMIS_API_URL: simulator.url, API_URL: api, API_TOKEN: token }
    const cpu = async (): Promise<Record<string, number>> => ({
      run: run.cpuMicros(),
      serve: serve.cpuMicros(),
      'simulated NOMIS': cpuOf(process.pid),
      ...(await postgresCpu(client)),
    })
    const before = await cpu()
    const began = performance.now()
    const { cpuSeconds, ...migrated } = await answerOf<Migrated>(['migrate', '--concurrency', '16'], migrator)
    const cpuByProcess = { migrator: cpuSeconds, ...secondsSince(before, await cpu()) }
    await untilEverywhere(pipeline, client)
    const everywhere = (performance.now() - began) / 1000
    const cpuUntilThen = { migrator: cpuSeconds, ...secondsSince(before, await cpu()) }
    const again = await timed(() => answerOf<Migrated>(['migrate', '--compare'], migrator))
    const places = await answerOf<Reconciliation>(['reconcile', '--timeout', '900'], pipeline)
    const shown = await timed(() => compareApi(reader, rows))
    return [
      {
        ...result('migrate', migrated.migrated, migrated.seconds),
        differing: migrated.failed,
        cpuByProcess,
        peakRssMiB: run.peakRssMiB(),
      },
      { ...result('into every place', migrated.migrated, everywhere), cpuByProcess: cpuUntilThen },
      { ...result('NOMIS and the incident database', again.compared, again.took), ...of(again) },
      {
        ...result('the incident database and every place', places.rows, places.seconds),
        ...of(places),
        incomplete: places.incomplete + places.unsettled,
      },
      { ...result('NOMIS and the API', rows, shown.took), differing: shown.differing },
    ]
  } finally {
    reader.close()
    await client.end()
    await Promise.all([run.stop(), serve.stop()])
    await simulator.close()
    keys.close()
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Until every reader of the raw topic has passed what the source has committed now. */
async function untilEverywhere(environment: Readonly<Record<string, string>>, client: pg.Client): Promise<void> {
  const config = parseConfig(environment)
  const runtime = await runtimeBeside(config)
  try {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await untilPassed(parseLsn(rows[0]!.lsn), {
      ...runtime,
      groups: ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`),
      signal: AbortSignal.timeout(1_800_000),
    })
  } finally {
    await runtime.transport.close()
  }
}

function secondsSince(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, micros]) => [name, Math.round((micros - (before[name] ?? 0)) / 1e4) / 100]),
  )
}

const of = ({ differing, peakRssMiB }: Usage & { readonly differing: number }) => ({ differing, peakRssMiB })

function result(what: string, rows: number, seconds: number) {
  const rounded = Math.round(seconds * 10) / 10
  return { name: 'migrate', what, rows, seconds: rounded, rowsPerSecond: Math.round(rows / seconds) } as const
}

async function timed<T extends object>(work: () => Promise<T>): Promise<T & { took: number }> {
  const begun = performance.now()
  const done = await work()
  return { ...done, took: (performance.now() - begun) / 1000 }
}

interface Shown {
  readonly reportReference: string
  readonly title: string
  readonly type: string
  readonly location: string
  readonly incidentDateAndTime: string
  readonly createdInNomis: boolean
}

/** Every incident as the list shows it, against what NOMIS would say of it: missing, too many, or otherwise. */
async function compareApi(reader: Asker, incidents: number): Promise<{ differing: number }> {
  const size = 1_000
  let differing = 0
  const seen = new Set<string>()
  for (let page = 0; page * size < incidents; page++) {
    const { body } = await reader.get(`/incident-reports?sort=reportReference,ASC&size=${size}&page=${page}`)
    const { content, totalElements } = JSON.parse(body) as { content: Shown[]; totalElements: number }
    if (totalElements !== incidents) throw new Error(`the API counts ${totalElements} incidents`)
    for (const shown of content) {
      seen.add(shown.reportReference)
      if (!isAs(simulatedIncident(SEED, Number(shown.reportReference)), shown)) differing += 1
    }
  }
  for (let n = 0; n < incidents; n++) if (!seen.has(String(FIRST_ID + n))) differing += 1
  return { differing }
}

function isAs(nomis: ReturnType<typeof simulatedIncident>, shown: Shown): boolean {
  const { title, type, agency, incidentDateTime } = nomis as {
    title: string | null
    type: string
    agency: { code: string }
    incidentDateTime: string
  }
  return (
    shown.createdInNomis &&
    shown.title === (title ?? 'NO DETAILS GIVEN') &&
    shown.type === NOMIS_CODES.types.get(type)?.type &&
    shown.location === agency.code &&
    shown.incidentDateAndTime === incidentDateTime
  )
}
