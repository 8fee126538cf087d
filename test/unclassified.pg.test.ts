/** A column that nobody has classified, added while rows flow. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { metrics } from '../observability.ts'
import { capture, deliver, governed } from '../pipeline.ts'
import { SINKS } from '../sinks/names.ts'
import { embeddedRuntime, type Runtime } from '../runtime.ts'
import { readStatus } from '../proof/status.ts'
import { scanTopic } from '../proof/topic-scan.ts'
import { topics } from '../transport/topics.ts'
import { seedReports } from '../workload/load.ts'
import { freePort } from '../workload/postgres.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { untilRead } from './support/events.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'

const CANARY = 'CanaryNickname'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let runtime: Runtime
const lines: string[] = []
const toClose: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = environmentOf(database, directory.path, await freePort())
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 5 })
  await client.end()
  runtime = await embeddedRuntime({
    config: parseConfig(environment),
    log: pino({ level: 'info' }, { write: (line) => lines.push(line) }),
    metrics: metrics(),
  })
  toClose.push(() => runtime.transport.close())
})

afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
  await database.drop()
  await directory.remove()
})

function running(stage: (signal: AbortSignal) => Promise<void>): void {
  const stop = new AbortController()
  const ended = stage(stop.signal)
  ended.catch(() => {})
  toClose.push(() => {
    stop.abort()
    return ended
  })
}

async function topicText(name: 'raw' | 'unified' | 'events' | 'deadLetters'): Promise<string> {
  const topic = await runtime.transport.topic(topics(database.name)[name])
  let text = ''
  await scanTopic({
    topic,
    take: async (records) => {
      for (const { key, value } of records) text += `${key.toString('latin1')}${value?.toString('latin1') ?? ''}`
    },
  })
  return text
}

/** Columns and cells of every parquet file below a folder. */
async function parquetText(folder: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  let text = ''
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.parquet')) {
      const path = join(folder, file)
      text += JSON.stringify(
        (await connection.runAndReadAll(`SELECT * FROM read_parquet('${path}')`)).getRowObjectsJson(),
      )
    } else if (/\.(avsc|json)$/.test(file)) text += readFileSync(join(folder, file), 'utf8')
  }
  connection.closeSync()
  instance.closeSync()
  return text
}

test('is in the raw topic alone, counted, and told once: metric, log line, status', async () => {
  running((signal) => capture(runtime, signal))
  running((signal) => governed(runtime, signal))
  for (const name of SINKS) running((signal) => deliver(runtime, name, signal))
  const read = () => untilRead(runtime, database, ['unify', ...SINKS])
  await read()
  const withheld = async () =>
    (await runtime.metrics.registry.getSingleMetricAsString('incidents_unclassified_columns')).match(/^\w+\{.*$/gm)
  expect(await withheld()).toBeNull()

  await database.query('ALTER TABLE public.prisoner_involvement ADD COLUMN nickname text')
  await database.query('UPDATE public.prisoner_involvement SET nickname = $1, comment = $2', [CANARY, 'seen'])
  await database.query('UPDATE public.prisoner_involvement SET sequence = sequence + 1')
  await read()

  expect(await topicText('raw')).toContain(CANARY)
  for (const name of ['unified', 'events', 'deadLetters'] as const) {
    expect(await topicText(name)).not.toMatch(/nickname/i)
  }
  const files = await parquetText(environment['DPR_DIR']!)
  expect(files).toContain('seen') // the update is there, but for the column
  expect(files).not.toMatch(/nickname/i)
  expect(await parquetText(environment['ANALYTICS_DIR']!)).not.toMatch(/nickname/i)
  const stored = await database.query('SELECT * FROM prisons.incidents_prisoner_involvement')
  expect(stored.filter(({ comment }) => comment === 'seen').length).toBeGreaterThan(0)
  expect(JSON.stringify(stored)).not.toMatch(/nickname/i)

  expect(await withheld()).toEqual(['incidents_unclassified_columns{table="public.prisoner_involvement"} 1'])
  const told = lines.filter((line) => line.includes('nobody has classified'))
  expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([
    { table: 'public.prisoner_involvement', columns: ['nickname'] },
  ])
  expect(lines.join('\n')).not.toContain(CANARY)
  const { transport, raw, registry } = runtime
  const deadLetters = await transport.topic(topics(database.name).deadLetters)
  const options = { databaseUrl: database.url, slot: database.name, transport, raw, registry, deadLetters }
  expect(await readStatus({ ...options, groups: new Map() })).toMatchObject({
    unclassified: { 'public.prisoner_involvement': ['nickname'] },
  })
})
