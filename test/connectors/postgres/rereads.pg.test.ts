import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import pg from 'pg'
import { adoption, dropSlot } from '../../../connectors/postgres/adopt.ts'
import { ask, askHold, type Hold, type Request } from '../../../connectors/postgres/requests.ts'
import { readProgress, untilDone } from '../../../proof/repair.ts'
import { image, isStreamed, keyText, tableName, type Change, type RowChange } from '../../../core/change.ts'
import { BEGINNING, epochOf, type Position } from '../../../core/position.ts'
import { runCapture, tailsOf, temporaryDirectory } from '../../support/capture.ts'
import { captureProcess } from '../../support/capture-process.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25), title text);
  CREATE TABLE question (id int PRIMARY KEY, report_id int, code text);
  CREATE TABLE loose (a text, b text);
  CREATE TABLE part (id int, b text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
  CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (100);
  CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (100) TO (1000);
  CREATE TABLE empty (id int PRIMARY KEY);
  CREATE TABLE above (id int PRIMARY KEY, v text);
  CREATE TABLE below (PRIMARY KEY (id)) INHERITS (above);
  ALTER TABLE report REPLICA IDENTITY FULL; ALTER TABLE question REPLICA IDENTITY FULL;
  ALTER TABLE loose REPLICA IDENTITY FULL; ALTER TABLE empty REPLICA IDENTITY FULL;
  ALTER TABLE part REPLICA IDENTITY FULL; ALTER TABLE part_low REPLICA IDENTITY FULL; ALTER TABLE part_high REPLICA IDENTITY FULL;
  ALTER TABLE above REPLICA IDENTITY FULL; ALTER TABLE below REPLICA IDENTITY FULL;
  INSERT INTO report SELECT g, (1000 + g)::text, repeat('x', 200) FROM generate_series(1, 1000) g;
  INSERT INTO question SELECT g, g, 'Q' FROM generate_series(1, 1000) g;
  INSERT INTO loose SELECT g::text, 'b' FROM generate_series(1, 50) g;
  INSERT INTO part SELECT g, 'p' FROM generate_series(50, 149) g;
  INSERT INTO above VALUES (1, 'a'); INSERT INTO below VALUES (2, 'b');`

/** Two pages: a thousand reports are a score of chunks. */
const CHUNK_BYTES = 16_384

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let name: string
let topic: Change[]
let running: { stop(): Promise<void>; readonly warnings: string[] }[]

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  name = database.name
  topic = []
  running = []
  await database.query(SCHEMA)
  await database.query(`CREATE PUBLICATION ${name} FOR TABLE report, question, loose, part, empty, above`)
})

afterEach(async () => {
  for (const each of running) await each.stop()
  await database.drop()
  await state.remove()
})

/** A capture into `topic`, until it is stopped. */
function start(url = database.url) {
  let stopped = false
  const warnings: string[] = []
  const run = runCapture({
    url,
    name,
    stateDirectory: state.path,
    chunkBytes: CHUNK_BYTES,
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    until: () => stopped,
    warn: (sentence) => void warnings.push(sentence),
  })
  run.catch(() => {})
  const stop = async () => {
    stopped = true
    await run
  }
  running.push({ stop, warnings })
  return { stop, warnings }
}

async function whole(): Promise<void> {
  await expect.poll(() => topic.some((each) => each.op === 'm' && each.snapshotDone), { timeout: 60_000 }).toBe(true)
}

async function asked(request: Request, url = database.url): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('SET synchronous_commit = local')
    return (await ask(client, name, request)).id
  } finally {
    await client.end()
  }
}

const done = async (id: string) =>
  (await untilDone(id, { stateDirectory: state.path, signal: AbortSignal.timeout(50_000), seenMs: 20_000 }))!

/** Asks, and waits until it is done. */
const reread = async (request: Request) => done(await asked(request))

const tables = (...names: string[]): Request => ({ kind: 'tables', tables: names, sweep: false })

/** The topic as its readers fold it, one table of it. */
function folded(table: string): unknown[] {
  const newest = new Map<string, { position: Position; row: RowChange['after'] }>()
  const heights = new Map<number, Position>()
  for (const change of topic) {
    if (change.op === 'm' || tableName(change.table) !== table) continue
    if (isStreamed(change)) {
      if (change.position <= (heights.get(change.partition) ?? BEGINNING)) continue
      heights.set(change.partition, change.position)
    }
    const key = keyText(change.table, image(change))
    const held = newest.get(key)
    if (held === undefined || held.position < change.position)
      newest.set(key, { position: change.position, row: change.after })
  }
  return sorted([...newest.values()].flatMap(({ row }) => (row === null ? [] : [row])))
}

const sorted = (rows: unknown[]): unknown[] => rows.map((row) => JSON.stringify(row)).toSorted()

async function expectEqual(...names: string[]): Promise<void> {
  await caughtUp()
  for (const table of names) {
    const rows = await database.query(`SELECT * FROM ${table}`)
    expect([table, folded(table)]).toEqual([table, sorted(rows)])
  }
}

/** Until a marker has passed the source's end as it is now. */
async function caughtUp(): Promise<void> {
  const [row] = await database.query<{ lsn: string }>(`SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn) AS lsn`)
  await expect
    .poll(() => topic.some((each) => each.op === 'm' && each.lsn >= Number(row!.lsn)), { timeout: 30_000 })
    .toBe(true)
}

const readAgain = (from: number, table: string): RowChange[] =>
  topic.slice(from).filter((each): each is RowChange => each.op === 'r' && tableName(each.table) === table)

describe('rows are read again while the stream runs', () => {
  test('every kind of table: with and without key, partitioned, inherited, empty', async () => {
    start()
    await whole()
    const from = topic.length
    const { parts } = await reread({ kind: 'tables', tables: null, sweep: false })
    expect(Object.fromEntries(parts.map(({ table, rows, outcome }) => [table, `${rows} ${outcome}`]))).toEqual({
      'public.report': '1000 done',
      'public.question': '1000 done',
      'public.loose': '50 done',
      'public.part_low': '50 done',
      'public.part_high': '50 done',
      'public.empty': '0 done',
      'public.above': '1 done',
      'public.below': '1 done',
    })
    expect(
      readAgain(from, 'public.question').every(
        ({ reference, after }) => reference === String(1000 + Number(after!['report_id'])),
      ),
    ).toBe(true)
    await expectEqual('public.report', 'public.question', 'public.loose')
  })

  test('what is changed between the low watermark and the read comes from the stream alone', async () => {
    start()
    await whole()
    const holder = new pg.Client({ connectionString: database.url })
    await holder.connect()
    await holder.query('BEGIN; LOCK TABLE report IN ACCESS EXCLUSIVE MODE')
    const from = topic.length
    const id = await asked(tables('public.report'))
    await expect
      .poll(
        async () =>
          (await database.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'report'::regclass`)).length,
      )
      .toBeGreaterThan(0)
    await holder.query(`UPDATE report SET title = 'newer' WHERE id = 1; DELETE FROM report WHERE id = 2; COMMIT`)
    await holder.end()
    await done(id)
    // a new version of a row lies on another page, which is read in a later window
    const read = readAgain(from, 'public.report').filter(({ after }) => Number(after!['id']) <= 2)
    expect(read.every(({ after }) => after!['title'] === 'newer')).toBe(true)
    await expectEqual('public.report')
  })

  test('under a load that commits around the watermarks the topic folds to the table', async () => {
    start()
    await whole()
    let stop = false
    const load = Promise.all(
      [1, 2].map(async (seed) => {
        for (let n = seed; !stop; n += 7919) {
          const id = 1 + (n % 1000)
          await database.query(`UPDATE report SET title = 'v${n}' WHERE id = ${id}`)
          await database.query(`DELETE FROM question WHERE id = ${id}`)
          if (n % 2 === 0)
            await database.query(`INSERT INTO question VALUES (${id}, ${id}, 'n${n}') ON CONFLICT DO NOTHING`)
          // a key that moves, and a transaction that stays open for a while
          await database.query(
            `BEGIN; UPDATE question SET id = id + 5000 WHERE id = ${1 + ((n * 3) % 1000)}; SELECT pg_sleep(0.01); COMMIT`,
          )
        }
      }),
    )
    for (let i = 0; i < 3; i++) {
      const { parts } = await reread(tables('public.report', 'public.question'))
      expect(parts.map(({ outcome }) => outcome)).toEqual(['done', 'done'])
    }
    stop = true
    await load
    await expectEqual('public.report', 'public.question')
  })

  test('VACUUM FULL in between begins the table again', async () => {
    start()
    await whole()
    const id = await asked({ ...tables('public.report'), rate: 1_000 } as Request)
    await expect.poll(() => readProgress(state.path, id)?.parts[0]?.rows ?? 0, { timeout: 20_000 }).toBeGreaterThan(0)
    await database.query('DELETE FROM report WHERE id % 2 = 0')
    await database.query('VACUUM FULL report')
    const { parts } = await done(id)
    expect(parts[0]).toMatchObject({ outcome: 'done' })
    expect(parts[0]!.restarts).toBeGreaterThan(0)
    await expectEqual('public.report')
  })

  test('a table that is dropped, or was never published, is an outcome with a code; the others go on', async () => {
    start()
    await whole()
    const { parts } = await reread(tables('public.nothing', 'public.loose'))
    expect(parts.map(({ table, outcome }) => `${table} ${outcome}`)).toEqual([
      'public.loose done',
      'public.nothing PUBLICATION',
    ])
  })

  test('a malformed request is left aside', async () => {
    const { warnings } = start()
    await whole()
    await database.query(`SELECT pg_logical_emit_message(true, '${name}.requests', '{"id":"x","kind":"rows"}')`)
    await reread(tables('public.empty'))
    expect(warnings).toEqual(['a request to read rows again is malformed: it is left aside'])
  })
})

