/**
 * Nothing passes the policy: canaries in every column of both models, in rows of a snapshot, inserts, updates (both
 * images), deletes and rows that are refused, looked for in everything that leaves the pipeline.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import avro from 'avsc'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../api/database.ts'
import type { TokenFor } from '../api/demo-identity.ts'
import * as roles from '../api/roles.ts'
import { parseConfig, type Config } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import type { Row } from '../core/change.ts'
import { logger, metrics } from '../observability.ts'
import { SINKS } from '../sinks/names.ts'
import { embeddedRuntime, type Runtime } from '../runtime.ts'
import { scanTopic } from '../proof/topic-scan.ts'
import { KINDS, type Kind } from '../schemas/entity.ts'
import { schemaId } from '../schemas/framing.ts'
import { CLEARANCES } from '../schemas/policy/clearance.ts'
import { pseudonym } from '../schemas/policy/projection.ts'
import { topics } from '../transport/topics.ts'
import { freePort } from '../workload/postgres.ts'
import { environmentOf } from './support/agreement.ts'
import { testApi } from './support/api.ts'
import { canaries, CANARY_TABLES } from './support/canaries.ts'
import { temporaryDirectory } from './support/capture.ts'
import { runCommand } from './support/command.ts'
import { untilRead } from './support/events.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'
import { startStage, type StageProcess } from './support/processes.ts'
import { sourceTable } from './support/source-rows.ts'

const planted = canaries()
let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let config: Config
let runtime: Runtime
let stage: StageProcess
let metricsText = ''
let statusText = ''
let answers = ''
let exitCode: number | null = null

const CLEARED_KEYS: readonly Kind[] = ['key']
const cleared = (output: keyof typeof CLEARANCES): Kind[] =>
  KINDS.filter((kind) => CLEARANCES[output][kind] === 'clear')

/** A row of every table with the `n`th keys and new canaries; `refused` gives them codes that nobody knows. */
async function write(client: pg.Client, sql: (table: string, row: Row) => string, n: number, refused = false) {
  for (const table of CANARY_TABLES) {
    const row = planted.row(table, n, refused)
    await client.query(sql(table, row), Object.values(row))
    last.set(`${table} ${n}`, row)
  }
}

const last = new Map<string, Row>()

const insert = (table: string, row: Row): string =>
  `INSERT INTO ${table} (${Object.keys(row)
    .map((name) => `"${name}"`)
    .join(', ')})
   VALUES (${Object.keys(row)
     .map((_, i) => `$${i + 1}`)
     .join(', ')})`

/** Of the row with the same keys. */
const update = (table: string, row: Row): string => {
  const names = Object.keys(row)
  return `UPDATE ${table} SET ${names.map((name, i) => `"${name}" = $${i + 1}`).join(', ')} WHERE ${keysOf(table, names)}`
}

function keysOf(table: string, names: readonly string[]): string {
  const key = KEYS.get(table)!
  return key.map((name) => `"${name}" = $${names.indexOf(name) + 1}`).join(' AND ')
}

const KEYS = new Map<string, readonly string[]>()

beforeAll(async () => {
  for (const table of CANARY_TABLES) KEYS.set(table, sourceTable(table).key)
  database = await testDatabase()
  directory = await temporaryDirectory()
  const [apiPort, metricsPort] = [await freePort(), await freePort()]
  environment = { ...environmentOf(database, directory.path, apiPort), METRICS_PORT: String(metricsPort) }
  config = parseConfig(environment)
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query('SET session_replication_role = replica') // no parent of these rows has to exist
  await write(client, insert, 1)
  stage = startStage('run', ['run'], { ...environment, LOG_LEVEL: 'debug' })
  runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  await untilRead(runtime, database, ['unify', ...SINKS])
  await write(client, update, 1)
  await write(client, insert, 2)
  for (const table of [...CANARY_TABLES].reverse()) {
    const row = last.get(`${table} 2`)!
    const names = KEYS.get(table)!
    await client.query(
      `DELETE FROM ${table} WHERE ${names.map((name, i) => `"${name}" = $${i + 1}`).join(' AND ')}`,
      names.map((name) => row[name]),
    )
  }
  await write(client, insert, 3, true)
  await write(client, update, 3, true)
  await client.end()
  await untilRead(runtime, database, ['unify', ...SINKS])

  metricsText = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  statusText = await commandText('status', '--json')
  for (const path of [
    '/incident-reports',
    '/incident-reports/not-an-id',
    '/incident-reports?size=none',
    '/health',
    '/info',
  ]) {
    const response = await fetch(`http://127.0.0.1:${apiPort}${path}`)
    answers += JSON.stringify([...response.headers])
    if (!response.ok) answers += await response.text()
  }
  exitCode = await stage.stop()
}, 240_000)

