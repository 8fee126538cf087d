/**
 * The API on `--rows` reports of each model: 200 requests a second while 1,000 rows a second arrive (`requests`);
 * CatTool's calls over a hundred sockets while nothing arrives (`cattool`); and how long after its commit a change shows,
 * in the store and in the API, in the embedded runtime at 500 rows a second (`visible`).
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { demoIdentity } from '../api/demo-identity.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { seedReports } from '../workload/load.ts'
import { freePort, startPostgres } from '../workload/postgres.ts'
import { copyReports } from './api-store.ts'
import { whileArriving } from './arriving.ts'
import { catTool } from './cattool.ts'
import { asker, openLoop, percentile, type Asker } from './open-loop.ts'
import { postgresCpu } from './postgres-cpu.ts'
import { startMeasured, type Measured } from './process.ts'
import type { BenchOptions } from './result.ts'
import { shownAfter } from './visible.ts'

interface Latency {
  readonly name: 'api'
  readonly what: string
  /** Requests, or changes. */
  readonly rows: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssMiB: number
  /** Row changes that the source committed meanwhile. */
  readonly rowsPerSecond: number
  /** That were answered, where as many were asked as could be. */
  readonly requestsPerSecond?: number
  /** That each process kept busy. */
  readonly cores?: Readonly<Record<string, number>>
}

/** What goes through the pipeline; the rest of the store is copies. */
const DELIVERED = 1_000

const REQUESTS = { perSecond: 200, seconds: 30 }
/** Asked of the load: its transactions turn out a ninth smaller than those by which it finds its rate. */
const ARRIVING = { requests: 1_150, visible: 500 }
const CATTOOL_SECONDS = 20

interface Bench {
  readonly url: string
  readonly client: pg.Client
  readonly run: Measured
  readonly serve: Measured
  /** Of the embedded runtime, and of the process that only serves. */
  readonly embedded: Asker
  readonly served: Asker
}

