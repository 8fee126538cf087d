/** A topic that takes nothing, and a source that says nothing: neither costs the connection, memory or the server's disk. */
import { expect, test } from 'vitest'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

interface Source {
  readonly database: TestDatabase
  readonly stateDirectory: string
  slot(): Promise<SlotRow>
}

/** A database of the test's own: the tests here wait most of their time, so they wait together. */
async function withSource(work: (source: Source) => Promise<void>): Promise<void> {
  const database = await testDatabase()
  const state = await temporaryDirectory()
  const slot = async (): Promise<SlotRow> => {
    const [row] = await database.query<{ pid: string | null; confirmed: string }>(
      `SELECT active_pid::text AS pid, (confirmed_flush_lsn - '0/0'::pg_lsn)::text AS confirmed
       FROM pg_replication_slots WHERE slot_name = '${database.name}'`,
    )
    return row!
  }
  try {
    await database.query(`CREATE TABLE loose (id int PRIMARY KEY, a text)`)
    await database.query(`ALTER TABLE loose REPLICA IDENTITY FULL`)
    await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE loose`)
    await work({ database, stateDirectory: state.path, slot })
  } finally {
    await database.drop()
    await state.remove()
  }
}

const seconds = (n: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, n * 1000))

interface SlotRow {
  readonly pid: string | null
  readonly confirmed: string
}

/** Twelve times the server's patience. */
const BLOCKED_SECONDS = 60

test.concurrent(
  'a topic that blocks for a minute, at a wal_sender_timeout of five seconds, costs no connection, moves no slot and holds bounded memory',
  () =>
    withSource(async ({ database, stateDirectory, slot }) => {
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
        for (let i = 0; i < BLOCKED_SECONDS; i++) {
          await seconds(1)
          grown = Math.max(grown, process.memoryUsage().rss - before)
        }
        during.push(await slot())
      }
      await runCapture({
        url: database.url,
        name: database.name,
        stateDirectory,
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
    }),
)

/** How much the neighbour writes: 10240 is what the pipeline promises, and takes minutes. */
const NEIGHBOUR_MB = Number(process.env['INCIDENTS_NEIGHBOUR_MB'] ?? 200)
const PIECE_MB = 20

test.concurrent(
  'the slot moves within ten seconds while its own tables rest and another database writes',
  { timeout: 60_000 + NEIGHBOUR_MB * 100 },
  () =>
    withSource(async ({ database, stateDirectory, slot }) => {
      const neighbour = await testDatabase()
      await neighbour.query(`CREATE TABLE busy (a text)`)
      const tookMs: number[] = []
      let writing = null as Promise<void> | null
      let written = false
      const write = async (): Promise<void> => {
        for (let megabytes = 0; megabytes < NEIGHBOUR_MB; megabytes += PIECE_MB) {
          await neighbour.query(
            `INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, ${PIECE_MB * 1_000})`,
          )
          const [row] = await neighbour.query<{ lsn: string }>(
            `SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS lsn`,
          )
          const began = performance.now()
          passed.push(
            (async () => {
              while (Number((await slot()).confirmed) < Number(row!.lsn) && performance.now() - began < 20_000)
                await seconds(0.1)
              tookMs.push(performance.now() - began)
            })(),
          )
          await neighbour.query('TRUNCATE busy')
        }
        await Promise.all(passed)
        written = true
      }
      const passed: Promise<void>[] = []
      await runCapture({
        url: database.url,
        name: database.name,
        stateDirectory,
        until: ({ changes }) => {
          if (changes.some((change) => change.op === 'm' && change.snapshotDone)) writing ??= write()
          return written
        },
      })
      await writing
      await neighbour.drop()
      expect(tookMs).toHaveLength(NEIGHBOUR_MB / PIECE_MB)
      expect(Math.max(...tookMs)).toBeLessThan(10_000)
    }),
)
