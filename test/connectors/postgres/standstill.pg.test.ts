/** A topic that takes nothing, and a source that says nothing: neither costs the connection, memory or the server's disk. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(`CREATE TABLE loose (id int PRIMARY KEY, a text)`)
  await database.query(`ALTER TABLE loose REPLICA IDENTITY FULL`)
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE loose`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const seconds = (n: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, n * 1000))

interface SlotRow {
  readonly pid: string | null
  readonly confirmed: string
}

async function slot(): Promise<SlotRow> {
  const [row] = await database.query<{ pid: string | null; confirmed: string }>(
    `SELECT active_pid::text AS pid, (confirmed_flush_lsn - '0/0'::pg_lsn)::text AS confirmed
     FROM pg_replication_slots WHERE slot_name = '${database.name}'`,
  )
  return row!
}

test('a topic that blocks for three times wal_sender_timeout costs no connection, moves no slot and holds bounded memory', async () => {
  await database.query(`ALTER DATABASE ${database.name} SET wal_sender_timeout = '5s'`)
  const during: SlotRow[] = []
  let grown = 0
  let blocked = false
  let rows = 0
  const block = async (): Promise<void> => {
    await seconds(2) // what was acknowledged before has reached the server
    during.push(await slot())
    await database.query(`INSERT INTO loose SELECT g, repeat(md5(g::text), 30) FROM generate_series(2, 400000) g`)
    const before = process.memoryUsage().rss
    for (let i = 0; i < 15; i++) {
      await seconds(1)
      grown = Math.max(grown, process.memoryUsage().rss - before)
    }
    during.push(await slot())
  }
  await runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: state.path,
    write: async (changes) => {
      const streamed = changes.filter((change) => change.op === 'c')
      rows += streamed.length
      if (blocked || streamed.length === 0) return
      blocked = true
      await block()
    },
    until: ({ changes }) => {
      if (!blocked && changes.some((change) => change.op === 'm' && change.snapshotDone))
        void database.query(`INSERT INTO loose VALUES (1, 'x') ON CONFLICT DO NOTHING`)
      return rows >= 400_000
    },
  })
  const [before, after] = during
  expect(after).toEqual(before)
  expect(before!.pid).not.toBeNull()
  expect(grown, 'of 400 MB that wait').toBeLessThan(100 << 20)
  expect(rows).toBe(400_000)
})

test('the slot moves within ten seconds while its own tables rest and another database writes', async () => {
  const neighbour = await testDatabase()
  await neighbour.query(`CREATE TABLE busy (a text)`)
  let tookMs = null as number | null
  let writing = null as Promise<void> | null
  const write = async (): Promise<void> => {
    await neighbour.query(`INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000)`)
    const [row] = await neighbour.query<{ lsn: string }>(
      `SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS lsn`,
    )
    const began = performance.now()
    while (Number((await slot()).confirmed) < Number(row!.lsn) && performance.now() - began < 20_000) await seconds(0.1)
    tookMs = performance.now() - began
  }
  await runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: state.path,
    until: ({ changes }) => {
      if (changes.some((change) => change.op === 'm' && change.snapshotDone)) writing ??= write()
      return tookMs !== null
    },
  })
  await writing
  await neighbour.drop()
  expect(tookMs).toBeLessThan(10_000)
})
