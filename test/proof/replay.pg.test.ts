import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replayCommand } from '../../commands/replay.ts'
import { RULES_VERSION } from '../../core/incident.ts'
import { openSink } from '../../pipeline.ts'
import type { Place } from '../../proof/place.ts'
import { finishSwap, swapDirectories } from '../../proof/replay-directories.ts'
import { replay } from '../../proof/replay.ts'
import { analyticsPlace, dprPlaces, operationalPlace } from '../../proof/stores.ts'
import { prepareNextStore, swapStores } from '../../sinks/operational-rebuild.ts'
import { operationalStore } from '../../sinks/operational.ts'
import { startCommand } from '../support/command.ts'
import { OPERATIONAL_PROJECTIONS } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'
import { changeOf, dpsReport } from '../support/unified-rows.ts'

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url))
const KEY = 'a key for tests only'
const never = new AbortController().signal

let settled: Settled
const others: TestDatabase[] = []

beforeAll(async () => {
  settled = await settledPipeline({ seed: 11, reports: 10, transactions: 60 })
})

afterAll(async () => {
  for (const other of others) await other.drop()
  await settled.close()
})

async function anotherDatabase(): Promise<TestDatabase> {
  const made = await testDatabase()
  others.push(made)
  return made
}

function content(place: Place): unknown {
  return [...place.entities].map(([entity, rows]) => [entity, [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))])
}

const stored = async (url: string) => content(await operationalPlace(url, KEY))

const AMENDMENTS = `
  SELECT entity, id, reference, source_table, op, position, lsn, committed_at, tx_id, "partition", topic_offset,
         before::jsonb AS before, after::jsonb AS after
  FROM prisons.incidents_amendment ORDER BY id, entity, position`

describe('a replay into a place of its own gives what the live one holds', () => {
  test('the operational store, with every amendment', async () => {
    const other = await anotherDatabase()
    const options = { sink: 'operational', into: other.url } as const
    expect(await replayCommand(settled.config, options, never)).toBe(0)
    expect(await stored(other.url)).toEqual(await stored(settled.database.url))
    const amendments = await settled.database.query(AMENDMENTS)
    expect(amendments.length).toBeGreaterThan(200)
    expect(await other.query(AMENDMENTS)).toEqual(amendments)
    expect(await replayCommand(settled.config, options, never), 'once more').toBe(0)
    expect(await other.query(AMENDMENTS)).toEqual(amendments)
  })

  test('analytics', async () => {
    const into = join(settled.directory, 'other-analytics')
    await replayCommand(settled.config, { sink: 'analytics', into }, never)
    const live = content(await analyticsPlace(settled.config.ANALYTICS_DIR!, KEY))
    expect(content(await analyticsPlace(into, KEY))).toEqual(live)
  })

  test('the raw zone of DPR', async () => {
    const into = join(settled.directory, 'other-dpr')
    await replayCommand(settled.config, { sink: 'dpr-raw', into }, never)
    const tables = ['report', 'response', 'prisoner_involvement', 'history']
    const live = await dprPlaces(settled.config.DPR_DIR!, tables, KEY)
    const replayed = await dprPlaces(into, tables, KEY)
    expect(content(replayed.unified)).toEqual(content(live.unified))
    expect(content(replayed.tables)).toEqual(content(live.tables))
  })

  test('from a position on, only what lies behind it', async () => {
    const [middle] = await settled.database.query<{ position: string }>(
      `SELECT position FROM prisons.incidents_amendment WHERE op <> 'r' ORDER BY position OFFSET 50 LIMIT 1`,
    )
    const from = middle!.position
    const other = await anotherDatabase()
    await replayCommand(settled.config, { sink: 'operational', into: other.url, from }, never)
    const positions = (database: TestDatabase, where: string) =>
      database.query(
        `SELECT entity, id, position FROM prisons.incidents_amendment ${where} ORDER BY id, entity, position`,
      )
    const behind = await positions(settled.database, `WHERE position >= '${from}'`)
    expect(behind.length).toBeGreaterThan(50)
    expect(await positions(other, '')).toEqual(behind)
  })
})