afterAll(async () => {
  await stage?.stop()
  await runtime?.transport.close()
  await database?.drop()
  await directory?.remove()
})

async function commandText(...args: string[]): Promise<string> {
  const { stdout, stderr } = await runCommand(args, { ...environment, METRICS_PORT: '0' })
  return stdout + stderr
}

/** Every record of a topic: its bytes, and its values as an independent reader has them. */
async function topicText(name: 'raw' | 'unified' | 'events' | 'deadLetters'): Promise<string> {
  const topic = await runtime.transport.topic(topics(config.NAMESPACE)[name])
  const types = new Map<number, avro.Type>()
  const decoded = async (bytes: Buffer | null): Promise<string> => {
    if (bytes === null) return ''
    const id = schemaId(bytes)
    if (!types.has(id)) types.set(id, avro.Type.forSchema((await runtime.registry.schema(id)) as avro.Schema))
    return JSON.stringify(types.get(id)!.fromBuffer(bytes.subarray(5)))
  }
  const texts: string[] = []
  await scanTopic({
    topic,
    take: async (records) => {
      for (const { key, value } of records) {
        texts.push(key.toString('latin1'), value?.toString('latin1') ?? '', await decoded(key), await decoded(value))
      }
    },
  })
  return texts.join('\n')
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Files by name and content: parquet and DuckDB as DuckDB reads them. */
async function folderText(folder: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const rows = async (sql: string): Promise<string> =>
    JSON.stringify((await connection.runAndReadAll(sql)).getRowsJson())
  const texts: string[] = []
  for (const file of filesOf(folder)) {
    texts.push(file)
    if (file.endsWith('.parquet')) texts.push(await rows(`SELECT * FROM read_parquet('${file}')`))
    else if (file.endsWith('.duckdb')) {
      await connection.run(`ATTACH '${file}' AS d (READ_ONLY)`)
      const tables = await connection.runAndReadAll(
        `SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'd'
         UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'd' AND NOT internal`,
      )
      for (const [schema, table] of tables.getRows()) {
        texts.push(await rows(`SELECT * FROM d."${String(schema)}"."${String(table)}"`))
      }
      await connection.run('DETACH d')
    } else texts.push(readFileSync(file, 'latin1'))
  }
  connection.closeSync()
  instance.closeSync()
  return texts.join('\n')
}

async function storeText(only: RegExp): Promise<string> {
  const tables = await database.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'prisons'`,
  )
  const texts: string[] = []
  for (const { name } of tables.filter((each) => only.test(each.name))) {
    texts.push(JSON.stringify(await database.query(`SELECT * FROM prisons."${name}"`)))
  }
  return texts.join('\n')
}

/** Every route that reads, asked by this caller about an incident whose rows have canaries. */
async function answersTo(caller: TokenFor): Promise<{ bodies: string; headers: string; statuses: number[] }> {
  const pool = openDatabase(database.url)
  const { app, as } = await testApi({ database: pool, writes: { source: pool } })
  try {
    const [report] = await database.query<{ id: string; reference: string; prisoner: string }>(
      `SELECT r.id, r.reference, p.prisoner_number AS prisoner FROM prisons.incidents_report r
       JOIN prisons.incidents_prisoner_involvement p USING (reference) WHERE r.source = 'DPS'`,
    )
    const { id, reference, prisoner } = report!
    const values: Record<string, string> = { id, reference, prisonerNumber: prisoner }
    const { paths } = (await app.inject('/v3/api-docs')).json<{ paths: Record<string, object> }>()
    const found = { bodies: '', headers: '', statuses: [] as number[] }
    for (const path of Object.keys(paths).filter((each) => 'get' in paths[each]!)) {
      const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '1')
      const url = path.endsWith('/counts') ? `${filled}?by=location` : filled
      const answer = await app.inject({ url, headers: await as(caller) })
      found.bodies += answer.body
      found.headers += JSON.stringify(answer.headers)
      found.statuses.push(answer.statusCode)
    }
    return found
  } finally {
    await app.close()
    await pool.end()
  }
}

/** Canaries in the text whose kind may not be there, with where they were planted. */
function escaped(text: string, kinds: readonly Kind[]): string[] {
  return [...planted.found(text)]
    .map((each) => planted.known.get(each)!)
    .filter(({ kind }) => !kinds.includes(kind))
    .map(({ kind, column }) => `${kind} of ${column}`)
}

describe('a canary occurs only where its kind is cleared', () => {
  test('all were planted, and the raw topic has every one: it is private', async () => {
    const kinds = new Set([...planted.known.values()].map(({ kind }) => kind))
    expect([...kinds].toSorted()).toEqual(['code', 'freeText', 'location', 'name', 'prisonerNumber', 'username'])
    const found = planted.found(await topicText('raw'))
    expect([...planted.known].filter(([each]) => !found.has(each))).toEqual([])
    expect(found.size).toBeGreaterThan(500)
  })

  test.each([
    ['unified', cleared('unified')],
    ['events', CLEARED_KEYS],
    ['deadLetters', CLEARED_KEYS],
  ] as const)('in the topic %s, as bytes and decoded', async (name, kinds) => {
    const text = await topicText(name)
    expect(text.length).toBeGreaterThan(1000)
    expect(escaped(text, kinds)).toEqual([])
  })

  test('in the unified topic persons are pseudonyms, and what is cleared is there', async () => {
    const text = await topicText('unified')
    const [person] = [...planted.known].find(
      ([, { column }]) => column === 'public.prisoner_involvement.prisoner_number',
    )!
    expect(text).toContain(pseudonym(config.PSEUDONYM_KEY!, person))
    expect(planted.found(text).size).toBeGreaterThan(50)
  })

  test("in DPR's files", async () => {
    const text = await folderText(environment['DPR_DIR']!)
    expect(planted.found(text).size).toBeGreaterThan(100)
    expect(escaped(text, cleared('dpr-raw'))).toEqual([])
  })

  test('in DuckDB and its parquet', async () => {
    const text = await folderText(environment['ANALYTICS_DIR']!)
    expect(planted.found(text).size).toBeGreaterThan(50)
    expect(escaped(text, cleared('analytics'))).toEqual([])
  })

  test('in the operational store; what it says of refused rows has keys alone', async () => {
    expect(escaped(await storeText(/^incidents_(?!incomplete)/), cleared('operational'))).toEqual([])
    const refused = await storeText(/^incidents_incomplete$/)
    expect(refused).toContain('UNKNOWN_CODE')
    expect(escaped(refused, CLEARED_KEYS)).toEqual([])
  })

  describe('in what the API answers', () => {
    const reader: TokenFor = { roles: [roles.VIEW_REPORTS] }
    /** What codes mean is the same for everybody. */
    const ofIncidents = (text: string): string[] =>
      escaped(text, CLEARED_KEYS).filter((each) => !each.startsWith('code of public.constant_'))

    test('to who may read reports, what the store may hold, and in no header', async () => {
      const { bodies, headers } = await answersTo(reader)
      const kinds = new Set([...planted.found(bodies)].map((each) => planted.known.get(each)!.kind))
      expect([...kinds]).toEqual(expect.arrayContaining(['freeText', 'location', 'name', 'prisonerNumber', 'username']))
      expect(escaped(bodies, cleared('operational'))).toEqual([])
      expect(escaped(headers, CLEARED_KEYS)).toEqual([])
    })

    test.each(Object.values(roles).filter((role) => role !== roles.VIEW_REPORTS && role !== roles.ANY_ROLE))(
      'to %s alone: nobody and no text',
      async (role) => {
        const { bodies, headers, statuses } = await answersTo({ roles: [role] })
        expect(statuses).toContain(403)
        expect(escaped(bodies, [...CLEARED_KEYS, 'code', 'location'])).toEqual([])
        expect(escaped(headers, CLEARED_KEYS)).toEqual([])
      },
    )

    test('to who may read the reports of another prison: nothing', async () => {
      const { bodies, headers, statuses } = await answersTo({ ...reader, caseloads: ['MDI'] })
      expect(statuses).toContain(404)
      expect(ofIncidents(bodies + headers)).toEqual([])
    })
  })

  test('in logs, metrics, status, headers, error bodies and what commands print: nowhere', async () => {
    expect(exitCode, stage.log()).toBe(0)
    expect(metricsText).toContain('incidents_changes_total')
    expect(statusText).toContain('rawRecords')
    const letters = await commandText('dead-letters', 'list', '--json')
    expect(letters).toContain('UNKNOWN_CODE')
    const replay = await commandText('dead-letters', 'replay', '--dry-run', '--json')
    for (const text of [stage.log(), metricsText, statusText, answers, letters, replay]) {
      expect(escaped(text, CLEARED_KEYS)).toEqual([])
    }
  })
})
