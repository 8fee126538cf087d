/**
 * Tables that change while their rows flow: afterwards the topic, folded, is the table; or the table is stopped, says so
 * in every marker, and all others go on.
 */
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ask } from '../../../connectors/postgres/requests.ts'
import type { Change, Row } from '../../../core/change.ts'
import { lsnOf } from '../../../core/position.ts'
import { runCapture, temporaryDirectory, type Captured } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25), title text);
  CREATE TABLE question (id int PRIMARY KEY, report_id int, code text);
  CREATE TABLE response (id int PRIMARY KEY, question_id int, response text);
  CREATE TABLE loose (id int PRIMARY KEY, a varchar(10), n int);
  CREATE TABLE unpublished (id int PRIMARY KEY, a text);
  ALTER TABLE report REPLICA IDENTITY FULL;
  ALTER TABLE question REPLICA IDENTITY FULL;
  ALTER TABLE response REPLICA IDENTITY FULL;
  ALTER TABLE loose REPLICA IDENTITY FULL;
  ALTER TABLE unpublished REPLICA IDENTITY FULL;
  INSERT INTO report SELECT g, (1000 + g)::text, 't' FROM generate_series(1, 5) g;
  INSERT INTO question SELECT g, g, 'Q' FROM generate_series(1, 5) g;
  INSERT INTO response SELECT g, g, 'YES' FROM generate_series(1, 5) g;
  INSERT INTO loose SELECT g, g::text, g FROM generate_series(1, 5) g;
  INSERT INTO unpublished SELECT g, g::text FROM generate_series(1, 5) g;`

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(SCHEMA)
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE report, question, response, loose`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const lastMarker = (changes: readonly Change[]) => changes.findLast((change) => change.op === 'm')

function isStopped({ changes }: Pick<Captured, 'changes'>): boolean {
  const marker = lastMarker(changes)
  return marker?.op === 'm' && marker.stopped.length > 0
}

/** Runs a script while capture runs into `topic`, a statement after the other, until `done` holds behind its end. */
async function whileRunning(
  script: readonly string[],
  done: (captured: Captured) => boolean | Promise<boolean>,
  topic: Change[] = [],
): Promise<{ changes: Change[]; warnings: string[] }> {
  const warnings: string[] = []
  let end = Number.POSITIVE_INFINITY
  let holds = false
  let running = null as Promise<void> | null
  const run = async (captured: Captured): Promise<void> => {
    for (const sql of script) await database.query(sql)
    end = await insertLsn()
    while (!holds) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      const marker = lastMarker(captured.changes)
      if (marker !== undefined && lsnOf(marker.position) >= end) holds = await done(captured)
    }
  }
  await runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: state.path,
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    warn: (sentence) => warnings.push(sentence),
    until: (captured) => {
      const marker = lastMarker(captured.changes)
      if (marker?.op === 'm' && marker.snapshotDone) running ??= run(captured)
      return holds
    },
  }).finally(() => (holds = true))
  await running
  return { changes: topic, warnings }
}

async function insertLsn(): Promise<number> {
  const [row] = await database.query<{ lsn: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`,
  )
  return Number(row!.lsn)
}

/** The rows of a table as every reader folds the topic, with the columns that the table has now. */
async function folded(table: string, changes: readonly Change[]): Promise<string[]> {
  const columns = await columnsOf(table)
  const newest = new Map<unknown, { position: string; row: Row | null }>()
  for (const change of changes) {
    if (change.op === 'm' || change.table.name !== table) continue
    const id = (change.after ?? change.before)!['id']
    if ((newest.get(id)?.position ?? '') <= change.position)
      newest.set(id, { position: change.position, row: change.after })
  }
  return [...newest.values()]
    .flatMap(({ row }) => (row === null ? [] : [JSON.stringify(columns.map((name) => text(row[name])))]))
    .toSorted()
}

async function source(table: string): Promise<string[]> {
  const columns = await columnsOf(table)
  const rows = await database.query(
    `SELECT ${columns.map((name) => `${name}::text AS ${name}`).join(', ')} FROM ${table}`,
  )
  return rows.map((row) => JSON.stringify(columns.map((name) => row[name]))).toSorted()
}

const text = (value: unknown): string | null =>
  value === null || value === undefined ? null : `${value as string | number | bigint}`

async function columnsOf(table: string): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1`,
  )
  return rows.map(({ name }) => name)
}

