/** The raw topic is Debezium's: its own transform and its own sink, in Kafka's own Connect, take our records for its connector's. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { capture } from '../pipeline.ts'
import { kafkaRuntime, type Runtime } from '../runtime.ts'
import { seedReports } from '../workload/load.ts'
import { freePort } from '../workload/postgres.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { untilRead } from './support/events.ts'
import { describeOwnCluster, needKafka } from './support/kafka.ts'
import { startConnect, type ConnectOptions } from './support/kafka-connect.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let runtime: Runtime
const toClose: (() => Promise<unknown>)[] = []

/** A snapshot, then an insert, an update and a delete; and capture goes on. */
beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  const { brokers, registryUrl } = needKafka()
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 3 })
  await client.end()
  const config = parseConfig({
    ...environmentOf(database, directory.path, await freePort()),
    KAFKA_BROKERS: brokers.join(','),
    SCHEMA_REGISTRY_URL: registryUrl,
  })
  runtime = await kafkaRuntime({ config, log: logger('silent'), metrics: metrics() })
  toClose.push(() => runtime.transport.close())
  const stop = new AbortController()
  await mkdir(config.STATE_DIR, { recursive: true })
  const captured = capture(runtime, stop.signal)
  captured.catch(() => stop.abort())
  toClose.push(() => {
    stop.abort()
    return captured
  })
  await untilRead(runtime, database, [])
  await database.query(`INSERT INTO public.constant_user_type (code, sequence, description) VALUES ('NEW', 9, 'New')`)
  await database.query(`UPDATE public.constant_user_type SET description = 'Changed' WHERE code = 'NEW'`)
  await database.query(`DELETE FROM public.constant_user_type WHERE code = 'NEW'`)
  await untilRead(runtime, database, [])
})

afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
  await database.drop()
  await directory.remove()
})

async function connected(options: Pick<ConnectOptions, 'debezium' | 'connector'>): Promise<void> {
  const { brokers, registryUrl } = needKafka()
  const folder = join(directory.path, 'connect')
  const connect = await startConnect({ directory: folder, brokers, registryUrl, topic: runtime.raw.name, ...options })
  toClose.push(() => connect.kill())
}

/** Waits for what Connect is to do; tells its log when that does not come. */
async function comes(holds: () => Promise<void>): Promise<void> {
  await vi.waitFor(holds, { timeout: 90_000, interval: 500 }).catch(async (cause: unknown) => {
    throw new Error((await readFile(join(directory.path, 'connect', 'connect.log'), 'utf8')).slice(-6000), { cause })
  })
}

describeOwnCluster('Debezium’s ExtractNewRecordState', () => {
  test('unwraps inserts, updates, deletes and rows of the snapshot', { timeout: 300_000 }, async () => {
    const file = join(directory.path, 'rows.txt')
    await connected({
      debezium: 'transforms',
      connector: {
        'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
        file,
        transforms: 'unwrap',
        'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
        'transforms.unwrap.delete.tombstone.handling.mode': 'rewrite',
        'transforms.unwrap.add.fields': 'op,source.table,source.lsn',
      },
    })

    const rows = async () => (await readFile(file, 'utf8')).split('\n').filter((line) => line.includes('__op='))
    const deleted = /^Struct\{code=NEW,.*description=Changed,.*__deleted=true,__op=d,__source_table=constant_user_type/
    await comes(async () => {
      if (!(await rows()).some((line) => deleted.test(line))) throw new Error('the delete has not come')
    })
    const ofNew = (await rows()).filter((line) => line.includes('code=NEW,'))
    expect(ofNew).toEqual([
      expect.stringMatching(
        /description=New,.*__deleted=false,__op=c,__source_table=constant_user_type,__source_lsn=\d+/,
      ),
      expect.stringMatching(/description=Changed,.*__deleted=false,__op=u,/),
      expect.stringMatching(deleted),
    ])
    const [source] = await database.query<{ rows: number }>('SELECT count(*)::int AS rows FROM public.report')
    const reports = async () => (await rows()).filter((line) => line.includes('__op=r,__source_table=report,'))
    // in other partitions, which Connect reads when it likes
    await comes(async () => expect(await reports()).toHaveLength(source!.rows))
    expect((await reports())[0]).toMatch(/^Struct\{id=[0-9a-f-]{36},report_reference=\d+,title=/)
  })
})

/** Of both models: parents and children, keys of one column and of several. */
const COPIED = [
  'public.constant_user_type',
  'public.report',
  'public.response',
  'nomis.incident_cases',
  'nomis.incident_case_responses',
]

describeOwnCluster('Debezium’s JDBC sink', () => {
  test('fills tables with the source’s rows, and takes out what is deleted', { timeout: 300_000 }, async () => {
    const target = await testDatabase()
    toClose.push(() => target.drop())
    const { host, pathname, username, password } = new URL(target.url)
    await connected({
      debezium: 'jdbc-sink',
      connector: {
        'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
        'connection.url': `jdbc:postgresql://${host}${pathname}`,
        'connection.username': username,
        'connection.password': password,
        'collection.name.format': '${source.schema}_${source.table}',
        'insert.mode': 'upsert',
        'delete.enabled': 'true',
        'primary.key.mode': 'record_key',
        'schema.evolution': 'basic',
      },
    })
    await comes(async () => {
      for (const table of COPIED) {
        const copy = `public.${table.replace('.', '_')}`
        const columns = await columnsOf(database, table)
        const ours = await texts(database, table, columns)
        expect(await texts(target, copy, columns), table).toEqual(ours)
        expect(ours.length, table).toBeGreaterThan(1)
      }
    })
    const types = new Map((await columnsOf(target, 'public.public_report')).map(({ name, type }) => [name, type]))
    expect(types.get('incident_date_and_time')).toBe('timestamp without time zone')
    await database.query(`DELETE FROM nomis.incident_case_responses`)
    await comes(async () => expect(await target.query('SELECT FROM public.nomis_incident_case_responses')).toEqual([]))
  })
})

interface SourceColumn {
  readonly name: string
  readonly type: string
}

function columnsOf({ query }: TestDatabase, table: string): Promise<readonly SourceColumn[]> {
  return query<{ name: string; type: string }>(
    `SELECT attname AS name, atttypid::regtype::text AS type FROM pg_attribute
     WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  )
}

/** Every cell as PostgreSQL's text, in the order of these columns. */
async function texts(from: TestDatabase, table: string, columns: readonly SourceColumn[]): Promise<readonly string[]> {
  const cells = columns.map(({ name }) => `"${name}"::text`)
  const rows = await from.query<{ row: string }>(
    `SELECT jsonb_build_array(${cells.join(', ')})::text AS row FROM ${table} ORDER BY 1`,
  )
  return rows.map(({ row }) => row)
}
