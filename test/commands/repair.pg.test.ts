import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXIT } from '../../core/error.ts'
import { rowId } from '../../transforms/identity.ts'
import { runCommand, type Ended, type RunningCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { runWorld, type RunWorld } from '../support/run-world.ts'

let world: RunWorld
let database: TestDatabase
let environment: RunWorld['environment']

beforeEach(async () => {
  world = await runWorld(20)
  ;({ database, environment } = world)
})

afterEach(() => world.close())

const start = (): RunningCommand => world.start()
const stop = (command: RunningCommand): Promise<void> => world.stop(command)
const live = (seed: number, transactions: number): Promise<void> => world.live(seed, transactions)
const incidents = (...args: readonly string[]): Promise<Ended> => world.incidents(...args)
const printed = (code: number, ...args: readonly string[]): Promise<unknown> => world.printed(code, ...args)
const differing: RunWorld['differing'] = (code) => world.differing(code)
const expectEqual = (command: RunningCommand): Promise<void> => world.expectEqual(command)
const count = (table: string): Promise<number> => world.count(table)

describe('repair makes every place equal to the source again', () => {
  test('after a TRUNCATE, and after rows of a place were changed behind its back', async () => {
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

  test('by primary keys from a file, the rows and no others', async () => {
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
    const keys = join(world.directory, 'keys')
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

test('snapshot reads a table again while rows flow, waits, and says how many', async () => {
  const command = start()
  await command.says(/the API listens/)
  expect(await differing(EXIT.done)).toEqual([]) // the stream runs
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

      await database.dropSlot(database.name)
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
      const elsewhere = { ...environment, STATE_DIR: join(world.directory, 'elsewhere') }
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
