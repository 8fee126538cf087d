/** A snapshot that is broken off or slowed down, of a table at rest: what is read again, and how fast. */
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask, type Request } from '../../../connectors/postgres/requests.ts'
import { WORKERS } from '../../../connectors/postgres/reread-request.ts'
import type { Change, RowChange } from '../../../core/change.ts'
import { untilDone } from '../../../proof/repair.ts'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'
import { captureProcess } from '../../support/capture-process.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const ROWS = 8_000
/** Two pages. */
const CHUNK_BYTES = 16_384

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let topic: Change[]

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  topic = []
  await database.query(`
    CREATE TABLE report (id int PRIMARY KEY, report_reference text, title text);
    ALTER TABLE report REPLICA IDENTITY FULL;
    INSERT INTO report SELECT g, (1000 + g)::text, repeat('x', 200) FROM generate_series(1, ${ROWS}) g;
    CREATE PUBLICATION ${database.name} FOR TABLE report`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const options = () => ({
  url: database.url,
  name: database.name,
  stateDirectory: state.path,
  chunkBytes: CHUNK_BYTES,
})

function capture() {
  let stopped = false
  const running = runCapture({
    ...options(),
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    until: () => stopped,
  })
  running.catch(() => {})
  return async (): Promise<void> => {
    stopped = true
    await running
  }
}

async function asked(request: Request): Promise<string> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { id } = await ask(client, database.name, request).finally(() => client.end())
  return id
}

const done = (id: string) =>
  untilDone(id, { stateDirectory: state.path, signal: AbortSignal.timeout(60_000), seenMs: 20_000 })

const read = (from: number): RowChange[] => topic.slice(from).filter((each) => each.op === 'r') as RowChange[]

/** Every row is there, and no more of them twice than one chunk for each worker and kill. */
async function expectReadAgain(from: number, kills: number): Promise<void> {
  const [chunk] = await database.query<{ rows: number }>(
    `SELECT max(n)::int AS rows FROM (
       SELECT count(*) AS n FROM report GROUP BY (ctid::text::point)[0]::int / ${CHUNK_BYTES / 8_192}) s`,
  )
  const ids = read(from).map(({ after }) => Number(after!['id']))
  expect(new Set(ids).size).toBe(ROWS)
  expect(ids.length - ROWS).toBeLessThanOrEqual(kills * WORKERS * chunk!.rows)
}

test('kill -9 costs at most one chunk for each worker, in the first snapshot and in a later one', async () => {
  /** Captures in a process that is killed when it has handed on so many more rows. */
  async function killedAfter(rows: number, from: number): Promise<void> {
    const child = captureProcess(options(), topic)
    await expect.poll(() => read(from).length, { timeout: 30_000, interval: 2 }).toBeGreaterThan(rows)
    child.kill()
    await child.ended
  }
  await killedAfter(ROWS / 4, 0) // in the slot's own snapshot
  expect(read(0).length).toBeLessThan(ROWS)
  await killedAfter(ROWS / 2, 0) // between watermarks
  expect(read(0).length).toBeLessThan(ROWS)
  let stop = capture()
  await expect.poll(() => topic.some((each) => each.op === 'm' && each.snapshotDone), { timeout: 60_000 }).toBe(true)
  await expectReadAgain(0, 2)
  await stop()

  const from = topic.length
  const id = await asked({ kind: 'tables', tables: ['public.report'], sweep: false })
  await killedAfter(ROWS / 4, from)
  expect(read(from).length).toBeLessThan(ROWS)
  stop = capture()
  expect((await done(id))!.parts).toMatchObject([{ outcome: 'done', rows: ROWS }])
  await expectReadAgain(from, 1)
  await stop()
})

test('a rate is kept to', async () => {
  const rows = 1_000
  const rate = 250
  await database.query(`DELETE FROM report WHERE id > ${rows}`)
  const stop = capture()
  await expect.poll(() => topic.some((each) => each.op === 'm' && each.snapshotDone), { timeout: 30_000 }).toBe(true)
  const from = topic.length
  const began = performance.now()
  const id = await asked({ kind: 'tables', tables: ['public.report'], sweep: false, rate })
  for (const moment of [1, 2, 3]) {
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    // each worker reads a chunk, then waits for what it took
    const allowed = ((performance.now() - began) / 1_000) * rate + 2 * WORKERS * 70
    expect([moment, read(from).length]).toEqual([moment, expect.toSatisfy((n: number) => n > 0 && n <= allowed)])
  }
  await done(id)
  expect((performance.now() - began) / 1_000).toBeGreaterThan(0.7 * (rows / rate))
  await stop()
})

test('a table that is altered while it is read is begun again, and ends as it is then', async () => {
  const stop = capture()
  await expect.poll(() => topic.some((each) => each.op === 'm' && each.snapshotDone), { timeout: 30_000 }).toBe(true)
  const from = topic.length
  const id = await asked({ kind: 'tables', tables: ['public.report'], sweep: false, rate: 4_000 })
  await expect.poll(() => read(from).length, { timeout: 20_000 }).toBeGreaterThan(0)
  await database.query(`ALTER TABLE report ADD COLUMN more int`)
  await database.query(`ALTER TABLE report DROP COLUMN title`)
  const { parts } = (await done(id))!
  expect(parts).toMatchObject([{ outcome: 'done', rows: ROWS }])
  expect(parts[0]!.restarts).toBeGreaterThan(0)
  const newest = new Map(read(from).map(({ after }) => [Number(after!['id']), Object.keys(after!)]))
  expect(newest.size).toBe(ROWS)
  expect(new Set([...newest.values()].map(String))).toEqual(new Set(['id,report_reference,more']))
  await stop()
})
