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
import { startArriving } from './arriving.ts'
import { catTool } from './cattool.ts'
import { asker, openLoop, percentile, type Asker } from './open-loop.ts'
import { postgresCpu } from './postgres-cpu.ts'
import { startMeasured, type Measured } from './process.ts'
import type { BenchOptions } from './result.ts'

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
/** The load finds its rate by a burst of some hundred rows, which is no part of what is measured. */
const SETTLING_MS = 2_000
const PROBES = 150

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
  process.once('SIGTERM', () => process.exit(143))
  process.once('exit', () => [run, serve].forEach(({ pid }) => endNow(pid)))
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

/** Also when the benchmark itself is ended: what it started must not stay. */
function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended
  }
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
  const { value, rowsPerSecond } = await whileArriving(bench, ARRIVING.requests, async () => {
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

/** Row changes as both systems make them, at about so many a second, for as long as `work` takes. */
async function whileArriving<T>({ url }: Bench, rowsPerSecond: number, work: () => Promise<T>) {
  const arriving = await startArriving(url, rowsPerSecond)
  await pause(SETTLING_MS)
  try {
    const value = await work()
    return { value, rowsPerSecond: await arriving.stop() }
  } catch (error) {
    await arriving.stop()
    throw error
  }
}

/**
 * Each probe changes one report's title and looks for it, in the store and in the API, from its commit on. One that the
 * load changes or deletes before it was seen is no probe.
 */
async function visible(bench: Bench): Promise<Latency[]> {
  const { client, embedded, run } = bench
  const stored: number[] = []
  const shown: number[] = []
  const holds = async (table: string, id: string, title: string): Promise<boolean> =>
    (await client.query(`SELECT FROM ${table} WHERE id = $1 AND title = $2`, [id, title])).rowCount === 1
  const { rowsPerSecond } = await whileArriving(bench, ARRIVING.visible, async () => {
    for (let i = 0; stored.length < PROBES; i++) {
      const title = `Probe ${i}`
      const { rows } = await client.query<{ id: string }>(
        'UPDATE report SET title = $1 WHERE id = (SELECT id FROM report ORDER BY id OFFSET $2 LIMIT 1) RETURNING id',
        [title, i % 50],
      )
      const committed = performance.now()
      const id = rows[0]!.id
      const isGone = async (): Promise<boolean> =>
        performance.now() > committed + GONE_AFTER_MS && !(await holds('report', id, title))
      const seen = await Promise.all([
        afterUntil(committed, () => holds('prisons.incidents_report', id, title), isGone),
        afterUntil(
          committed,
          async () => (await embedded.get(`/incident-reports/${id}`)).body.includes(`"${title}"`),
          isGone,
        ),
      ])
      if (seen[0] !== null && seen[1] !== null) {
        stored.push(seen[0])
        shown.push(seen[1])
      }
      await pause(50 + (i % 7) * 20)
    }
  })
  const shared = { peakRssMiB: run.peakRssMiB(), rowsPerSecond }
  return [
    { ...latency('visible in the store', stored), ...shared },
    { ...latency('visible', shown), ...shared },
  ]
}

/** Later than every answer that counts. */
const GONE_AFTER_MS = 2_000

/** Milliseconds since `begun` when it holds; null when it is gone by then. */
async function afterUntil(
  begun: number,
  holds: () => Promise<boolean>,
  isGone: () => Promise<boolean>,
): Promise<number | null> {
  while (!(await holds())) {
    if (await isGone()) return null
    if (performance.now() > begun + 30_000) throw new Error('a change did not show within 30 s')
    await pause(2)
  }
  return performance.now() - begun
}

function latency(what: string, times: readonly number[]) {
  return { name: 'api', what, rows: times.length, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99) } as const
}
