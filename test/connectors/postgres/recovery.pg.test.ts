/** What a replay makes of keys that come again, parents that move and an index that is old; and a source that went back. */
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isStreamed, type Change, type RowChange } from '../../../core/change.ts'
import { lsnOf, position } from '../../../core/position.ts'
import { runCapture, temporaryDirectory, type Captured, type CaptureRun } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25), title text);
  CREATE TABLE question (id int PRIMARY KEY, report_id int, code text);
  CREATE TABLE response (id int PRIMARY KEY, question_id int, response text);
  ALTER TABLE report REPLICA IDENTITY FULL;
  ALTER TABLE question REPLICA IDENTITY FULL;
  ALTER TABLE response REPLICA IDENTITY FULL;
  INSERT INTO report SELECT g, (1000 + g)::text, 'title' FROM generate_series(1, 20) g;
  INSERT INTO question SELECT g, g, 'Q' FROM generate_series(1, 20) g;
  INSERT INTO response SELECT g, g, 'YES' FROM generate_series(1, 20) g;`

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let topic: Change[]

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await mkdir(join(state.path, 'state'))
  topic = []
  await database.query(SCHEMA)
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE report, question, response`)
  await capture({ until: ({ changes }) => changes.some((change) => change.op === 'm' && change.snapshotDone) })
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

/** Captures into the topic, from where it ends. */
function capture(options: Partial<CaptureRun> & Pick<CaptureRun, 'until'>): Promise<Captured> {
  return runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: join(state.path, 'state'),
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    ...options,
  })
}