export async function apiBench({ what, rows }: BenchOptions): Promise<Latency[]> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-bench-'))
  await chmod(directory, 0o755)
  const server = await startPostgres({ directory: join(directory, 'postgres'), settings: ['max_wal_size=4GB'] })
  const identity = await demoIdentity({ production: false })
  const keys = createServer((_, response) => void response.end(JSON.stringify(identity.jwks)))
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  const [runPort, servePort] = [await freePort(), await freePort()]
  const environment = {
    DATABASE_URL: server.url,
    STATE_DIR: join(directory, 'state'),
    PSEUDONYM_KEY: 'a key for benchmarks only',
    JWKS_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`,
  }
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await initSource(server.url, { publication: 'incidents' })
  await seedReports(client, { seed: 1, reports: DELIVERED })
  const run = startMeasured(['run'], { ...environment, PORT: String(runPort) })
  const serve = startMeasured(['serve'], { ...environment, PORT: String(servePort) })
  const token = await identity.token({ clientId: 'bench' })
  const embedded = asker(`http://127.0.0.1:${runPort}`, token)
  const served = asker(`http://127.0.0.1:${servePort}`, token)
  const results: Latency[] = []
  try {
    while ((await served.get('/health/readiness').catch(() => ({ status: 0 }))).status !== 200) await pause(200)
    await copyReports(client, Math.max(0, Math.round(rows / DELIVERED) - 1))
    const bench = { url: server.url, client, run, serve, embedded, served }
    const part = (name: string): boolean => what === undefined || what === name
    if (part('requests')) results.push(...(await requests(bench)))
    if (part('cattool')) results.push(await askedByCatTool(bench))
    if (part('visible')) results.push(...(await visible(bench)))
  } finally {
    embedded.close()
    served.close()
    await Promise.all([run.stop(), serve.stop()])
    await client.end()
    keys.close()
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
  return results
}

/** What readers ask in one second, in twenty parts: pages, one prisoner's reports, and reports whole. */
const MIX = [
  ...Array<string>(2).fill('list'),
  ...Array<string>(4).fill('prison'),
  ...Array<string>(4).fill('prisoner'),
  ...Array<string>(6).fill('details'),
  ...Array<string>(2).fill('reference'),
  ...Array<string>(2).fill('summary'),
]

interface Sample {
  readonly id: string
  readonly reference: string
  readonly location: string
  /** A prisoner's. */
  readonly number: string
}

/** Of the copies: the load deletes some of the others. */
async function samplesOf({ client }: Bench): Promise<readonly Sample[]> {
  const { rows } = await client.query<Sample>(
    `SELECT r.id, r.reference, r.location, i.prisoner_number AS number
     FROM (SELECT * FROM prisons.incidents_current_report ORDER BY id LIMIT 4000) r
     JOIN prisons.incidents_prisoner_involvement i ON i.reference = r.reference AND i.report_id = r.id
     WHERE r.reference::bigint > 100_000_000 AND r.location IS NOT NULL AND i.prisoner_number IS NOT NULL LIMIT 1000`,
  )
  return rows
}

async function requests(bench: Bench): Promise<Latency[]> {
  const samples = await samplesOf(bench)
  const next = (i: number) => {
    const { id, reference, location, number } = samples[(i * 7919) % samples.length]!
    const kind = MIX[(i * 7) % MIX.length]!
    const paths: Record<string, string> = {
      list: '/incident-reports',
      prison: `/incident-reports?location=${location}&status=CLOSED`,
      prisoner: `/incident-reports?involvingPrisonerNumber=${number}&size=1`,
      details: `/incident-reports/${id}/with-details`,
      reference: `/incident-reports/reference/${reference}`,
      summary: `/prisoners/${number}/assault-summary`,
    }
    return { kind, path: paths[kind]! }
  }
  await openLoop(bench.served, { perSecond: 50, seconds: 5, next }) // plans, code, connections
  const { value, rowsPerSecond } = await whileArriving(bench.url, ARRIVING.requests, async () => {
    const before = await cpuByProcess(bench)
    const times = await openLoop(bench.served, { ...REQUESTS, next })
    return { times, before, after: await cpuByProcess(bench) }
  })
  const { times, before, after } = value
  const cores = Object.fromEntries(
    Object.entries(after).map(([name, micros]) => [
      name,
      Math.round((micros - (before[name] ?? 0)) / REQUESTS.seconds / 1e4) / 100,
    ]),
  )
  const shared = { peakRssMiB: bench.serve.peakRssMiB(), rowsPerSecond }
  const all = [...times.values()].flat()
  return [
    { ...latency('requests', all), ...shared, cores },
    ...[...times].map(([kind, taken]) => ({ ...latency(`requests ${kind}`, taken), ...shared })),
  ]
}

async function askedByCatTool(bench: Bench): Promise<Latency> {
  const prisoners = (await samplesOf(bench)).map(({ number }) => number)
  await catTool(bench.served, prisoners, 3) // plans, code, connections
  const times = await catTool(bench.served, prisoners, CATTOOL_SECONDS)
  const requestsPerSecond = Math.round(times.length / CATTOOL_SECONDS)
  return { ...latency('cattool', times), peakRssMiB: bench.serve.peakRssMiB(), rowsPerSecond: 0, requestsPerSecond }
}

/** User and system time so far, in microseconds: of both processes, and of PostgreSQL's for each of its clients. */
async function cpuByProcess({ client, run, serve }: Bench): Promise<Record<string, number>> {
  return { run: run.cpuMicros(), serve: serve.cpuMicros(), ...(await postgresCpu(client)) }
}

async function visible({ url, client, embedded, run }: Bench): Promise<Latency[]> {
  const { value, rowsPerSecond } = await whileArriving(url, ARRIVING.visible, () => shownAfter(client, embedded))
  const shared = { peakRssMiB: run.peakRssMiB(), rowsPerSecond }
  return [
    { ...latency('visible in the store', value.stored), ...shared },
    { ...latency('visible', value.shown), ...shared },
  ]
}

function latency(what: string, times: readonly number[]) {
  return { name: 'api', what, rows: times.length, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99) } as const
}
