import { readdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { ENTITIES } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS } from '../../schemas/entity.ts'
import { rowId } from '../../transforms/identity.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type Ended, type RunningCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let running: RunningCommand[]

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = environmentOf(database, directory.path, await freePort())
  running = []
  await initSource(database.url, { publication: database.name })
  await withPool(async (pool) => {
    const client = await pool.connect()
    await seedReports(client, { seed: 1, reports: 20 })
    client.release()
  })
})

afterEach(async () => {
  for (const command of running) command.signal('SIGKILL')
  await Promise.all(running.map(({ ended }) => ended))
  await directory.remove()
  await database.drop()
})

async function withPool(work: (pool: pg.Pool) => Promise<unknown>): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  try {
    await work(pool)
  } finally {
    await pool.end()
  }
}

const live = (seed: number, transactions: number): Promise<void> =>
  withPool((pool) => runTransactions(pool, { seed, transactions }))

function start(): RunningCommand {
  const command = startCommand(['run'], { ...environment, LOG_LEVEL: 'info' })
  running.push(command)
  return command
}

const incidents = (...args: string[]): Promise<Ended> => runCommand(args, environment)

async function stop(command: RunningCommand): Promise<void> {
  command.signal('SIGTERM')
  expect((await command.ended).code).toBe(EXIT.done)
}

/** What a command prints with `--json`, when it ends so. */
async function printed(code: number, ...args: string[]): Promise<unknown> {
  const ended = await incidents(...args, '--json')
  expect({ code: ended.code, stderr: ended.code === code ? '' : ended.stderr }).toEqual({ code, stderr: '' })
  return JSON.parse(ended.stdout)
}

async function differing(code: number): Promise<readonly { place: string; key: string; why: string }[]> {
  const { places } = (await printed(code, 'reconcile')) as {
    places: { place: string; keys: { key: string; why: string }[] }[]
  }
  return places.flatMap(({ place, keys }) => keys.map(({ key, why }) => ({ place, key, why })))
}

/** Waits until every place has what the source has, ends the run, and expects each of them equal. */
async function expectEqual(command: RunningCommand): Promise<void> {
  const places = await comparePlaces(environment, () => stop(command))
  expect(places.filter((each) => each.differing > 0)).toEqual([])
  expect(places.reduce((sum, each) => sum + each.rows, 0)).toBeGreaterThan(1_000)
}

async function count(table: string): Promise<number> {
  return Number((await database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]!.n)
}