async function caughtUp(): Promise<(captured: Captured) => boolean> {
  const [row] = await database.query<{ lsn: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`,
  )
  const end = Number(row!.lsn)
  return ({ changes }) => changes.some((change) => change.op === 'm' && lsnOf(change.position) >= end)
}

const streamed = (changes: readonly Change[]): RowChange[] =>
  changes.filter((change): change is RowChange => isStreamed(change))
const told = (changes: readonly Change[]): string[] =>
  streamed(changes)
    .toSorted((a, b) => (a.position < b.position ? -1 : 1))
    .map(
      ({ op, table, before, after, reference }) =>
        `${op} ${table.name} ${String((after ?? before)!['id'])} of ${reference}`,
    )

const scripts: readonly (readonly [what: string, sql: readonly string[], routes: readonly string[]])[] = [
  [
    'a key that is used again under another parent',
    [
      `DELETE FROM response WHERE id = 4; DELETE FROM question WHERE id = 4`,
      `INSERT INTO question VALUES (4, 9, 'Q'); INSERT INTO response VALUES (904, 4, 'NO')`,
      `UPDATE response SET response = 'YES' WHERE id = 904`,
    ],
    [
      'd response 4 of 1004',
      'd question 4 of 1004',
      'c question 4 of 1009',
      'c response 904 of 1009',
      'u response 904 of 1009',
    ],
  ],
  [
    'a parent that moves between two changes of its child',
    [
      `UPDATE response SET response = 'before' WHERE id = 8`,
      `UPDATE question SET report_id = 9 WHERE id = 8`,
      `UPDATE response SET response = 'behind' WHERE id = 8`,
    ],
    ['u response 8 of 1008', 'd question 8 of 1008', 'c question 8 of 1009', 'u response 8 of 1009'],
  ],
  [
    'a parent that goes after its child changed, and comes back',
    [
      `UPDATE response SET response = 'before' WHERE id = 5`,
      `DELETE FROM question WHERE id = 5`,
      `INSERT INTO question VALUES (5, 6, 'Q')`,
      `UPDATE response SET response = 'behind' WHERE id = 5`,
    ],
    ['u response 5 of 1005', 'd question 5 of 1005', 'c question 5 of 1006', 'u response 5 of 1006'],
  ],
]

describe('a replay routes each change as it was the first time:', () => {
  test.for(scripts)('%s', async ([, script, routes]) => {
    for (const sql of script) await database.query(`BEGIN; ${sql}; COMMIT`)
    const lost: Change[] = []
    const run = async (): Promise<void> => {
      // what was written is lost with its topic's tail, and nothing of it was acknowledged
      const { changes } = await capture({
        write: () => {},
        until: () => false,
        acknowledge: (items) => items.every(({ op }) => op === 'm'),
      })
      lost.push(...changes)
    }
    await run()
    await run()
    await capture({ until: await caughtUp() })
    expect(told(topic)).toEqual(routes)
    expect(streamed(lost).length).toBeGreaterThan(0)
    for (const each of told(lost)) expect(routes).toContain(each)
  })
})

test('a child of a report that moved comes once, though capture dies before what was read again is acknowledged', async () => {
  await database.query(`UPDATE report SET report_reference = '2000' WHERE id = 3`)
  const writing: Promise<unknown>[] = []
  let waitedFrom = 0
  await capture({
    acknowledge: (items) => {
      const readAgain = items.some(
        (each) => each.op === 'r' && each.table.name === 'question' && each.reference === '2000',
      )
      if (readAgain && writing.length === 0) {
        waitedFrom = performance.now()
        writing.push(database.query(`UPDATE response SET response = 'behind' WHERE id = 3`))
      }
      return writing.length === 0 ? true : 'later'
    },
    until: ({ changes }) => writing.length > 0 && (told(changes).length > 2 || performance.now() - waitedFrom > 2_000),
  })
  await Promise.all(writing)
  await capture({ until: await caughtUp() })
  // under the incident that it had or under the new one, since its question may be read again before or behind it
  expect(told(topic).filter((each) => each.startsWith('u response 3 of '))).toHaveLength(1)
})

test('a slot that forgot how far it was does not take the index back with it', async () => {
  await database.query(`INSERT INTO response SELECT g, 8, 'NO' FROM generate_series(801, 812) g`)
  await capture({ until: await caughtUp() })
  const from = topic.length
  await database.query(`UPDATE response SET response = 'YES' WHERE question_id = 8`)
  await database.query(`BEGIN; DELETE FROM response WHERE question_id = 8; DELETE FROM question WHERE id = 8; COMMIT`)
  const isThere = await caughtUp()
  let whole = false
  const dies = new Error('it dies where the index is merged and the slot not yet told')
  const first = capture({
    write: (changes) => {
      topic.push(...changes)
      whole = isThere({ changes: topic, bytes: [] })
    },
    until: () => false,
    reached: (step) => {
      if (step === 'merged' && whole) throw dies
    },
  })
  await expect(first).rejects.toThrow(dies.message)
  // its successor gets no further than its first marker
  await capture({ until: () => true })
  await capture({ until: await caughtUp() })
  const its = told(topic.slice(from))
  expect(its).toEqual([...new Set(its)])
  expect(its.filter((each) => !each.endsWith(' of 1008'))).toEqual([])
})

test('an index that is older than the slot is made again from the topic', async () => {
  const live = join(state.path, 'state')
  const copy = join(state.path, 'copy')
  await cp(live, copy, { recursive: true })
  await database.query(`UPDATE question SET report_id = 9 WHERE id = 8`)
  await capture({ until: await caughtUp() })
  await rm(live, { recursive: true })
  await cp(copy, live, { recursive: true })
  await database.query(`UPDATE response SET response = 'behind' WHERE id = 8`)
  const warnings: string[] = []
  await capture({ until: await caughtUp(), warn: (sentence) => warnings.push(sentence) })
  expect(warnings).toContain('the parent index is missing or behind: making it again from the raw topic')
  expect(told(topic)).toEqual(['d question 8 of 1008', 'c question 8 of 1009', 'u response 8 of 1009'])
})

test('an index that is made again has each parent where it was last, whichever partition is read first', async () => {
  // each to every other incident in turn, so that old and new partitions stand in every order
  for (let step = 1; step <= 3; step++)
    await database.query(`UPDATE question SET report_id = 1 + (id + ${step} * 7) % 20`)
  await capture({ until: await caughtUp() })
  await rm(join(state.path, 'state'), { recursive: true })
  await mkdir(join(state.path, 'state'))
  await database.query(`UPDATE response SET response = 'behind'`)
  const byPartition = topic.toSorted((a, b) => a.partition - b.partition)
  const { changes } = await capture({ before: byPartition, until: await caughtUp() })
  const expected = await database.query<{ id: number; reference: string }>(
    `SELECT a.id, r.report_reference AS reference FROM response a JOIN question q ON q.id = a.question_id
     JOIN report r ON r.id = q.report_id ORDER BY a.id`,
  )
  const found = streamed(changes)
    .filter(({ table }) => table.name === 'response')
    .map(({ after, reference }) => ({ id: Number(after!['id']), reference }))
  expect(found.toSorted((a, b) => a.id - b.id)).toEqual(expected)
})

describe('a source that was restored to the past stops capture', () => {
  test('when the topic reaches beyond the end of its WAL', async () => {
    await database.query(`UPDATE report SET title = 'a'`)
    await capture({ until: await caughtUp() })
    const far = position(1, 2 ** 50, 1)
    const before = topic.map((change) => (isStreamed(change) ? { ...change, position: far, streamedTo: far } : change))
    await expect(capture({ before, until: () => true })).rejects.toMatchObject({
      code: 'IDENTITY',
      message: expect.stringMatching(/^the raw topic reaches .*, the source only /),
    })
  })

  test('when what it sends is not what the topic holds', async () => {
    await database.query(`UPDATE report SET title = 'a'`)
    const { changes } = await capture({
      write: () => {},
      until: () => false,
      acknowledge: (items) => items.every(({ op }) => op === 'm'),
    })
    const others = changes.map((change) => ({ ...change, txId: change.txId + 1 }))
    await expect(capture({ before: [...topic, ...others], until: await caughtUp() })).rejects.toMatchObject({
      code: 'IDENTITY',
      message: expect.stringContaining('another history'),
    })
  })
})
