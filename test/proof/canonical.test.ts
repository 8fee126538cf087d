import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { differingColumns, digest, duckDigest, rowText, type Cell } from '../../proof/canonical.ts'

const cells = fc.array(fc.option(fc.string({ unit: 'binary' })), { minLength: 1, maxLength: 6 })

describe('a row’s canonical text', () => {
  test('tells apart any two rows that differ in one column, whatever the values hold', () => {
    const pair = cells.chain((row) =>
      fc.tuple(fc.constant(row), fc.nat(row.length - 1), fc.option(fc.string({ unit: 'binary' }))),
    )
    fc.assert(
      fc.property(pair, ([row, at, other]) => {
        fc.pre(row[at] !== other)
        expect(rowText(row.with(at, other))).not.toBe(rowText(row))
      }),
    )
  })

  test('tells apart any two rows whose values hold neither of its two separators', () => {
    const plain = fc.array(fc.option(fc.string({ unit: fc.constantFrom('a', 'b', '|', '\u0000') })), { maxLength: 4 })
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        expect(rowText(a) === rowText(b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
    )
  })

  const rows: [string, Cell[], Cell[]][] = [
    ['NULL and the empty text', [null], ['']],
    ['a value that moved to the next column', ['a', null], [null, 'a']],
    ['one bit of one character', ['VICTIM'], ['VICTIL']],
    ['composed and decomposed characters', ['\u00e9'], ['e\u0301']],
  ]
  test.for(rows)('%s are two rows', ([, a, b]) => {
    expect(digest(rowText(a))).not.toBe(digest(rowText(b)))
  })

  test('names the columns that differ', () => {
    expect(differingColumns(['id', 'title', 'status'], ['1', 'a', null], ['1', 'b', ''])).toEqual(['title', 'status'])
  })
})

describe('a row’s hash', () => {
  let instance: DuckDBInstance
  beforeAll(async () => {
    instance = await DuckDBInstance.create(':memory:')
  })
  afterAll(() => instance.closeSync())

  test('is the same in JavaScript and in DuckDB', async () => {
    const connection = await instance.connect()
    const examples: Cell[][] = [
      [null, 'x'],
      ['', null],
      ['naïve 🚨', "it's"],
      ['a\u001fb', '\u001e'],
      ['tab\t', '\n'],
    ]
    for (const row of examples) {
      const literals = row.map((cell) => (cell === null ? 'NULL::VARCHAR' : `'${cell.replaceAll("'", "''")}'`))
      const [found] = (await connection.runAndReadAll(`SELECT CAST(${duckDigest(literals)} AS VARCHAR)`)).getRows()
      expect(String(found![0]).replaceAll('-', '')).toBe(digest(rowText(row)))
    }
  })
})