describe('repair makes every place equal to the source again', () => {
  test('after a TRUNCATE, and after rows of a place were changed behind its back', { timeout: 180_000 }, async () => {
    const command = start()
    await live(2, 40)
    await command.says(/the API listens/)
    expect(await differing(EXIT.done)).toEqual([])

    const responses = await count('response')
    const [victim] = await database.query<{ id: number; reference: string }>(
      `SELECT p.id, r.report_reference AS reference FROM prisoner_involvement p JOIN report r ON r.id = p.report_id
       ORDER BY p.id LIMIT 1`,
    )
    const altered = rowId('public.prisoner_involvement', String(victim!.id))
    await database.query(
      `UPDATE prisons.incidents_prisoner_involvement SET comment = 'by hand' WHERE id = '${altered}'`,
    )
    await database.query('TRUNCATE response')
    await command.says(/public\.response was truncated/)
    const [remedy] = /incidents repair [^`]*(?=`)/.exec(command.stderr())!
    expect(remedy).toBe('incidents repair --table public.response')

    const before = await differing(EXIT.difference)
    expect(before.filter(({ place }) => place === 'operational').map(({ key }) => key)).toContain(altered)
    expect(await printed(EXIT.done, 'repair', '--table', 'response', '--dry-run')).toEqual({
      state: 'planned',
      planned: [{ table: 'public.response', rows: expect.any(Number), keys: null }],
      tables: [],
    })
    expect(await differing(EXIT.difference)).toEqual(before)

    const repaired = await printed(EXIT.done, 'repair', '--table', 'response', '--incident', victim!.reference)
    expect(repaired).toMatchObject({ state: 'done', differing: 0, incomplete: 0 })
    expect((repaired as { tables: unknown[] }).tables).toContainEqual({
      table: 'public.response',
      outcome: 'done',
      rows: 0,
      deleted: responses,
    })
    expect(await differing(EXIT.done)).toEqual([])
    // what the stream brings of the table counts again
    await live(3, 40)
    expect(await count('response')).toBeGreaterThan(0)
    await expectEqual(command)
  })

  test('by primary keys from a file, the rows and no others', { timeout: 120_000 }, async () => {
    const command = start()
    await command.says(/the API listens/)
    expect(await differing(EXIT.done)).toEqual([])
    const ids = (await database.query<{ id: number }>('SELECT id FROM staff_involvement ORDER BY id LIMIT 3')).map(
      ({ id }) => String(id),
    )
    const [left, ...named] = ids
    const altered = ids.map((id) => `'${rowId('public.staff_involvement', id)}'`)
    await database.query(
      `UPDATE prisons.incidents_staff_involvement SET comment = 'by hand' WHERE id IN (${altered.join(', ')})`,
    )
    const keys = join(directory.path, 'keys')
    await writeFile(keys, [...named, '2000000000', ''].join('\n'))
    const args = ['repair', '--table', 'staff_involvement', '--keys', keys]
    const planned = [{ table: 'public.staff_involvement', rows: 2, keys: 3 }]
    expect(await printed(EXIT.done, ...args, '--dry-run')).toMatchObject({ planned })
    const tables = [{ table: 'public.staff_involvement', outcome: 'done', rows: 2, deleted: 0 }]
    expect(await printed(EXIT.difference, ...args)).toMatchObject({ planned, tables, differing: 1 })
    expect(await differing(EXIT.difference)).toEqual([
      { place: 'operational', key: rowId('public.staff_involvement', left!), why: 'different' },
    ])
    await writeFile(keys, left!)
    expect((await incidents(...args)).stdout).toMatch(
      /^Read again:\n {2}public\.staff_involvement {2}1 rows read\nNo row differs at LSN [0-9A-F/]+\.\n$/,
    )
    await expectEqual(command)
  })

  test.for([
    { args: ['repair'], says: /^CONFIG: nothing to repair is named/, code: EXIT.configuration },
    { args: ['repair', '--keys', '-'], says: /^CONFIG: --keys needs one --table/, code: EXIT.configuration },
    {
      args: ['repair', '--table', 'nothing'],
      says: /^PUBLICATION: public\.nothing is not published/,
      code: EXIT.source,
    },
    { args: ['snapshot', 'nothing'], says: /^PUBLICATION: public\.nothing is not published/, code: EXIT.source },
  ])('$args asks for nothing', async ({ args, says, code }) => {
    const ended = await incidents(...args)
    expect(ended.stderr).toMatch(says)
    expect([ended.code, ended.stdout]).toEqual([code, ''])
  })
})

test('snapshot reads a table again while rows flow, waits, and says how many', { timeout: 120_000 }, async () => {
  const command = start()
  await command.says(/the API listens/)
  const loaded = live(2, 200)
  const { state, tables } = (await printed(EXIT.done, 'snapshot', 'public.response')) as {
    state: string
    tables: { rows: number }[]
  }
  await loaded
  expect({ state, tables }).toEqual({
    state: 'done',
    tables: [{ table: 'public.response', outcome: 'done', rows: expect.any(Number), deleted: 0 }],
  })
  expect(tables[0]!.rows).toBeGreaterThan(0)
  await expectEqual(command)
})