describe('a table whose reading is paused', () => {
  async function hold(kind: Hold['kind'], ...names: string[]): Promise<void> {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await askHold(client, name, { kind, tables: names }).finally(() => client.end())
    await caughtUp()
  }

  const rowsRead = (id: string, table: string) =>
    readProgress(state.path, id)?.parts.find((part) => part.table === table)?.rows ?? 0

  test('rests at the chunk in hand while others are read and its rows stream, and goes on where it was', async () => {
    start()
    await whole()
    const id = await asked({ ...tables('public.report', 'public.loose'), rate: 400 } as Request)
    await expect.poll(() => rowsRead(id, 'public.report'), { timeout: 20_000 }).toBeGreaterThan(0)
    await hold('pause', 'public.report')
    await reread(tables('public.loose', 'public.empty'))
    const rested = rowsRead(id, 'public.report')
    expect(rested).toBeLessThan(1_000)
    await database.query(`UPDATE report SET title = 'streams on' WHERE id = 1`)
    await expectEqual('public.report')
    expect(rowsRead(id, 'public.report')).toBe(rested)
    expect(readProgress(state.path, id)).toMatchObject({ done: false })
    await hold('resume', 'public.report')
    const { parts } = await done(id)
    expect(parts.map(({ table, outcome, restarts }) => `${table} ${outcome} ${restarts}`)).toEqual([
      'public.loose done 0',
      'public.report done 0',
    ])
    await expectEqual('public.report', 'public.loose')
  })

  test('is paused after kill -9 too, with those that hang on it; and when it goes on no chunk is missing', async () => {
    const options = { url: database.url, name, stateDirectory: state.path, chunkBytes: CHUNK_BYTES }
    const child = captureProcess(options, topic)
    await whole()
    const id = await asked({ ...tables('public.report', 'public.question', 'public.loose'), rate: 400 } as Request)
    await expect.poll(() => rowsRead(id, 'public.report'), { timeout: 20_000 }).toBeGreaterThan(0)
    await hold('pause', 'public.report')
    child.kill()
    await child.ended
    start()
    await reread(tables('public.loose'))
    expect(readProgress(state.path, id)!.parts.map(({ table, outcome }) => `${table} ${outcome}`)).toEqual([
      'public.loose done',
      'public.report reading',
    ])
    await hold('resume', 'public.report')
    const { parts } = await done(id)
    expect(parts.map(({ table, rows }) => `${table} ${rows}`)).toEqual([
      'public.loose 50',
      'public.question 1000',
      'public.report 1000',
    ])
    await expectEqual('public.report', 'public.question')
  })
})

