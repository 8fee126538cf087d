/** Values far larger than any record: what reads them takes time and memory in proportion, and every byte is right. */
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { postgresFeed } from '../../../connectors/postgres/feed.ts'
import { columnText } from '../../../connectors/postgres/tuples.ts'
import type { RowChange, Tuple } from '../../../core/change.ts'
import { BEGINNING } from '../../../core/position.ts'
import { temporaryDirectory } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(`CREATE TABLE loose (id int PRIMARY KEY, a text, b int)`)
  await database.query(`ALTER TABLE loose REPLICA IDENTITY FULL, ALTER a SET STORAGE EXTERNAL`)
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE loose`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

/** A hundred times a mebibyte of digests. */
const insert = (id: number): string =>
  `INSERT INTO loose SELECT ${id}, repeat(string_agg(md5((g + ${id})::text), ''), 100), 0 FROM generate_series(1, 32768) g`

const digests = (row: Tuple): string => {
  const text = columnText(row, 1)!
  return `${columnText(row, 0)} ${text.length} ${createHash('sha256').update(text).digest('hex')}`
}

test('100 MiB in one value: from the snapshot and from the stream, changed beside it, and deleted', async () => {
  await database.query(insert(1))
  const expected = async (): Promise<string[]> =>
    (
      await database.query<{ line: string }>(
        `SELECT id || ' ' || length(a) || ' ' || encode(sha256(a::bytea), 'hex') AS line FROM loose ORDER BY id`,
      )
    ).map(({ line }) => line)
  const stop = new AbortController()
  const feed = postgresFeed(
    {
      url: database.url,
      slot: database.name,
      publication: database.name,
      partitions: 1,
      stateDirectory: state.path,
      tails: async () => [{ height: BEGINNING, last: null, marker: null, empty: true }],
      history: async function* () {},
      warn: () => {},
    },
    stop.signal,
  )
  const changes: RowChange<Tuple>[] = []
  let began = 0
  let first: string | undefined
  let seconds = Number.POSITIVE_INFINITY
  for await (const { items, ack } of feed) {
    for (const change of items) if (change.op !== 'm') changes.push(change)
    await ack()
    if (began === 0 && items.some((change) => change.op === 'm' && change.snapshotDone)) {
      first = (await expected())[0]
      await database.query(insert(2))
      await database.query(`UPDATE loose SET b = 1 WHERE id = 2`)
      await database.query(`DELETE FROM loose WHERE id = 1`)
      began = performance.now()
    }
    if (changes.length === 4) {
      seconds = (performance.now() - began) / 1_000
      stop.abort()
    }
  }
  const [line] = await expected()
  const [read, created, updated, deleted] = changes as [
    RowChange<Tuple>,
    RowChange<Tuple>,
    RowChange<Tuple>,
    RowChange<Tuple>,
  ]
  expect([read.op, digests(read.after!)]).toEqual(['r', first])
  expect([created.op, digests(created.after!)]).toEqual(['c', line])
  expect([updated.op, digests(updated.before!), digests(updated.after!)]).toEqual(['u', line, line])
  expect(columnText(updated.after!, 2)).toBe('1')
  expect([deleted.op, digests(deleted.before!)]).toEqual(['d', first])
  expect(seconds).toBeLessThan(60)
})
