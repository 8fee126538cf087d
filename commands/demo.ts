/** `incidents demo`: a database, two models full of synthetic reports, every stage, live changes, and the proof. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { demoIdentity, type DemoIdentity } from '../api/demo-identity.ts'
import { parseLsn } from '../core/position.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { REVIEW_AUDIT, VIEW_REPORTS } from '../api/roles.ts'
import type { Config } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { SINKS } from '../sinks/names.ts'
import { analyticsDirectory, dprDirectory, embeddedRuntime, operationalUrl, type Runtime } from '../runtime.ts'
import { untilPassed } from '../proof/progress.ts'
import { provable } from './proving.ts'
import { prove, type Proof } from '../proof/proof.ts'
import { walk } from '../proof/walk.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'
import { runTransactions, seedReports } from '../workload/load.ts'
import { freePort, startPostgres } from '../workload/postgres.ts'
import { demoConsole } from './console.ts'
import { serveMetrics } from './metrics-server.ts'
import { proofTable, walkTable } from './demo-tables.ts'
import { stepProgress, tableProgress } from './progress.ts'
import { embeddedStages } from './run.ts'
import { supervise } from './supervision.ts'

export interface DemoOptions {
  readonly reports: number
  readonly rate: number
  readonly seed: number
  readonly transactions: number
  readonly once?: boolean
  readonly json?: boolean
}

/** Says what a directory is for, so that the demo never empties one that is not its own. */
const MARK = 'this-is-a-demo'

/** Exit 0 when no row differs, 1 otherwise. Without `once` it stays until it is interrupted. */
export async function demo(given: Config, options: DemoOptions, signal: AbortSignal): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const identity = await demoIdentity({ production: given.NODE_ENV === 'production' })
  const directory = await emptyDirectory(given.STATE_DIR)
  const lock = await lockStateDirectory(directory)
  const stop = new AbortController()
  signal.addEventListener('abort', () => stop.abort())
  try {
    say(`Starting PostgreSQL in ${directory}`)
    const server = await startPostgres({
      directory: join(directory, 'postgres'),
      settings: ['max_slot_wal_keep_size=2GB'],
    })
    try {
      const config = await demoConfig(given, directory, server.url)
      const database = config.DATABASE_URL!
      await initSource(database, { publication: config.NAMESPACE })
      say(`Writing ${options.reports} reports of each model`)
      const client = new pg.Client({ connectionString: database })
      await client.connect()
      await seedReports(client, { seed: options.seed, reports: options.reports })
      const log = logger(config.LOG_LEVEL)
      const runtime = await embeddedRuntime({ config, log, metrics: metrics(), progress: tableProgress() })
      const secret = randomBytes(32).toString('hex')
      const pages = demoConsole(identity, secret, given.NODE_ENV === 'production')
      const stopMetrics = serveMetrics(runtime)
      const stages = supervise(embeddedStages(runtime, identity, pages), log, stop.signal)
      try {
        return await Promise.race([
          show({ ...runtime, identity }, client, options, say, stop.signal),
          stages.then(() => EXIT.done),
        ])
      } catch (error) {
        if (signal.aborted) return EXIT.interrupted
        throw error
      } finally {
        stop.abort()
        await stages.catch(() => {})
        stopMetrics()
        await runtime.transport.close()
        await client.end()
      }
    } finally {
      await server.stop()
    }
  } finally {
    lock.release()
  }
}

async function show(
  runtime: Runtime & { identity: DemoIdentity },
  client: pg.Client,
  options: DemoOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const { config } = runtime
  const database = config.DATABASE_URL!
  say('Capturing, unifying, delivering')
  await settled(runtime, client, signal)
  const bar = stepProgress('live transactions', options.transactions)
  const pool = new pg.Pool({ connectionString: database, max: 2 })
  pool.on('error', () => {}) // the server ends before it: what ended the demo is what counts
  let done = 0
  await runTransactions(pool, {
    seed: options.seed,
    transactions: options.transactions,
    rate: options.rate,
    signal,
    onTransaction: () => bar(++done),
  })
  const token = await runtime.identity.token({ username: 'DEMO_USER', roles: [VIEW_REPORTS, REVIEW_AUDIT] })
  const apiUrl = `http://127.0.0.1:${config.PORT}`
  const { hops, reference, id } = await walk({
    databaseUrl: database,
    publication: config.NAMESPACE,
    operationalUrl: operationalUrl(config),
    apiUrl,
    token,
    raw: runtime.raw,
    registry: runtime.registry,
  })
  await settled(runtime, client, signal)
  const proof = await prove(await provable(runtime))
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  report(options, { hops, reference, proof, lsn: rows[0]!.lsn })
  if (options.once !== true) {
    say(tryIt(config, { apiUrl, token, id }))
    await runTransactions(pool, {
      seed: options.seed + 1,
      transactions: Number.MAX_SAFE_INTEGER,
      rate: options.rate,
      signal,
    })
  }
  await pool.end()
  return proof.differing === 0 ? EXIT.done : EXIT.difference
}

