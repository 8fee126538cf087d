import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tableName, type Change, type RowChange } from '../../../core/change.ts'
import { lsnOf } from '../../../core/position.ts'
import { PARTITIONS, runCapture, temporaryDirectory, type Captured } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25), title text, at timestamp);
  CREATE TABLE question (id serial PRIMARY KEY, report_id int REFERENCES report ON DELETE CASCADE, code text);
  CREATE TABLE response (id serial PRIMARY KEY, question_id int REFERENCES question ON DELETE CASCADE, response text);
  CREATE TABLE loose (a text, b text);
  ALTER TABLE report REPLICA IDENTITY FULL;
  ALTER TABLE question REPLICA IDENTITY FULL;
  ALTER TABLE response REPLICA IDENTITY FULL;
  ALTER TABLE loose REPLICA IDENTITY FULL;
  INSERT INTO report SELECT g, (1000 + g)::text, 'title ' || g, '2024-05-01 10:00:00' FROM generate_series(1, 20) g;
  INSERT INTO question (report_id, code) SELECT id, 'Q' FROM report;
  INSERT INTO response (question_id, response) SELECT id, 'YES' FROM question;`

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let name: string

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  name = database.name
  await database.query(SCHEMA)
  await database.query(`CREATE PUBLICATION ${name} FOR TABLE report, question, response, loose`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const rows = (changes: readonly Change[]): RowChange[] =>
  changes.filter((change): change is RowChange => change.op !== 'm')
const streamed = (changes: readonly Change[]): RowChange[] => rows(changes).filter((change) => change.op !== 'r')
const snapshotIsDone = ({ changes }: Captured): boolean =>
  changes.some((change) => change.op === 'm' && change.snapshotDone)
const short = (change: RowChange): string =>
  `${change.op} ${change.table.name} ${String((change.after ?? change.before)!['id'])} of ${change.reference}`

/** Runs until a marker has passed the source's end as it is now. */
async function caughtUp(): Promise<(captured: Captured) => boolean> {
  const [row] = await database.query<{ lsn: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`,
  )
  const end = Number(row!.lsn)
  return ({ changes }) =>
    changes.some((change) => change.op === 'm' && change.snapshotDone && lsnOf(change.position) >= end)
}

function capture(options: Partial<Parameters<typeof runCapture>[0]> & Pick<Parameters<typeof runCapture>[0], 'until'>) {
  return runCapture({ url: database.url, name, stateDirectory: state.path, ...options })
}

describe('the first start', () => {
  test('reads every row once, each with its incident, parents before children, between markers', async () => {
    const { changes } = await capture({ until: snapshotIsDone })
    expect(changes.slice(0, PARTITIONS).map((change) => change.op)).toEqual(Array(PARTITIONS).fill('m'))
    const read = rows(changes)
    expect(read.map((change) => change.op)).toEqual(Array(60).fill('r'))
    expect(new Set(read.map(short)).size).toBe(60)
    for (const change of read) {
      const row = change.after!
      const id =
        change.table.name === 'report'
          ? row['id']
          : change.table.name === 'question'
            ? row['report_id']
            : row['question_id']
      expect(change.reference).toBe(String(1000 + Number(id)))
    }
    for (const reference of new Set(read.map((change) => change.reference))) {
      expect(
        new Set(read.filter((change) => change.reference === reference).map((change) => change.partition)).size,
      ).toBe(1)
    }
  })

  test('a row has the same bytes from the snapshot and from the stream', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(`UPDATE report SET title = title WHERE id = 7`)
    const second = await capture({ before: first.changes, until: await caughtUp() })
    const read = rows(first.changes).find((change) => change.table.name === 'report' && change.after!['id'] === 7)!
    const [update] = streamed(second.changes)
    expect(update!.after).toEqual(read.after)
    expect(update!.before).toEqual(read.after)
  })

  test('a crash in the middle is read again without losing or doubling a change', async () => {
    let batches = 0
    const first = await capture({ until: () => false, acknowledge: () => ++batches < 3 })
    await database.query(
      `DELETE FROM response WHERE id = 1; UPDATE report SET title = 'later' WHERE id = 2; INSERT INTO report VALUES (21, '1021')`,
    )
    const second = await capture({ before: first.changes, until: await caughtUp() })
    expect(folded([...first.changes, ...second.changes])).toEqual(await sourceRows())
  })
})

