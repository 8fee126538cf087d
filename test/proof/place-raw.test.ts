/** The hash of one row of the raw topic is the same whether it is worked out from values, from a record, or from a tuple. */
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import type { Table, Tuple } from '../../core/change.ts'
import type { Received } from '../../core/message.ts'
import { position } from '../../core/position.ts'
import { digest, GONE, rowText } from '../../proof/canonical.ts'
import { rawMarks, rawRows, type RawReaderOptions } from '../../proof/place-raw.ts'
import { rowBytes } from '../../proof/row-bytes.ts'
import { tuplePutter } from '../../proof/tuple-cells.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import type { Registry } from '../../schemas/registry.ts'
import { CELLS, changeOf, int, table, type TypeName } from '../support/column-values.ts'
import { tupleOf } from '../support/pgoutput.ts'
import { testRegistry } from '../support/registry.ts'

const EVERY = table({ id: 'int4', ...Object.fromEntries(Object.keys(CELLS).map((name) => [name, name as TypeName])) })
const cells = fc.tuple(int(32).map(String), ...Object.values(CELLS).map((cell) => fc.option(cell)))

let registry: Registry
let records: Received[]
beforeEach(() => {
  registry = testRegistry()
  records = []
})

async function write(of: Table, images: { readonly before?: Tuple; readonly after?: Tuple }, ordinal = 1) {
  const at = position(0, 0x190_0b58, ordinal)
  const change = changeOf(of, images, { position: at, streamedTo: at })
  const encoder = rawEncoder({ registry, topic: 'raw', namespace: 'incidents', database: 'prison' })
  const [message] = await encoder.encode([change])
  records.push({ ...message!, offset: records.length })
}

/** What both readers say, the rows' hashes worked out from their cells. */
async function bothWays(tables: readonly Table[]) {
  const unreadable: number[] = []
  const options: RawReaderOptions = { registry, tables, unreadable: ({ offset }) => void unreadable.push(offset) }
  const rows = await rawRows(options)()(records)
  const marks = await rawMarks(options)()(records)
  const ofRows = rows.map(({ kind, key, position: at, record, cells: found }) => ({
    kind,
    key,
    position: at,
    record,
    digest: found === null ? GONE : digest(rowText(found)),
  }))
  return { ofRows, marks, unreadable }
}

test('of any row of every type', async () => {
  const put = tuplePutter(EVERY.columns)
  await fc.assert(
    fc.asyncProperty(cells, async (values) => {
      records = []
      const after = tupleOf(...values)
      await write(EVERY, { after })
      const { ofRows, marks } = await bothWays([EVERY])
      expect(marks).toHaveLength(1)
      expect(marks).toEqual(ofRows)
      const row = rowBytes()
      row.begin()
      put(after, row)
      expect(row.digest()).toBe(marks[0]!.digest)
    }),
    { numRuns: 300 },
  )
})

test('two rows that differ in one value have two hashes', async () => {
  const column = fc.nat(Object.keys(CELLS).length - 1)
  const put = tuplePutter(EVERY.columns)
  const hash = (values: readonly (string | null)[]): string => {
    const row = rowBytes()
    row.begin()
    put(tupleOf(...values), row)
    return row.digest()
  }
  fc.assert(
    fc.property(cells, column, cells, (values, at, others) => {
      fc.pre(values[at + 1] !== others[at + 1])
      // PostgreSQL prints a number in one way only
      fc.pre(!/^(float|numeric)/.test(EVERY.columns[at + 1]!.name))
      expect(hash(values)).not.toBe(hash(values.with(at + 1, others[at + 1]!)))
    }),
  )
})

test('of records of before a column came, went, or moved', async () => {
  const then = table({ gone: 'text', id: 'int4', title: 'text', at: 'timestamp' })
  const now = table({ id: 'int4', at: 'timestamp', added: 'date', title: 'text' })
  await write(then, { after: tupleOf('x', '7', 'naïve 🚨', '2024-02-29 12:00:00.5') })
  await write(now, { after: tupleOf('7', '2024-02-29 12:00:00.5', null, 'naïve 🚨') }, 2)
  const { ofRows, marks } = await bothWays([now])
  expect(marks).toEqual(ofRows)
  expect(marks[0]!.digest).toBe(marks[1]!.digest)
})

test('of a row that is gone, by the key that it had', async () => {
  const of = table({ note: 'text', code: 'text', at: 'timestamptz', number: 'int8' }, ['code', 'number', 'at'])
  const row = tupleOf(null, 'A', '2024-02-29 12:00:00+00', '9223372036854775807')
  await write(of, { after: row })
  await write(of, { before: row }, 2)
  const { ofRows, marks } = await bothWays([table({ id: 'int4' }, ['id'], 'other'), of])
  expect(marks).toEqual(ofRows)
  const key = ['A', '9223372036854775807', '2024-02-29 12:00:00+00'].join('\u001f')
  expect(marks.map((each) => [each.kind, each.key])).toEqual([
    [1, key],
    [1, key],
  ])
  expect(marks[1]!.digest).toBe(GONE)
})

test('of what stands behind a newer change there is none, nor of tables that are not asked for', async () => {
  const of = table({ id: 'int4' })
  await write(of, { after: tupleOf('1') }, 2)
  await write(of, { after: tupleOf('2') }, 1)
  await write(table({ id: 'int4' }, ['id'], 'other'), { after: tupleOf('3') }, 3)
  const { ofRows, marks } = await bothWays([of])
  expect(marks).toEqual(ofRows)
  expect(marks.map(({ key }) => key)).toEqual(['1'])
})

test('a record that is not what its schema says is named, and those beside it are read', async () => {
  const of = table({ id: 'int4', title: 'text' })
  for (let i = 1; i <= 3; i++) await write(of, { after: tupleOf(String(i), 'title') }, i)
  const whole = records[1]!
  for (const value of [
    whole.value!.subarray(0, 20),
    Buffer.concat([whole.value!, Buffer.from([0])]),
    Buffer.from('no'),
  ]) {
    records[1] = { ...whole, value }
    const { marks, unreadable } = await bothWays([of])
    expect(marks.map(({ key }) => key)).toEqual(['1', '3'])
    expect(unreadable).toEqual([1, 1])
  }
})
