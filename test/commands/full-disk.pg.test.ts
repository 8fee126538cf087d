import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { runCapture, temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type RunningCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { smallDisk, type SmallDisk } from '../support/small-disk.ts'

let disk: SmallDisk
let elsewhere: Awaited<ReturnType<typeof temporaryDirectory>>
let database: TestDatabase
let environment: Record<string, string>
let command: RunningCommand | null

beforeEach(async () => {
  disk = await smallDisk(128 << 20)
  elsewhere = await temporaryDirectory()
  database = await testDatabase()
  command = null
  environment = {
    ...environmentOf(database, elsewhere.path, await freePort()),
    STATE_DIR: join(disk.path, 'state'),
    LOG_LEVEL: 'info',
  }
  await initSource(database.url, { publication: database.name })
})

afterEach(async () => {
  command?.signal('SIGKILL')
  await command?.ended
  await database.drop()
  await elsewhere.remove()
  await disk.remove()
})

async function fill(reports: number): Promise<void> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports })
  await client.end()
}

async function live(seed: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  await runTransactions(pool, { seed, transactions: 300 })
  await pool.end()
}

/** Lets it catch up, ends it, and counts: the places that differ from the source, and the rows in all of them. */
async function compared(running: RunningCommand) {
  const places = await comparePlaces(environment, async () => {
    running.signal('SIGTERM')
    await running.ended
  })
  return {
    differing: places.filter((each) => each.differing > 0),
    rows: places.reduce((sum, each) => sum + each.rows, 0),
    code: (await running.ended).code,
  }
}

const EVERYTHING = { differing: [], rows: expect.toSatisfy((rows: number) => rows > 1_000), code: EXIT.done }

describe('a state directory without room', () => {
  test.for([
    ['from the first byte on', 0],
    ['from the start', 64 << 10],
    ['after some of the snapshot', 1 << 20],
  ] as const)(
    '%s ends the run with DISK_FULL and exit 5; with room it goes on, and nothing is missing',
    async ([, leave]) => {
      await fill(30)
      disk.fill(leave)
      const { code, stderr } = await runCommand(['run'], environment)
      expect(stderr).toMatch(/^DISK_FULL: .*no space is left.*\/state\/.*\n {2}\S.*$/im)
      expect(code).toBe(EXIT.target)
      disk.makeRoom()
      command = startCommand(['run'], environment)
      await live(2)
      expect(await compared(command)).toEqual(EVERYTHING)
    },
  )

  test('in the midst of its work is told again and again; with room it goes on by itself', async () => {
    await fill(10)
    command = startCommand(['run'], environment)
    await command.says(/the API listens/)
    await sleep(16_000) // until it counts as one that has worked
    disk.fill(0)
    await live(2)
    await command.says(/"code":"DISK_FULL"[^\n]*"againInMs":/)
    await live(3)
    disk.makeRoom()
    await live(4)
    expect(await compared(command)).toEqual(EVERYTHING)
  })
})

test('a transaction that finds no room beside memory is DISK_FULL, leaves no file, and comes again', async () => {
  await database.query(`
    DROP PUBLICATION ${database.name};
    CREATE TABLE large (id int PRIMARY KEY, text text);
    ALTER TABLE large REPLICA IDENTITY FULL;
    CREATE PUBLICATION ${database.name} FOR TABLE large`)
  const capture = (
    until: Parameters<typeof runCapture>[0]['until'],
    before: Awaited<ReturnType<typeof runCapture>>['changes'] = [],
  ) => runCapture({ url: database.url, name: database.name, stateDirectory: disk.path, before, until })
  const first = await capture(({ changes }) => changes.some((change) => change.op === 'm' && change.snapshotDone))
  await database.query(`INSERT INTO large SELECT g, repeat('x', 1000) FROM generate_series(1, 40000) g`)
  disk.fill(8 << 20)
  const rows = (changes: typeof first.changes): unknown[] =>
    changes.flatMap((change) => (change.op === 'c' ? [change.after!['id']] : []))
  await expect(capture(({ changes }) => rows(changes).length > 0, first.changes)).rejects.toMatchObject({
    code: 'DISK_FULL',
    message: expect.stringMatching(/^no space is left on the device of .*transaction-\d+\.spill$/),
  })
  disk.makeRoom()
  const second = await capture(({ changes }) => rows(changes).length >= 40_000, first.changes)
  expect(new Set(rows(second.changes)).size).toBe(40_000)
  expect(readdirSync(disk.path).filter((name) => name.endsWith('.spill'))).toEqual([])
})