describe('what the source has no more', () => {
  test('a sweep deletes it, as a row read outside the stream and with the state that the topic held', async () => {
    start()
    await whole()
    await running[0]!.stop()
    // as a restored source: rows are gone without a change
    await database.query(`ALTER PUBLICATION ${name} SET (publish = 'truncate')`)
    await database.query('DELETE FROM question WHERE id <= 10; DELETE FROM report WHERE id = 7')
    await database.query(`ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate')`)
    start()
    const from = topic.length
    const { parts } = await reread({ kind: 'tables', tables: ['public.report', 'public.question'], sweep: true })
    expect(parts.map(({ table, deleted }) => [table, deleted])).toEqual([
      ['public.question', 10],
      ['public.report', 1],
    ])
    const gone = topic.slice(from).filter((each): each is RowChange => each.op === 'd')
    expect(gone.every((each) => !isStreamed(each) && each.before !== null)).toBe(true)
    expect(gone.find((each) => each.table.name === 'question')!.reference).toMatch(/^10/)
    await expectEqual('public.report', 'public.question')
  })

  test('after a TRUNCATE the table and its children are whole again, and followed', async () => {
    start()
    await whole()
    await database.query('TRUNCATE report')
    await database.query(`INSERT INTO report VALUES (3, '1003', 'after')`)
    await expect.poll(() => running[0]!.warnings.length, { timeout: 20_000 }).toBeGreaterThan(0)
    const { parts } = await reread({ kind: 'tables', tables: ['public.report'], sweep: true })
    expect(parts.find(({ table }) => table === 'public.report')).toMatchObject({ outcome: 'done', deleted: 999 })
    await database.query(`UPDATE report SET title = 'later' WHERE id = 3; INSERT INTO question VALUES (5000, 3, 'Q')`)
    await expectEqual('public.report', 'public.question')
    await expect
      .poll(() => topic.findLast((each) => each.op === 'm'), { timeout: 20_000 })
      .toMatchObject({ stopped: [] })
  })

  test('rows by key, and all rows of an incident', async () => {
    start()
    await whole()
    const from = topic.length
    await reread({ kind: 'rows', table: 'public.report', keys: [['5'], ['6'], ['99999']] })
    expect(
      readAgain(from, 'public.report')
        .map(({ after }) => Number(after!['id']))
        .toSorted((a, b) => a - b),
    ).toEqual([5, 6])
    const next = topic.length
    await reread({ kind: 'incidents', references: ['1008'] })
    expect(
      topic
        .slice(next)
        .filter((each) => each.op === 'r')
        .map((each) => (each as RowChange).table.name),
    ).toEqual(['report', 'question'])
  })

  test('a report that moves takes its descendants along', async () => {
    start()
    await whole()
    await database.query(`UPDATE report SET report_reference = '2000' WHERE id = 3`)
    const moved = () =>
      topic.some((each) => each.op === 'r' && each.table.name === 'question' && each.reference === '2000')
    await expect.poll(moved, { timeout: 20_000 }).toBe(true)
  })
})

