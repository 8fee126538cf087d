/** The raw topic is Debezium's: its own transform, in Kafka's own Connect, takes our records for its connector's. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { capture, kafkaRuntime } from '../pipeline.ts'
import { seedReports } from '../workload/load.ts'
import { freePort } from '../workload/postgres.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { untilRead } from './support/events.ts'
import { describeOwnCluster, needKafka } from './support/kafka.ts'
import { startConnect } from './support/kafka-connect.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
const toClose: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
})

afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
  await database.drop()
  await directory.remove()
})

describeOwnCluster('Debezium’s ExtractNewRecordState', () => {
  test('unwraps inserts, updates, deletes and rows of the snapshot', { timeout: 300_000 }, async () => {
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
    const runtime = await kafkaRuntime({ config, log: logger('silent'), metrics: metrics() })
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

    const file = join(directory.path, 'rows.txt')
    const connect = await startConnect({
      directory: join(directory.path, 'connect'),
      brokers,
      registryUrl,
      topic: runtime.raw.name,
      connector: {
        'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
        file,
        transforms: 'unwrap',
        'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
        'transforms.unwrap.delete.tombstone.handling.mode': 'rewrite',
        'transforms.unwrap.add.fields': 'op,source.table,source.lsn',
      },
    })
    toClose.push(() => connect.kill())

    const rows = async () => (await readFile(file, 'utf8')).split('\n').filter((line) => line.includes('__op='))
    const deleted = /^Struct\{code=NEW,.*description=Changed,.*__deleted=true,__op=d,__source_table=constant_user_type/
    const comes = async (): Promise<void> => {
      if (!(await rows()).some((line) => deleted.test(line))) throw new Error('the delete has not come')
    }
    await vi.waitFor(comes, { timeout: 90_000, interval: 500 }).catch(async (cause: unknown) => {
      throw new Error((await readFile(join(directory.path, 'connect', 'connect.log'), 'utf8')).slice(-6000), { cause })
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
    const reports = (await rows()).filter((line) => line.includes('__op=r,__source_table=report,'))
    expect(reports).toHaveLength(source!.rows)
    expect(reports[0]).toMatch(/^Struct\{id=[0-9a-f-]{36},report_reference=\d+,title=/)
  })
})