describe('the stream', () => {
  test('gives ordinals in order, the last change of each partition marked, and resumes behind what is durable', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(`BEGIN; UPDATE report SET title = 'a'; DELETE FROM question WHERE id > 10; COMMIT`)
    const second = await capture({ before: first.changes, until: await caughtUp() })
    const changes = streamed(second.changes)
    expect(changes).toHaveLength(20 + 10 + 10)
    expect(new Set(changes.map((change) => change.position)).size).toBe(40)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const its = changes.filter((change) => change.partition === partition)
      expect(its.map((change) => change.position)).toEqual(its.map((change) => change.position).toSorted())
      expect(its.map((change) => change.lastInTransaction)).toEqual(its.map((_, i) => i === its.length - 1))
      expect(its.map((change) => change.streamedTo)).toEqual(its.map((change) => change.position))
    }
    const third = await capture({
      before: [...first.changes, ...second.changes],
      until: ({ changes: seen }) => seen.length > 0,
    })
    expect(streamed(third.changes)).toEqual([])
  })

  test('after a crash writes again only what its partition does not hold', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(`UPDATE report SET title = 'b'`)
    let kept: Change[] = []
    const lost = await capture({
      before: first.changes,
      until: () => false,
      acknowledge: (items) => items.every((item) => item.op === 'm'),
    })
    kept = lost.changes.filter((change) => change.op === 'm' || change.partition % 2 === 0)
    const again = await capture({ before: [...first.changes, ...kept], until: await caughtUp() })
    const all = streamed([...kept, ...again.changes])
    expect(all.map((change) => change.position).toSorted()).toEqual(
      streamed(lost.changes)
        .map((change) => change.position)
        .toSorted(),
    )
  })

  test('the same frames give the same bytes', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(
      `BEGIN; UPDATE report SET title = 'c', at = 'infinity'; DELETE FROM report WHERE id < 5; COMMIT`,
    )
    const run = () =>
      capture({ before: first.changes, until: () => false, acknowledge: (items) => items[0]!.op === 'm' })
    const [a, b] = [await run(), await run()]
    const changesOnly = ({ changes, bytes }: Captured) => bytes.filter((_, i) => changes[i]!.op !== 'm')
    expect(changesOnly(a).length).toBeGreaterThan(20)
    expect(changesOnly(b)).toEqual(changesOnly(a))
  })

  test('a key change and a move to another incident are a delete there and an insert here', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(
      `BEGIN; UPDATE response SET id = 500 WHERE id = 3; UPDATE question SET report_id = 9 WHERE id = 8; COMMIT`,
    )
    const { changes } = await capture({ before: first.changes, until: await caughtUp() })
    expect(
      streamed(changes)
        .toSorted((a, b) => (a.position < b.position ? -1 : 1))
        .map(short),
    ).toEqual(['d response 3 of 1003', 'c response 500 of 1003', 'd question 8 of 1008', 'c question 8 of 1009'])
  })

  test('children made before their parents in a transaction find their incident', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(
      `ALTER TABLE question DROP CONSTRAINT question_report_id_fkey; ALTER TABLE response DROP CONSTRAINT response_question_id_fkey`,
    )
    await database.query(
      `BEGIN; INSERT INTO response VALUES (900, 800, 'NO'); INSERT INTO question VALUES (800, 70, 'Q'); INSERT INTO report VALUES (70, '1070'); COMMIT`,
    )
    const { changes } = await capture({ before: first.changes, until: await caughtUp() })
    expect(streamed(changes).map((change) => change.reference)).toEqual(['1070', '1070', '1070'])
  })

  test('a value left out of an update because it did not change is filled in', async () => {
    const first = await capture({ until: snapshotIsDone })
    const large = "select string_agg(md5(g::text), '') from generate_series(1, 3000) g"
    await database.query(`UPDATE report SET title = (${large}) WHERE id = 1`)
    await database.query(`UPDATE report SET report_reference = report_reference, at = NULL WHERE id = 1`)
    const { changes } = await capture({ before: first.changes, until: await caughtUp() })
    const last = streamed(changes).at(-1)!
    expect(String(last.after!['title'])).toHaveLength(96_000)
    expect(last.after!['at']).toBeNull()
  })

  test('a transaction beyond the memory bound goes through the disk and comes out whole', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(`INSERT INTO report SELECT g, g::text, repeat('x', 1000) FROM generate_series(100, 30099) g`)
    const { changes } = await capture({ before: first.changes, until: await caughtUp() })
    expect(new Set(streamed(changes).map((change) => change.after!['id'])).size).toBe(30_000)
    expect(streamed(changes).filter((change) => change.lastInTransaction)).toHaveLength(PARTITIONS)
  })

  test('a lost state directory costs nothing but reading the topic', async () => {
    const first = await capture({ until: snapshotIsDone })
    const fresh = await temporaryDirectory()
    await database.query(`UPDATE response SET response = 'NO' WHERE id = 4`)
    const warnings: string[] = []
    const { changes } = await capture({
      before: first.changes,
      stateDirectory: fresh.path,
      until: await caughtUp(),
      warn: (sentence) => warnings.push(sentence),
    })
    expect(streamed(changes).map(short)).toEqual(['u response 4 of 1004'])
    expect(warnings).toEqual(['the parent index is missing or behind: making it again from the raw topic'])
    await fresh.remove()
  })

  test('a table added to the publication, without a route and without a primary key, is captured', async () => {
    const first = await capture({ until: snapshotIsDone })
    await database.query(`INSERT INTO loose VALUES ('x', NULL)`)
    const { changes } = await capture({ before: first.changes, until: await caughtUp() })
    expect(streamed(changes).map((change) => [tableName(change.table), change.reference, change.after])).toEqual([
      ['public.loose', null, { a: 'x', b: null }],
    ])
  })
})