describe('a source that was adopted', () => {
  test('begins an epoch, is read whole, and what it has no more is deleted', async () => {
    const first = start()
    await whole()
    await first.stop()
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    expect(await dropSlot(client, name)).toBe(true)
    await client.query(`DELETE FROM report WHERE id <= 20; UPDATE report SET title = 'unseen' WHERE id = 30`)
    await client.end()
    const refused = start()
    await expect(refused.stop()).rejects.toMatchObject({ code: 'IDENTITY' })
    running.length = 0
    const options = { url: database.url, slot: name, stateDirectory: state.path, tails: tailsOf(topic), ends: [] }
    topic.push(...(await adoption(options)).markers)
    start()
    const again = () => topic.some((each) => each.op === 'm' && each.snapshotDone && epochOf(each.position) === 2)
    await expect.poll(again, { timeout: 30_000 }).toBe(true)
    await database.query(`UPDATE report SET title = 'streamed' WHERE id = 31`)
    await expectEqual('public.report', 'public.question')
  })
})

describe('kill -9', () => {
  test.for([1, 2, 3])(
    'seed %i: the snapshot goes on by chunks, under load, and nothing is lost or brought back',
    async (seed) => {
      const options = { url: database.url, name, stateDirectory: state.path, chunkBytes: CHUNK_BYTES }
      await database.query(`INSERT INTO report SELECT g, g::text, repeat('y', 200) FROM generate_series(1001, 8000) g`)
      let stop = false
      const load = (async () => {
        for (let n = seed; !stop; n += 7919) {
          await database.query(`UPDATE report SET title = 'v${n}' WHERE id = ${1 + (n % 8_000)}`)
          await database.query(`DELETE FROM report WHERE id = ${1 + ((n * 5) % 8_000)}`)
        }
      })()
      for (let kill = 0; kill < 3; kill++) {
        const child = captureProcess(options, topic)
        await child.started()
        await new Promise((resolve) => setTimeout(resolve, 100 + ((seed * 7919 + kill * 104_729) % 700)))
        child.kill()
        await child.ended
      }
      start()
      await whole()
      const id = await asked(tables('public.report'))
      await done(id)
      stop = true
      await load
      expect(readProgress(state.path, id)).toMatchObject({ done: true })
      await expectEqual('public.report', 'public.question', 'public.loose')
    },
  )
})