test.for<[name: string, options: Parameters<typeof replayCommand>[1]]>([
  ['without a place', { sink: 'operational' }],
  ['into the live place', { sink: 'dpr-raw', into: 'LIVE' }],
  ['that rebuilds from a position', { sink: 'operational', rebuild: true, from: '0001/00000016b374d848/00000001' }],
  ['from a position that is none', { sink: 'operational', into: 'postgres://127.0.0.1/x', from: '16/B374D848' }],
])('a replay %s is refused', async ([, options]) => {
  const into = options.into === 'LIVE' ? { into: settled.config.DPR_DIR! } : {}
  await expect(replayCommand(settled.config, { ...options, ...into }, never)).rejects.toMatchObject({ code: 'CONFIG' })
})

describe('a rebuild fills a new place beside the live one and swaps', () => {
  test('the operational store: rows, amendments that the topic forgot, grants and tables of others stay', async () => {
    const { database, config } = settled
    const before = await stored(database.url)
    await database.query(`
      CREATE TABLE prisons.other (n int);
      GRANT SELECT ON prisons.incidents_report TO PUBLIC;
      INSERT INTO prisons.incidents_amendment
      SELECT entity, '00000000-0000-4000-8000-000000000000', reference, source_table, op, position, lsn, committed_at,
             tx_id, "partition", topic_offset, before, after, rules_version
      FROM prisons.incidents_amendment LIMIT 1;
      UPDATE prisons.incidents_layout SET contract = 'an earlier one'`)
    const amendments = await database.query(AMENDMENTS)
    await expect(openSink(config, 'operational')).rejects.toMatchObject({
      code: 'SINK_FOREIGN',
      remedy: expect.stringContaining('replay --rebuild') as string,
    })
    expect(await replayCommand(config, { sink: 'operational', rebuild: true }, never)).toBe(0)
    expect(await stored(database.url)).toEqual(before)
    expect(await database.query(AMENDMENTS)).toEqual(amendments)
    expect(await database.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prisons%' ORDER BY 1`)).toEqual([
      { nspname: 'prisons' },
      { nspname: 'prisons_previous' },
    ])
    const [report] = await database.query<{ granted: string }>(
      `SELECT array_to_string(relacl, ' ') AS granted FROM pg_class WHERE oid = 'prisons.incidents_report'::regclass`,
    )
    expect(report!.granted).toContain('=r/')
    expect(await database.query('SELECT n FROM prisons.other')).toEqual([])
  })

  test('a writer of the old store meanwhile notices, and reads on from the new one: nothing is missed', async () => {
    const { url } = await anotherDatabase()
    const options = { url, projections: OPERATIONAL_PROJECTIONS, rulesVersion: RULES_VERSION }
    const writer = await operationalStore(options)
    const change = (n: number) => changeOf({ offset: n, lsn: 8 * (n + 1) }, dpsReport(n))
    await writer.write([change(0)])
    await prepareNextStore(options)
    const next = await operationalStore({ ...options, schema: 'prisons_next' })
    await next.write([change(0)])
    await writer.write([change(1)])
    expect((await swapStores(url)).done, 'the old store has read further').toBe(false)
    await next.write([change(1)])
    expect((await swapStores(url)).done).toBe(true)
    await expect(writer.write([change(2)])).rejects.toMatchObject({
      code: 'SINK',
      remedy: expect.stringContaining('opens the new one') as string,
    })
    const successor = await operationalStore(options)
    expect((await successor.places([0])).get(0)!.next).toBe(2)
    await successor.write([change(2)])
    expect((await operationalPlace(url, KEY)).entities.get('Report')!.size).toBe(3)
    await successor.close()
    await next.close()
  })

  test('an interrupted rebuild goes on where it was, and starts anew when the rules have changed since', async () => {
    const database = await anotherDatabase()
    const options = { url: database.url, projections: OPERATIONAL_PROJECTIONS, rulesVersion: 7 }
    const next = { ...options, schema: 'prisons_next' }
    await prepareNextStore(options)
    const stop = new AbortController()
    const sink = await operationalStore(next)
    const { raw, registry } = settled.runtime
    const interrupted = replay({ raw, registry, sink, signal: stop.signal, progress: () => stop.abort() })
    await expect(interrupted).rejects.toThrow('aborted')
    await sink.close()

    await prepareNextStore(options)
    const resumed = await operationalStore(next)
    const bounds = await raw.bounds()
    const { records } = await replay({ raw, registry, sink: resumed, signal: never })
    await resumed.close()
    expect(records).toBeLessThan(bounds.reduce((sum, { low, high }) => sum + high - low, 0))
    expect((await swapStores(database.url)).done).toBe(true)
    expect(await stored(database.url)).toEqual(await stored(settled.database.url))

    await prepareNextStore(options)
    await (await operationalStore(next)).close()
    await prepareNextStore({ ...options, rulesVersion: 8 })
    const found = await database.query(`SELECT to_regclass('prisons_next.incidents_layout') AS found`)
    expect(found).toEqual([{ found: null }])
  })

  test('killed at any moment and given again, it ends with the same store', async () => {
    const database = await anotherDatabase()
    const env = { ...process.env, ...settled.environment, OPERATIONAL_DATABASE_URL: database.url }
    const command = () =>
      spawn(process.execPath, [CLI, 'replay', '--sink', 'operational', '--rebuild'], { env, stdio: 'ignore' })
    for (const ms of [700, 1000, 1300, 1600]) {
      const child = command()
      const ended = once(child, 'exit')
      await new Promise((resolve) => setTimeout(resolve, ms))
      child.kill('SIGKILL')
      await ended
    }
    expect((await once(command(), 'exit'))[0]).toBe(0)
    expect(await stored(database.url)).toEqual(await stored(settled.database.url))
  })

  test.for(['analytics', 'dpr-raw'] as const)(
    '%s: the directory that was there stays until it is removed',
    async (sink) => {
      const { config } = settled
      const live = sink === 'analytics' ? config.ANALYTICS_DIR! : config.DPR_DIR!
      const held = async () =>
        content(sink === 'analytics' ? await analyticsPlace(live, KEY) : (await dprPlaces(live, [], KEY)).unified)
      const before = await held()
      expect(await replayCommand(config, { sink, rebuild: true }, never)).toBe(0)
      expect(await held()).toEqual(before)
      await rm(`${live}.previous`, { recursive: true })
      expect(await held(), 'without the previous one').toEqual(before)
    },
  )

  test('the live sinks go on from what was swapped in', async () => {
    await settled.run(20)
    const other = await anotherDatabase()
    await replayCommand(settled.config, { sink: 'operational', into: other.url }, never)
    expect(await stored(other.url)).toEqual(await stored(settled.database.url))
  }, 100_000)

  test('a run finishes a swap that was killed between its two renames, before it opens what is there', async () => {
    const { config } = settled
    const held = async () => [
      content(await analyticsPlace(config.ANALYTICS_DIR!, KEY)),
      content((await dprPlaces(config.DPR_DIR!, [], KEY)).unified),
    ]
    const before = await held()
    for (const live of [config.ANALYTICS_DIR!, config.DPR_DIR!]) {
      await rm(`${live}.previous`, { recursive: true, force: true })
      await rename(live, `${live}.previous`)
      await cp(`${live}.previous`, `${live}.next`, { recursive: true })
      await writeFile(join(`${live}.next`, 'filled'), '')
    }
    const command = startCommand(['run'], { ...settled.environment, PORT: '0', LOG_LEVEL: 'info' })
    try {
      await command.says(/the API listens/)
    } finally {
      command.signal('SIGTERM')
      expect((await command.ended).code).toBe(0)
    }
    for (const live of [config.ANALYTICS_DIR!, config.DPR_DIR!]) {
      expect(existsSync(join(live, 'filled')), live).toBe(true)
      await rm(`${live}.previous`, { recursive: true })
    }
    expect(await held()).toEqual(before)
  })

  test('a crash between the two renames is finished', async () => {
    const live = join(settled.directory, 'swapped')
    await mkdir(live)
    await mkdir(`${live}.next`)
    await writeFile(join(`${live}.next`, 'new'), 'new')
    await rename(live, `${live}.previous`)
    await finishSwap(live)
    expect(await readFile(join(live, 'new'), 'utf8')).toBe('new')
    await mkdir(`${live}.next`)
    await swapDirectories(live)
    expect(await readFile(join(`${live}.previous`, 'new'), 'utf8')).toBe('new')
  })
})
