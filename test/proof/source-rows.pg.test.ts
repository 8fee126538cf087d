/** What a reconciliation sees of rows that it looks at by their keys. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rowKey } from '../../proof/source-keys.ts'
import { sourceReader, sourceTables, type SourceReader } from '../../proof/source-rows.ts'
import { scanSource } from '../../proof/source-scan.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let source: SourceReader
beforeAll(async () => {
  database = await testDatabase()
  await database.query(`CREATE TABLE note (id int PRIMARY KEY, text text)`)
  await database.query(`CREATE TABLE pair (b text, a boolean, "at" timestamptz, PRIMARY KEY (a, b, "at"))`)
  await database.query(`INSERT INTO note SELECT n, 'note' FROM generate_series(1, 5) n`)
  await database.query(
    `INSERT INTO pair VALUES ('it''s "b"', true, '2024-02-29 12:00:00+00'), ('\\', false, 'infinity')`,
  )
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE note, pair`)
  source = await sourceReader(database.url, await sourceTables(database.url, database.name))
})
afterAll(async () => {
  await source.close()
  await database.drop()
})

const NOTES = new Set(['1', '2', '3', '99', 'not a number'])
const PAIRS = new Set([
  'true\u001fit\'s "b"\u001f2024-02-29 12:00:00+00',
  'false\u001f\\\u001finfinity',
  'true\u001fnone\u001finfinity',
])
const KEYS = new Map([
  [0, NOTES],
  [1, PAIRS],
])

test('a row’s version begins with its stamp, and both change when it is written', async () => {
  const rows = await source.rows(KEYS)
  const stamps = await source.stamps(KEYS)
  expect([...stamps.keys()].toSorted()).toEqual([...rows.keys()].toSorted())
  expect(stamps.size).toBe(5)
  for (const [name, { version, xmin }] of rows) {
    expect(version.startsWith(`${stamps.get(name)!} `)).toBe(true)
    expect(stamps.get(name)).toMatch(new RegExp(`^${xmin} `))
  }
  await database.query(`UPDATE note SET text = text WHERE id = 1`)
  await database.query(`DELETE FROM note WHERE id = 2`)
  const later = await source.stamps(KEYS)
  expect(later.get(rowKey(0, '1'))).not.toBe(stamps.get(rowKey(0, '1')))
  expect(later.has(rowKey(0, '2'))).toBe(false)
  expect(later.get(rowKey(0, '3'))).toBe(stamps.get(rowKey(0, '3')))
})

test('tables are read as they are asked for, and their sizes are known after ANALYZE', async () => {
  await database.query('ANALYZE note, pair')
  expect(await source.sizes()).toEqual([4, 2])
  const order = [1, 0]
  const taken: [number, string][] = []
  await source.all(
    async () => order.shift() ?? null,
    (change, table) => taken.push([table, String(change.after![table === 0 ? 'id' : 'a'])]),
    () => {},
  )
  expect(taken.map(([table]) => table)).toEqual([1, 1, 0, 0, 0, 0])
  expect(new Set(taken.map(String))).toEqual(new Set(['1,true', '1,false', '0,1', '0,3', '0,4', '0,5']))
})

test('several processes read each table once between them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-scan-'))
  const paths = [1, 2, 3].map((reader) => ({
    expected_row: join(directory, `row-${reader}`),
    expected_unified: join(directory, `unified-${reader}`),
  }))
  const tables = await sourceTables(database.url, database.name)
  let told = 0
  const scan = { databaseUrl: database.url, tables, pseudonymKey: 'a key for tests only' }
  const progress = (rows: number): void => void (told = rows)
  const totals = await scanSource(scan, [1, 0], paths, { signal: new AbortController().signal, progress })
  expect(totals.rows).toBe(6)
  expect(told).toBe(6)
  const lines = paths.flatMap((each) => readFileSync(each.expected_row, 'utf8').trim().split('\n'))
  const rows = lines.filter((line) => line !== '').map((line) => line.split(',').slice(0, 2).join(' '))
  expect(rows.filter((row) => row.startsWith('0 ')).toSorted()).toEqual(['0 1', '0 3', '0 4', '0 5'])
  expect(rows).toHaveLength(6)
  rmSync(directory, { recursive: true })
})
