/** A pipeline that has run over seeded reports and live transactions, and rests: for readers of what it left. */
import { join } from 'node:path'
import pg from 'pg'
import { parseConfig, type Config } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { capture, deliver, governed } from '../../pipeline.ts'
import { SINKS } from '../../sinks/names.ts'
import { embeddedRuntime, type Runtime } from '../../runtime.ts'
import { untilPassed } from '../../proof/progress.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { temporaryDirectory } from './capture.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'
import { PATIENCE_MS } from './patience.ts'

export interface Settled {
  readonly database: TestDatabase
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly config: Config
  readonly runtime: Runtime
  /** More transactions, and every stage until it has passed them. */
  run(transactions: number, given?: Partial<Config>): Promise<void>
  close(): Promise<void>
}

export interface SettledOptions {
  readonly seed: number
  readonly reports: number
  readonly transactions: number
  /** A database of its own for the operational store, by its URL. */
  readonly store?: string
}

export async function settledPipeline(options: SettledOptions): Promise<Settled> {
  const { seed, reports, transactions, store } = options
  const database = await testDatabase()
  const { path, remove } = await temporaryDirectory()
  const environment = {
    DATABASE_URL: database.url,
    NAMESPACE: database.name,
    STATE_DIR: join(path, 'state'),
    DPR_DIR: join(path, 'dpr'),
    ANALYTICS_DIR: join(path, 'analytics'),
    PSEUDONYM_KEY: 'a key for tests only',
    DPR_FLUSH_MS: '500',
    ANALYTICS_PUBLISH_MS: '500',
    METRICS_PORT: '0',
    LOG_LEVEL: 'warn',
    ...(store === undefined ? {} : { OPERATIONAL_DATABASE_URL: store }),
  }
  const config = parseConfig(environment)
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed, reports })
  const runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  let runs = 0

  async function run(count: number, given: Partial<Config> = {}): Promise<void> {
    const configured = { ...runtime, config: { ...config, ...given } }
    const stop = new AbortController()
    const stages = [
      capture(configured, stop.signal),
      governed(configured, stop.signal),
      ...SINKS.map((name) => deliver(configured, name, stop.signal)),
    ]
    const failed = Promise.race(stages)
    const pool = new pg.Pool({ connectionString: database.url, max: 2 })
    try {
      runs += 1
      await runTransactions(pool, { seed: seed + runs, transactions: count })
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      const passed = untilPassed(parseLsn(rows[0]!.lsn), {
        ...runtime,
        groups: ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`),
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      await Promise.race([passed, failed])
    } finally {
      stop.abort()
      await Promise.allSettled(stages)
      await pool.end()
    }
  }

  await run(transactions)
  return {
    database,
    directory: path,
    environment,
    config,
    runtime,
    run,
    close: async () => {
      await runtime.transport.close()
      await client.end()
      await database.drop()
      await remove()
    },
  }
}