interface Shown {
  readonly hops: Awaited<ReturnType<typeof walk>>['hops']
  readonly reference: string
  readonly proof: Proof
  readonly lsn: string
}

function report(options: DemoOptions, { hops, reference, proof, lsn }: Shown): void {
  if (options.json === true) {
    const { differing, incomplete, places } = proof
    process.stdout.write(`${JSON.stringify({ differing, incomplete, lsn, places })}\n`)
    return
  }
  process.stdout.write(`\nIncident ${reference}, hop by hop\n\n${walkTable(hops)}\n\n${proofTable(proof)}\n`)
}

/** Until every reader has passed what the source has committed now, and the published copies are as new. */
async function settled(runtime: Runtime, client: pg.Client, signal: AbortSignal): Promise<void> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  const { NAMESPACE, ANALYTICS_PUBLISH_MS } = runtime.config
  await untilPassed(parseLsn(rows[0]!.lsn), {
    transport: runtime.transport,
    registry: runtime.registry,
    raw: runtime.raw,
    groups: ['unify', ...SINKS].map((name) => `${NAMESPACE}.${name}`),
    signal,
  })
  await new Promise((done) => setTimeout(done, ANALYTICS_PUBLISH_MS + 500))
}

async function demoConfig(given: Config, directory: string, serverUrl: string): Promise<Config> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  await client.query('CREATE DATABASE incident_reporting')
  await client.end()
  const url = new URL(serverUrl)
  url.pathname = '/incident_reporting'
  return {
    ...given,
    STATE_DIR: directory,
    DATABASE_URL: url.href,
    PSEUDONYM_KEY: given.PSEUDONYM_KEY ?? 'demo: not a secret at all',
    JWKS_URL: undefined, // its own identity provider is the one that it has tokens of
    PORT: given.PORT === 8080 ? await portOr(8080) : given.PORT,
    CONSOLE_PORT: given.CONSOLE_PORT === 3000 ? await portOr(3000) : given.CONSOLE_PORT,
    METRICS_PORT: given.METRICS_PORT === 9400 ? await portOr(9400) : given.METRICS_PORT,
    DPR_FLUSH_MS: Math.min(given.DPR_FLUSH_MS, 1_000),
    ANALYTICS_PUBLISH_MS: Math.min(given.ANALYTICS_PUBLISH_MS, 1_000),
    LOG_LEVEL: given.LOG_LEVEL === 'info' ? 'warn' : given.LOG_LEVEL,
  }
}

/** The usual port where it is free, another where it is not. */
async function portOr(wanted: number): Promise<number> {
  const free = await freePort(wanted).catch(() => freePort())
  return free
}

async function emptyDirectory(stateDirectory: string): Promise<string> {
  const directory = resolve(stateDirectory, 'demo')
  if (existsSync(directory) && !existsSync(join(directory, MARK))) {
    throw new PipelineError(
      'CONFIG',
      `${directory} is there and was not made by a demo`,
      'Move it away, or set STATE_DIR.',
    )
  }
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o755 })
  await writeFile(join(directory, MARK), 'The demo empties this directory at each start.\n')
  return directory
}

function tryIt(config: Config, { apiUrl, token, id }: { apiUrl: string; token: string; id: string }): string {
  return `
The console: http://localhost:${config.CONSOLE_PORT}

The pipeline keeps running under a live load; end it with Ctrl-C. To try:
  export TOKEN=${token}
  curl -H "Authorization: Bearer $TOKEN" '${apiUrl}/incident-reports?size=2'
  curl -H "Authorization: Bearer $TOKEN" '${apiUrl}/incident-reports/${id}/with-details'
  curl -H "Authorization: Bearer $TOKEN" '${apiUrl}/audit'
  curl '${apiUrl}/auth/token?username=SOMEONE&caseloads=MDI'   # a token for one prison's reports
  ls ${join(dprDirectory(config), 'raw')}/*/*
  duckdb ${join(analyticsDirectory(config), 'incidents.duckdb')} 'SELECT type_family, count(*) FROM current_report GROUP BY ALL'
  psql '${config.DATABASE_URL}'`
}
