/** COPY's text format into tuples: whatever the texts hold, and wherever the socket cuts the lines. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyReader } from '../../../connectors/postgres/copy.ts'
import { PipelineError } from '../../../core/error.ts'
import { cellsOf, tupleOf, type Cell } from '../../support/pgoutput.ts'

/** What the server sends for a character (SQL-COPY, text format); everything else goes as it is. */
const ESCAPED: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
}

function line(cells: readonly Cell[]): string {
  return `${cells.map((cell) => (cell === null ? '\\N' : Array.from(cell!, (c) => ESCAPED[c] ?? c).join(''))).join('\t')}\n`
}

function readAll(columns: number, pieces: readonly Buffer[]): Cell[][] {
  const reader = copyReader(columns)
  return pieces.flatMap((piece) => reader.push(piece)).map(cellsOf)
}

const ROWS: readonly Cell[][] = [
  ['1', null, ''],
  ['\\N', '\\', 'N'],
  ['\t\n\r\b\f\v\\', '\\n', '\\\\N'],
  ['', '', ''],
  [null, null, null],
  ['é', '😀', 'ends in \\'],
  ['\\.', '.', '\u0001\u007f'],
]

describe('the rows of a COPY', () => {
  test.each([
    ['a\\tb\tc\n', ['a\tb', 'c']],
    ['\\\\N\t\\N\n', ['\\N', null]],
    ['\\\\\\\\N\t\\\\\n', ['\\\\N', '\\']],
    ['\t\n', ['', '']],
    ['\\b\\f\\n\\r\\t\\v\\\\\t\\N\n', ['\b\f\n\r\t\v\\', null]],
  ])('%j are %j', (text, cells) => {
    expect(readAll(2, [Buffer.from(text)])).toEqual([cells])
  })

  test('are the same wherever the pieces are cut', () => {
    const bytes = Buffer.from(ROWS.map(line).join(''))
    expect(readAll(3, [bytes])).toEqual(ROWS)
    for (let a = 0; a <= bytes.length; a++) {
      for (const b of [a, a + 1, a + 2, bytes.length]) {
        expect(readAll(3, [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)])).toEqual(ROWS)
      }
    }
    expect(
      readAll(
        3,
        Array.from(bytes, (byte) => Buffer.from([byte])),
      ),
    ).toEqual(ROWS)
  })

  test('are what was written, as the tuples that pgoutput would have', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('\\', 'N', 'n', 't', '\t', '\n', '\r', '.', 'x', '1', '😀') }),
    )
    const rows = fc.array(fc.tuple(fc.option(text), fc.option(text)), { minLength: 1, maxLength: 5 })
    const cuts = fc.array(fc.nat(500), { maxLength: 5 })
    fc.assert(
      fc.property(rows, cuts, (cells, at) => {
        const bytes = Buffer.from(cells.map(line).join(''))
        const edges = [0, ...at.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
        const reader = copyReader(2)
        const tuples = edges.slice(1).flatMap((edge, i) => reader.push(bytes.subarray(edges[i], edge)))
        expect(tuples.map((tuple) => tuple.bytes.subarray(tuple.start, tuple.end))).toEqual(
          cells.map((row) => tupleOf(...row).bytes),
        )
      }),
      { numRuns: 1000 },
    )
  })

  test('of a table without columns are counted', () => {
    expect(readAll(0, [Buffer.from('\n\n'), Buffer.from('\n')])).toEqual([[], [], []])
  })

  test('of any size cost one copy, not one for each piece', () => {
    const piece = Buffer.alloc(16 << 10, 'x')
    const pieces = [...Array.from({ length: 4096 }, () => piece), Buffer.from('\n')]
    const begun = performance.now()
    const [row] = readAll(1, pieces)
    expect(row![0]!.length).toBe(64 << 20)
    expect(performance.now() - begun).toBeLessThan(10_000) // joined anew for each piece it is 128 GiB
  })

  test.each(['1\n', '1\t2\t3\n', '\\N\n', '1\t\\N\t\n', '\n'])(
    'with other columns than asked for are refused: %j',
    (text) => {
      expect(() => copyReader(2).push(Buffer.from(text))).toThrow(PipelineError)
      expect(() => copyReader(2).push(Buffer.from(text))).toThrow('does not have the 2 columns')
    },
  )
})