describe('a slot that is gone', () => {
  test(
    'ends the run in doubt; adopted, everything is read again, and what was deleted in the gap goes',
    {
      timeout: 180_000,
    },
    async () => {
      const first = start()
      await live(2, 20)
      const places = await comparePlaces(environment, () => stop(first))
      expect(places.filter((each) => each.differing > 0)).toEqual([])

      await database.query(`SELECT pg_drop_replication_slot('${database.name}')`)
      await live(3, 40)
      const [gone] = await database.query<{ id: number }>(
        'SELECT id FROM prisoner_involvement ORDER BY id DESC LIMIT 1',
      )
      await database.query(`DELETE FROM prisoner_involvement WHERE id = ${gone!.id}`)
      const refused = await incidents('run')
      expect(refused.stderr).toMatch(/`incidents source adopt` accepts the source as it is and reads everything again/)
      expect(refused.code).toBe(EXIT.doubt)

      expect(await printed(EXIT.done, 'source', 'adopt')).toEqual({ epoch: 2 })
      const second = start()
      await live(4, 20)
      expect(await differing(EXIT.done)).toEqual([])
      await expectEqual(second)
      const held = `prisons.incidents_prisoner_involvement WHERE id = '${rowId('public.prisoner_involvement', String(gone!.id))}'`
      expect(await count(held)).toBe(0)
    },
  )

  test(
    'dropped on purpose, with its publication: only with --yes, and not while capture reads it',
    {
      timeout: 180_000,
    },
    async () => {
      const first = start()
      await live(2, 20)
      const unconfirmed = await incidents('source', 'drop')
      expect(unconfirmed.stderr).toMatch(/^CONFIG: source drop would lose what the slot still holds\n {2}Say --yes/)
      expect(unconfirmed.code).toBe(EXIT.configuration)
      await first.says(/the API listens/)
      const locked = await incidents('source', 'drop', '--yes')
      expect(locked.stderr).toMatch(/^STATE_LOCKED: /)
      expect(locked.code).toBe(EXIT.configuration)
      expect(await differing(EXIT.done)).toEqual([]) // the stream runs
      const elsewhere = { ...environment, STATE_DIR: join(directory.path, 'elsewhere') }
      const used = await runCommand(['source', 'drop', '--yes'], elsewhere)
      expect(used.stderr).toMatch(/^SLOT_IN_USE: /)
      expect(used.code).toBe(EXIT.source)
      await expectEqual(first)

      expect(await printed(EXIT.done, 'source', 'drop', '--yes')).toEqual({ slot: true, publication: true })
      expect(await count(`pg_replication_slots WHERE slot_name = '${database.name}'`)).toBe(0)
      expect(await count(`pg_publication WHERE pubname = '${database.name}'`)).toBe(0)
      expect((await incidents('source', 'drop', '--yes')).stdout).toBe('Nothing was there.\n')
      expect((await incidents('run')).code).toBe(EXIT.doubt)

      expect((await incidents('source', 'adopt')).stdout).toBe(
        'The source is adopted as epoch 2: start capture, and it reads everything.\n',
      )
      await expectEqual(start())
    },
  )
})

/** Every table of the operational store, as it is now, into a schema beside it. */
async function backUp(): Promise<readonly string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'prisons' AND c.relkind = 'r' AND c.relname NOT LIKE '%audit%'`,
  )
  await database.query('CREATE SCHEMA backup')
  for (const { name } of rows) await database.query(`CREATE TABLE backup.${name} AS TABLE prisons.${name}`)
  return rows.map(({ name }) => name)
}

describe('a sink that is not what it was', () => {
  test(
    'restored from a backup reads on from the backup’s own place; emptied, or without a file, it is filled by a repair',
    { timeout: 240_000 },
    async () => {
      const first = start()
      await live(2, 40)
      await first.says(/the API listens/)
      expect(await differing(EXIT.done)).toEqual([])
      const tables = await backUp()
      await live(3, 40)
      expect(await differing(EXIT.done)).toEqual([])
      await stop(first)

      const whole = tables.map((name) => `TRUNCATE prisons.${name}; INSERT INTO prisons.${name} TABLE backup.${name}`)
      await database.query(`BEGIN; ${whole.join('; ')}; COMMIT`)
      const second = start()
      await second.says(/the API listens/)
      expect(await differing(EXIT.done), 'restored').toEqual([])

      // emptied behind the sink's back: its place says that everything is there
      const entities = ENTITIES.map((entity) => `prisons.incidents_${ENTITY_DEFINITIONS[entity].table}`)
      await database.query(`TRUNCATE ${entities.join(', ')}`)
      const folder = join(environment['DPR_DIR']!, 'raw', 'incidentreporting', 'prisoner_involvement')
      const [lost] = readdirSync(folder).filter((name) => name.startsWith('LOAD'))
      rmSync(join(folder, lost!))
      const found = await differing(EXIT.difference)
      expect(new Set(found.map(({ place: name, why }) => `${name} ${why}`))).toEqual(
        new Set(['operational missing', 'dpr-raw incidentreporting missing']),
      )
      expect(await printed(EXIT.done, 'repair', '--all')).toMatchObject({ state: 'done', differing: 0, incomplete: 0 })
      expect(await differing(EXIT.done)).toEqual([])
      await expectEqual(second)
    },
  )
})