describe('a change that is compatible goes on, and one that changed rows in silence has them read again', () => {
  const followed: readonly (readonly [what: string, script: readonly string[]])[] = [
    ['a column added', [`ALTER TABLE loose ADD COLUMN b text`, `INSERT INTO loose VALUES (6, 'x', 1, 'b')`]],
    [
      'a column added with a constant default',
      [`ALTER TABLE loose ADD COLUMN b int DEFAULT 7`, `INSERT INTO loose VALUES (6, 'x', 1)`],
    ],
    [
      'a column added with a volatile default, and not a row after it',
      [`ALTER TABLE loose ADD COLUMN b text DEFAULT md5(random()::text)`],
    ],
    [
      'a column added with a default that is dropped again',
      [
        `ALTER TABLE loose ADD COLUMN b int DEFAULT 7; ALTER TABLE loose ALTER b DROP DEFAULT`,
        `UPDATE loose SET n = 9 WHERE id = 1`,
      ],
    ],
    ['a column added that rows fill', [`ALTER TABLE loose ADD COLUMN b int`, `UPDATE loose SET b = n`]],
    ['a column dropped', [`ALTER TABLE loose DROP COLUMN n`, `INSERT INTO loose VALUES (6, 'x')`]],
    ['a column renamed', [`ALTER TABLE loose RENAME a TO renamed`, `UPDATE loose SET n = 0 WHERE id = 2`]],
    ['a column dropped and made again', [`ALTER TABLE loose DROP n, ADD n int`, `UPDATE loose SET n = 1 WHERE id = 2`]],
    [
      'a text column widened',
      [`ALTER TABLE loose ALTER a TYPE varchar(20)`, `UPDATE loose SET a = 'longer than ten' WHERE id = 1`],
    ],
    [
      'an integer made a bigint',
      [`ALTER TABLE loose ALTER n TYPE bigint`, `UPDATE loose SET n = 5000000000 WHERE id = 1`],
    ],
    [
      'values changed by a rewrite that keeps the type',
      [`ALTER TABLE loose ALTER n TYPE int USING n + 100`, `INSERT INTO loose VALUES (6, 'x', 1)`],
    ],
    [
      'a table dropped and made again',
      [
        `DROP TABLE loose; CREATE TABLE loose (id int PRIMARY KEY, a varchar(10), n int);
         ALTER TABLE loose REPLICA IDENTITY FULL; INSERT INTO loose VALUES (3, 'again', 3)`,
        `ALTER PUBLICATION {name} ADD TABLE loose`,
        `INSERT INTO loose VALUES (9, 'new', 9)`,
      ],
    ],
    [
      'DDL and rows in one transaction, undone in part',
      [
        `BEGIN; UPDATE loose SET n = 50 WHERE id = 1; ALTER TABLE loose ADD COLUMN b int; UPDATE loose SET b = 1 WHERE id = 2;
         SAVEPOINT s; ALTER TABLE loose ADD COLUMN c int; UPDATE loose SET c = 2 WHERE id = 3; ROLLBACK TO s;
         UPDATE loose SET b = 3 WHERE id = 4; COMMIT`,
      ],
    ],
  ]
  test.for(followed)('%s', async ([, script]) => {
    const { changes, warnings } = await whileRunning(
      script.map((sql) => sql.replace('{name}', database.name)),
      async ({ changes: seen }) => {
        if (isStopped({ changes: seen })) return true
        return JSON.stringify(await folded('loose', seen)) === JSON.stringify(await source('loose'))
      },
    )
    expect(await folded('loose', changes)).toEqual(await source('loose'))
    expect(lastMarker(changes)).toMatchObject({ stopped: [] })
    expect(warnings.filter((warning) => warning.includes('no longer followed'))).toEqual([])
  })

  test('a stored generated column that is published, from the first snapshot and from the stream', async () => {
    await database.query(`ALTER TABLE loose ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) STORED`)
    await database.query(`ALTER PUBLICATION ${database.name} SET (publish_generated_columns = stored)`)
    const { changes } = await whileRunning(
      [`UPDATE loose SET n = 30 WHERE id = 1`, `INSERT INTO loose VALUES (6, 'x', 40)`],
      () => true,
    )
    expect(await folded('loose', changes)).toEqual(await source('loose'))
    expect((await folded('loose', changes)).join()).toContain('"60"')
  })

  test('a table that comes into the publication with rows of its own', async () => {
    const { changes } = await whileRunning(
      [`ALTER PUBLICATION ${database.name} ADD TABLE unpublished`, `UPDATE unpublished SET a = 'seen' WHERE id = 1`],
      async ({ changes: seen }) => (await folded('unpublished', seen)).length === 5,
    )
    expect(await folded('unpublished', changes)).toEqual(await source('unpublished'))
  })
})

