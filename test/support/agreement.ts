/** One seeded workload through a runtime, with or without `kill -9`, and the comparison of every place at its end. */
import { join } from 'node:path'
import pg from 'pg'
import { expect } from 'vitest'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { SINKS } from '../../sinks/names.ts'
import type { Runtime } from '../../runtime.ts'
import { untilPassed } from '../../proof/progress.ts'
import { provable } from '../../commands/proving.ts'
import { prove } from '../../proof/proof.ts'
import { topics } from '../../transport/topics.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { random } from '../../workload/random.ts'
import type { TestDatabase } from './postgres.ts'
import { differences } from './plain-sql.ts'
import type { StageProcess } from './processes.ts'

export interface AgreementOptions {
  readonly database: TestDatabase
  readonly environment: Readonly<Record<string, string>>
  readonly reports: number
  readonly transactions: number
  readonly seed: number
  readonly unknownCodes?: number
  /** Starts every stage. */
  start(): readonly StageProcess[]
  open(environment: {
    config: ReturnType<typeof parseConfig>
    log: ReturnType<typeof logger>
    metrics: ReturnType<typeof metrics>
  }): Promise<Runtime>
  /** How often each stage is killed. */
  readonly kills: number
}

/** What one environment needs beside the brokers: everything in one temporary directory. */
export function environmentOf(database: TestDatabase, directory: string, apiPort: number): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    NAMESPACE: database.name,
    STATE_DIR: join(directory, 'state'),
    DPR_DIR: join(directory, 'dpr'),
    ANALYTICS_DIR: join(directory, 'analytics'),
    PSEUDONYM_KEY: 'a key for tests only',
    DPR_FLUSH_MS: '1000',
    ANALYTICS_PUBLISH_MS: '500',
    PORT: String(apiPort),
  }
}

/** Expects 0 differing rows in every place, and the store to be what plain SQL on the source says. */
export async function expectAgreement(options: AgreementOptions): Promise<void> {
  const { database, seed, transactions, reports, kills, unknownCodes = 0 } = options
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed, reports })
  const stages = options.start()
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  const config = parseConfig(options.environment)
  let runtime: Runtime | null = null
  try {
    const chance = random(seed, 'kills')
    const moments = new Map<number, StageProcess[]>()
    for (const stage of stages) {
      for (let i = 0; i < kills; i++) {
        const at = chance.int(1, transactions - 1)
        moments.set(at, [...(moments.get(at) ?? []), stage])
      }
    }
    const crashes: Promise<void>[] = []
    const onTransaction = ({ index }: { readonly index: number }): void => {
      for (const stage of moments.get(index) ?? []) crashes.push(stage.crash())
    }
    await runTransactions(pool, { seed, transactions, unknownCodes, onTransaction })
    await Promise.all(crashes)
    runtime = await options.open({ config, log: logger('silent'), metrics: metrics() })
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await untilPassed(parseLsn(rows[0]!.lsn), {
      transport: runtime.transport,
      registry: runtime.registry,
      raw: runtime.raw,
      groups: ['unify', ...SINKS].map((name) => `${config.NAMESPACE}.${name}`),
      signal: AbortSignal.timeout(240_000),
    }).catch((cause: unknown) => {
      throw new Error(stages.map((stage) => `${stage.name}: ${stage.log()}`).join('\n'), { cause })
    })
    const codes = await Promise.all(stages.map((stage) => stage.stop()))
    expect(codes, stages.map((stage) => stage.log()).join('\n')).toEqual(stages.map(() => 0))
    const proof = await prove(await provable(runtime))
    expect(proof.places.filter((each) => each.differing > 0)).toEqual([])
    expect(proof.places.reduce((sum, each) => sum + each.rows, 0)).toBeGreaterThan(reports * 50)
    const letters = await runtime.transport.topic(topics(config.NAMESPACE).deadLetters)
    const written = (await letters.bounds()).reduce((sum, { low, high }) => sum + high - low, 0)
    const incomplete = await database.query<{ reference: string }>('SELECT reference FROM prisons.incidents_incomplete')
    expect(proof.incomplete > 0).toBe(unknownCodes > 0)
    expect(incomplete).toHaveLength(proof.incomplete)
    expect(written).toBeGreaterThanOrEqual(proof.incomplete)
    if (unknownCodes === 0) {
      const plain = await differences(database)
      expect(plain.filter((each) => each.missing > 0 || each.extra > 0)).toEqual([])
      expect(plain.filter((each) => each.rows === 0)).toEqual([])
    }
  } finally {
    await Promise.all(stages.map((stage) => stage.stop()))
    await runtime?.transport.close()
    await pool.end()
    await client.end()
  }
}