describe('doubt', () => {
  const refused: [string, (first: Captured) => Promise<Change[]>, RegExp][] = [
    [
      'a slot dropped under a topic that has changes',
      async (first) => {
        await database.dropSlot(name)
        return first.changes
      },
      /does not exist although the raw topic has changes/,
    ],
    [
      'a slot made again',
      async (first) => {
        await database.dropSlot(name)
        await database.query(`UPDATE report SET title = 'unseen'`)
        await database.query(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`)
        return first.changes
      },
      /is confirmed to .*, beyond the newest marker/,
    ],
    [
      'a topic of another cluster',
      async (first) =>
        first.changes.map((change) => (change.op === 'm' ? { ...change, systemIdentifier: '1' } : change)),
      /the raw topic comes from cluster 1/,
    ],
    [
      'a source on another timeline',
      async (first) => first.changes.map((change) => (change.op === 'm' ? { ...change, timeline: 99 } : change)),
      /timeline 99/,
    ],
    [
      'a partition that was emptied',
      async (first) => first.changes.filter((change) => change.partition !== 2),
      /has no marker/,
    ],
  ]
  test.for(refused)('%s stops capture', async ([, arrange, says]) => {
    const first = await capture({ until: snapshotIsDone })
    const before = await arrange(first)
    await expect(capture({ before, until: () => true })).rejects.toMatchObject({
      code: 'IDENTITY',
      message: expect.stringMatching(says),
    })
  })
})

/** The newest row of each key, as every reader folds the topic. */
function folded(changes: readonly Change[]): string[] {
  const newest = new Map<string, RowChange>()
  for (const change of rows(changes)) {
    const id = `${change.table.name} ${String((change.after ?? change.before)!['id'])}`
    if ((newest.get(id)?.position ?? '') <= change.position) newest.set(id, change)
  }
  return [...newest.values()]
    .flatMap(({ table, after }) => (after === null ? [] : [`${table.name} ${JSON.stringify(Object.values(after))}`]))
    .toSorted()
}

async function sourceRows(): Promise<string[]> {
  const found = await Promise.all(
    ['report', 'question', 'response'].map(async (table) => {
      const all = await database.query(`SELECT * FROM ${table}`)
      return all.map(
        (row) =>
          `${table} ${JSON.stringify(Object.values(row).map((value) => (value instanceof Date ? text(value) : value)))}`,
      )
    }),
  )
  return found.flat().toSorted()
}

function text(date: Date): string {
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