describe('what cannot be followed stops its table and the tables that hang on it, and no others', () => {
  const refused: readonly (readonly [
    what: string,
    script: readonly string[],
    stopped: readonly string[],
    says: RegExp,
  ])[] = [
    ['a TRUNCATE', [`TRUNCATE loose`], ['public.loose'], /public\.loose was truncated/],
    [
      'a TRUNCATE that is followed by rows',
      [`BEGIN; INSERT INTO loose VALUES (7, '', 7); TRUNCATE loose; INSERT INTO loose VALUES (8, '', 8); COMMIT`],
      ['public.loose'],
      /was truncated/,
    ],
    [
      'a TRUNCATE of a parent',
      [`TRUNCATE question`],
      ['public.question', 'public.response'],
      /public\.question was truncated/,
    ],
    [
      'a column retyped to what its Avro type cannot hold',
      [`ALTER TABLE loose ALTER n TYPE text`, `INSERT INTO loose VALUES (6, 'x', 'y')`],
      ['public.loose'],
      /the topic cannot take public\.loose/,
    ],
    [
      'another primary key',
      [`ALTER TABLE loose DROP CONSTRAINT loose_pkey, ADD PRIMARY KEY (a)`, `UPDATE loose SET n = 0`],
      ['public.loose'],
      /primary key of public\.loose changed/,
    ],
    [
      'a table renamed',
      [`ALTER TABLE loose RENAME TO lost`, `UPDATE lost SET n = 0`],
      ['public.loose', 'public.lost'],
      /public\.loose is now called public\.lost/,
    ],
    ['a table dropped', [`DROP TABLE loose`], ['public.loose'], /public\.loose is gone/],
    [
      'a replica identity that is no longer FULL',
      [`ALTER TABLE loose REPLICA IDENTITY DEFAULT`, `UPDATE loose SET n = 0`],
      ['public.loose'],
      /replica identity of public\.loose/,
    ],
    [
      'the column that leads to the incident renamed',
      [`ALTER TABLE response RENAME question_id TO q`, `UPDATE response SET response = 'NO'`],
      ['public.response'],
      /no column question_id/,
    ],
  ]
  test.for(refused)('%s', async ([, script, stopped, says]) => {
    const { changes, warnings } = await whileRunning([...script, `UPDATE report SET title = 'goes on'`], isStopped)
    expect(lastMarker(changes)).toMatchObject({ stopped })
    expect(warnings.join('\n')).toMatch(says)
    expect(await folded('report', changes)).toEqual(await source('report'))
    const streamed = changes.filter((change) => change.op !== 'm' && change.op !== 'r')
    expect(streamed.map((change) => change.op !== 'm' && change.table.name)).toEqual(Array(5).fill('report'))
  })

  test('a repair reads the table again, deletes what the source has no more, and lifts the stop', async () => {
    const asked = async (): Promise<void> => {
      const client = new pg.Client({ connectionString: database.url })
      await client.connect()
      await ask(client, database.name, { kind: 'tables', tables: ['public.loose'], sweep: true })
      await client.end()
    }
    const first = await whileRunning([`TRUNCATE loose`, `INSERT INTO loose VALUES (8, 'missed', 8)`], isStopped)
    await asked()
    const healed = await whileRunning([], (captured) => !isStopped(captured), first.changes)
    expect(await folded('loose', healed.changes)).toEqual(await source('loose'))
    const after = await whileRunning([`UPDATE loose SET n = 9`], () => true, healed.changes)
    expect(await folded('loose', after.changes)).toEqual(await source('loose'))
    expect(lastMarker(after.changes)).toMatchObject({ stopped: [] })
  })

  test('a stop survives a restart, and the loss of the state directory', async () => {
    const first = await whileRunning([`TRUNCATE loose`], isStopped)
    const again = await whileRunning([`INSERT INTO loose VALUES (8, '', 8)`], () => true, first.changes)
    expect(lastMarker(again.changes)).toMatchObject({ stopped: ['public.loose'] })
    expect(again.changes.filter((change) => change.op === 'c')).toEqual([])
    await state.remove()
    state = await temporaryDirectory()
    const fresh = await whileRunning([`INSERT INTO loose VALUES (9, '', 9)`], () => true, again.changes)
    expect(lastMarker(fresh.changes)).toMatchObject({ stopped: ['public.loose'] })
    expect(fresh.changes.filter((change) => change.op === 'c')).toEqual([])
  })
})

describe('a publication that is mended', () => {
  test('has read again what was missed while a table was out of it', async () => {
    const topic: Change[] = []
    const out = whileRunning(
      [`ALTER PUBLICATION ${database.name} DROP TABLE loose`, `INSERT INTO loose VALUES (6, 'missed', 6)`],
      () => false,
      topic,
    )
    await expect(out).rejects.toMatchObject({ code: 'PUBLICATION' })
    await database.query(`ALTER PUBLICATION ${database.name} ADD TABLE loose`)
    const { changes } = await whileRunning(
      [],
      async ({ changes: seen }) => (await folded('loose', [...topic, ...seen])).length === 6,
      topic,
    )
    expect(await folded('loose', changes)).toEqual(await source('loose'))
  })
})

describe('a publication that falls silent stops capture and says how to mend it', () => {
  const silent: readonly (readonly [what: string, sql: string, says: RegExp])[] = [
    ['dropped', `DROP PUBLICATION {name}`, /publication \w+ was dropped/],
    ['without a table that is still there', `ALTER PUBLICATION {name} DROP TABLE loose`, /public\.loose was taken out/],
    [
      'without an operation',
      `ALTER PUBLICATION {name} SET (publish = 'insert')`,
      /no longer publishes update, delete, truncate/,
    ],
  ]
  test.for(silent)('%s', async ([, sql, says]) => {
    await expect(whileRunning([sql.replace('{name}', database.name)], () => false)).rejects.toMatchObject({
      code: 'PUBLICATION',
      message: expect.stringMatching(says),
      remedy: expect.stringMatching(/^(CREATE|ALTER) PUBLICATION/),
    })
  })
})
