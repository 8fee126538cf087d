/**
 * `reconcile` at scale, as a process of its own beside the embedded runtime: at rest and while rows flow; then corruptions
 * that must be found, and runs under load that must find none.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { initSource } from '../connectors/postgres/source-schema.ts'
import type { Reconciliation } from '../proof/reconcile.ts'
import { runTransactions, seedReports } from '../workload/load.ts'
import { startPostgres } from '../workload/postgres.ts'
import { random } from '../workload/random.ts'
import { answerOf, type Usage } from './command.ts'
import { startMeasured } from './process.ts'
import type { BenchOptions } from './result.ts'

export interface ReconcileResult {
  readonly name: 'reconcile'
  /** `rest` or `load`. */
  readonly what: string
  /** Of the source. */
  readonly rows: number
  /** Of the median run, as the command says; the process takes half a second more. */
  readonly seconds: number
  /** Of the process that reconciles, PostgreSQL's apart; so is the memory. */
  readonly cpuSeconds: number
  readonly peakRssMiB: number
  readonly runs: readonly number[]
  /** Of as many as there were runs; at rest alone. */
  readonly corruptionsFound: number
  readonly falseAlarms: number
  readonly unsettled: number
}

/** About how many rows a report of each model brings. */
const ROWS_OF_REPORT = 47
/** Transactions a second while rows flow; one is some eight row changes. */
const RATE = 100
const TIMEOUT_SECONDS = '900'

export async function reconcileBench({ what, rows, runs }: BenchOptions): Promise<ReconcileResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-bench-'))
  await chmod(directory, 0o755)
  const server = await startPostgres({ directory: join(directory, 'postgres'), settings: ['max_wal_size=4GB'] })
  const environment = {
    DATABASE_URL: server.url,
    STATE_DIR: join(directory, 'state'),
    PSEUDONYM_KEY: 'a key for benchmarks only',
    DPR_FLUSH_MS: '2000',
    ANALYTICS_PUBLISH_MS: '5000',
    PORT: '0',
    METRICS_PORT: '0',
    LOG_LEVEL: 'warn',
  }
  const client = new pg.Client({ connectionString: server.url })
  try {
    await client.connect()
    await initSource(server.url, { publication: 'incidents' })
    await seedReports(client, { seed: 1, reports: Math.ceil(rows / ROWS_OF_REPORT) })
    await client.query('VACUUM ANALYZE')
    const pipeline = startMeasured(['run'], environment)
    const pool = new pg.Pool({ connectionString: server.url, max: 2 })
    try {
      await untilReady(environment)
      const results: ReconcileResult[] = []
      if (what !== 'load') results.push(await atRest(environment, client, runs))
      if (what !== 'rest') results.push(await underLoad(environment, pool, runs))
      return results
    } finally {
      await pipeline.stop()
      await pool.end()
    }
  } finally {
    await client.end()
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

type Environment = Readonly<Record<string, string>>

/** Of rows that changed since then there are none, so that a reconciliation is a wait for the fences alone. */
const NOTHING_SINCE = '2999-01-01T00:00:00Z'

/** Waits until every place has the first snapshot. */
async function untilReady(environment: Environment): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await answerOf<Reconciliation>(['reconcile', '--since', NOTHING_SINCE, '--timeout', TIMEOUT_SECONDS], environment)
      return
    } catch (error) {
      if (tries === 20) throw error
      await new Promise((resolve) => setTimeout(resolve, 3_000))
    }
  }
}

async function atRest(environment: Environment, client: pg.Client, runs: number): Promise<ReconcileResult> {
  const found: Measured[] = []
  let corruptionsFound = 0
  for (let run = 0; run < runs; run++) {
    found.push(await reconciled(environment))
    const { key, undo } = await corrupt(client, run)
    const corrupted = await reconciled(environment)
    const named = corrupted.places.flatMap(({ place, keys }) => keys.map((each) => `${place} ${each.key}`))
    if (named.length === 1 && named[0] === `operational ${key}`) corruptionsFound += 1
    await undo()
  }
  return { ...resultOf('rest', found), corruptionsFound }
}

async function underLoad(environment: Environment, pool: pg.Pool, runs: number): Promise<ReconcileResult> {
  const load = new AbortController()
  const running = runTransactions(pool, { seed: 3, transactions: Infinity, rate: RATE, signal: load.signal })
  const found: Measured[] = []
  try {
    for (let run = 0; run < runs; run++) found.push(await reconciled(environment))
  } finally {
    load.abort()
    await running
  }
  return resultOf('load', found)
}

type Measured = Reconciliation & Usage

const reconciled = (environment: Environment): Promise<Measured> =>
  answerOf<Reconciliation>(['reconcile', '--timeout', TIMEOUT_SECONDS], environment)

/** Flips one bit of one letter in one row of the store. */
async function corrupt(client: pg.Client, seed: number): Promise<{ key: string; undo(): Promise<void> }> {
  const chance = random(seed, 'corruption')
  const { rows } = await client.query<{ id: string; text: string }>(
    `SELECT id, additional_information AS text FROM prisons.incidents_response
     WHERE length(additional_information) > 4 ORDER BY id OFFSET $1 LIMIT 1`,
    [chance.int(0, 500)],
  )
  const [row] = rows
  if (row === undefined) throw new Error('the store has no text that could be corrupted')
  const at = chance.int(0, 3)
  const set = 'UPDATE prisons.incidents_response SET additional_information = $2 WHERE id = $1'
  const flipped = row.text.slice(0, at) + String.fromCharCode(row.text.charCodeAt(at) ^ 1) + row.text.slice(at + 1)
  await client.query(set, [row.id, flipped])
  return { key: row.id, undo: async () => void (await client.query(set, [row.id, row.text])) }
}

function resultOf(what: string, found: readonly Measured[]): ReconcileResult {
  const seconds = found.map((each) => each.seconds)
  return {
    name: 'reconcile',
    what,
    rows: found[0]!.rows,
    seconds: seconds.toSorted((a, b) => a - b)[Math.floor(seconds.length / 2)]!,
    cpuSeconds: Math.max(...found.map((each) => each.cpuSeconds)),
    peakRssMiB: Math.max(...found.map((each) => each.peakRssMiB)),
    runs: seconds,
    corruptionsFound: 0,
    falseAlarms: found.filter((each) => each.differing > 0).length,
    unsettled: found.reduce((sum, each) => sum + each.unsettled, 0),
  }
}
