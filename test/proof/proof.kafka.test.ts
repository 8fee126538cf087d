import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { image, keyText, tableName, type RowChange } from '../../core/change.ts'
import { EXIT } from '../../core/error.ts'
import { logger, metrics } from '../../observability.ts'
import type { Lineage } from '../../proof/lineage.ts'
import type { Reconciliation } from '../../proof/reconcile.ts'
import { dprPlaces, operationalPlace } from '../../proof/stores.ts'
import { kafkaRuntime } from '../../runtime.ts'
import { schemaId } from '../../schemas/framing.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { SINKS } from '../../sinks/names.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, type Ended } from '../support/command.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStage, type StageProcess } from '../support/processes.ts'

let database: TestDatabase
let other: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let stages: readonly StageProcess[]

const incidents = (...args: string[]): Promise<Ended> => runCommand(args, environment)

async function printed<T>(code: number, ...args: string[]): Promise<T> {
  const ended = await incidents(...args, '--json')
  const said = stages.map(({ name, log }) => `${name}: ${log()}`)
  const failed = ended.code === code ? '' : [ended.stderr, ...said].join('\n')
  expect({ code: ended.code, failed }).toEqual({ code, failed: '' })
  return JSON.parse(ended.stdout) as T
}

const differences = ({ places }: Reconciliation): string[] =>
  places.flatMap(({ place, keys }) => keys.map(({ key, why }) => `${place} ${key} ${why}`))

describeKafka('proof on topics of a real broker', () => {
  beforeAll(async () => {
    const { brokers, registryUrl } = needKafka()
    database = await testDatabase()
    other = await testDatabase()
    directory = await temporaryDirectory()
    environment = {
      ...environmentOf(database, directory.path, 0),
      KAFKA_BROKERS: brokers.join(','),
      SCHEMA_REGISTRY_URL: registryUrl,
    }
    await initSource(database.url, { publication: database.name })
    const pool = new pg.Pool({ connectionString: database.url, max: 2 })
    const client = await pool.connect()
    await seedReports(client, { seed: 1, reports: 20 })
    client.release()
    stages = [
      startStage('capture', ['capture'], environment),
      startStage('unify', ['unify'], environment),
      ...SINKS.map((name) => startStage(name, ['deliver', name], environment)),
    ]
    // what comes now is streamed, and not part of the first snapshot
    await printed(EXIT.done, 'reconcile')
    await runTransactions(pool, { seed: 1, transactions: 200 })
    await pool.end()
  }, 180_000)

  afterAll(async () => {
    await Promise.all(stages.map((stage) => stage.stop()))
    await database.drop()
    await other.drop()
    await directory.remove()
  })

  test('reconcile finds every place as the source is, and one bit that is not', async () => {
    const clean = await printed<Reconciliation>(EXIT.done, 'reconcile')
    expect(differences(clean)).toEqual([])
    expect(new Set(clean.places.map(({ place }) => place)).size).toBe(6)
    const rows = Map.groupBy(clean.places, ({ place }) => place)
    expect([...rows.values()].filter((its) => its.reduce((sum, each) => sum + each.rows, 0) < 500)).toEqual([])
    const table = 'prisons.incidents_prisoner_involvement'
    const [victim] = await database.query<{ id: string; role: string }>(
      `SELECT id, prisoner_role AS role FROM ${table} ORDER BY id LIMIT 1`,
    )
    const set = (role: string) =>
      database.query(`UPDATE ${table} SET prisoner_role = $2 WHERE id = $1`, [victim!.id, role])
    const flipped = String.fromCharCode(victim!.role.charCodeAt(0) ^ 1) + victim!.role.slice(1)
    await set(flipped)
    const found = await printed<Reconciliation>(EXIT.difference, 'reconcile')
    await set(victim!.role)
    expect(differences(found)).toEqual([`operational ${victim!.id} different`])
    expect(found.places.flatMap(({ keys }) => keys)[0]!.source!.position).toBe(
      found.places.flatMap(({ keys }) => keys)[0]!.place,
    )
  })

  test('lineage names the record that made each row, and the record says so itself', async () => {
    const [report] = await database.query<{ reference: string }>(
      `SELECT reference FROM prisons.incidents_report ORDER BY position DESC LIMIT 1`,
    )
    const { rows } = await printed<Lineage>(EXIT.done, 'lineage', report!.reference)
    expect(rows.length).toBeGreaterThan(1)
    const config = parseConfig(environment)
    const { raw, registry, transport } = await kafkaRuntime({ config, log: logger('silent'), metrics: metrics() })
    const decoder = rawDecoder(registry)
    try {
      for (const row of rows) {
        const { records } = await raw.page(row.partition, row.offset, row.offset + 1)
        expect([row.topic, schemaId(records[0]!.value!)]).toEqual([raw.name, row.schemaId])
        const change = (await decoder.decode(records))[0] as RowChange
        expect([change.position, tableName(change.table)]).toEqual([row.position, row.sourceTable])
        expect(row.sourceKey.startsWith(keyText(change.table, image(change)))).toBe(true)
        expect([row.dpr !== null, row.analytics !== null]).toEqual([true, true])
      }
    } finally {
      await transport.close()
    }
  })

  test('a replay into fresh places gives what the live ones hold', async () => {
    const key = environment['PSEUDONYM_KEY']!
    const records = (ended: Ended): number => (JSON.parse(ended.stdout) as { records: number }).records
    const replayed = await incidents('replay', '--sink', 'operational', '--into', other.url, '--json')
    expect(replayed).toMatchObject({ code: EXIT.done, stderr: '' })
    expect(records(replayed)).toBeGreaterThan(1_000)
    const live = await operationalPlace(database.url, key)
    expect((await operationalPlace(other.url, key)).entities).toEqual(live.entities)
    expect(live.entities.get('Report')!.size).toBeGreaterThan(20)

    const into = join(directory.path, 'other-dpr')
    const [first] = await database.query<{ position: string }>(
      `SELECT min(position) AS position FROM prisons.incidents_amendment WHERE op <> 'r'`,
    )
    const streamed = ['replay', '--sink', 'dpr-raw', '--into', into, '--from', first!.position, '--json']
    expect(await incidents(...streamed)).toMatchObject({ code: EXIT.done, stderr: '' })
    const all = (await dprPlaces(environment['DPR_DIR']!, [], key)).unified.entities
    const some = (await dprPlaces(into, [], key)).unified.entities
    for (const [entity, rows] of some)
      for (const [id, text] of rows) expect(all.get(entity)!.get(id), entity).toBe(text)
    expect(some.get('Response')!.size).toBeGreaterThan(0)
    expect(some.get('Response')!.size).toBeLessThan(all.get('Response')!.size)
  })
})
