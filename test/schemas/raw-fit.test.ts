/** Records that would be larger than their topic takes: what goes, what is left out, and what a reader then knows. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RowChange, Table, Tuple } from '../../core/change.ts'
import { position } from '../../core/position.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { rawEncoder } from '../../schemas/raw-encoder.ts'
import { tupleOf } from '../support/pgoutput.ts'
import { testRegistry } from '../support/registry.ts'

const BOUND = 16_384
const TEXT = 25
const BYTEA = 17
const INT = 23
const TIMESTAMP = 1114

const REPORT: Table = {
  schema: 'public',
  name: 'report',
  columns: [
    { name: 'id', oid: INT, modifier: -1 },
    { name: 'title', oid: TEXT, modifier: -1 },
    { name: 'description', oid: TEXT, modifier: -1 },
    { name: 'at', oid: TIMESTAMP, modifier: -1 },
    { name: 'file', oid: BYTEA, modifier: -1 },
  ],
  key: ['id'],
}
const KEYLESS: Table = { ...REPORT, name: 'loose', key: [] }

interface Cells {
  readonly title?: string
  readonly description?: string | null
  readonly at?: string
  readonly file?: string | null
}

function row({ title = 'small', description = null, at = '2024-01-01 00:00:00', file = null }: Cells): Tuple {
  return tupleOf('7', title, description, at, file)
}

function change(before: Cells | null, after: Cells | null, table = REPORT): RowChange<Tuple> {
  const at = position(1, 0x190, 7)
  return {
    op: before === null ? 'c' : after === null ? 'd' : 'u',
    table,
    reference: '600001',
    before: before === null ? null : row(before),
    after: after === null ? null : row(after),
    position: at,
    lsn: 0x18f,
    committedAt: 1_714_557_600_123_456,
    txId: 755,
    partition: 2,
    offset: -1,
    streamedTo: at,
    lastInTransaction: true,
    bytes: 0,
  }
}

const registry = testRegistry()

async function written(...changes: readonly RowChange<Tuple>[]) {
  const encoder = rawEncoder({ registry, topic: 'raw', namespace: 'incidents', database: 'prison', maxBytes: BOUND })
  const messages = await encoder.encode(changes)
  for (const { key, value } of messages) expect(key.length + value!.length).toBeLessThanOrEqual(BOUND)
  const read = await rawDecoder(registry).decode(messages.map((message, offset) => ({ ...message, offset })))
  return read.map((each, i) => ({ ...(each as RowChange), key: messages[i]!.key }))
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const told = (image: 'before' | 'after', column: string, text: string) => ({
  image,
  column,
  bytes: Buffer.byteLength(text),
  sha256: digest(text),
})
const LARGE = 'é'.repeat(BOUND / 2 + 1)
const HALF = 'x'.repeat(BOUND / 2)

test('only the largest value is left out, with its length and digest; everything else is as it is', async () => {
  const [read] = await written(change(null, { title: 'kept', description: LARGE }))
  expect(read).toMatchObject({
    op: 'c',
    reference: '600001',
    position: position(1, 0x190, 7),
    lastInTransaction: true,
    before: null,
    after: { id: 7, title: 'kept', description: null, at: '2024-01-01 00:00:00', file: null },
    omitted: [told('after', 'description', LARGE)],
  })
})

test('of an update whose images do not fit together the row after stays whole', async () => {
  const [read] = await written(change({ description: HALF }, { description: `${HALF}!` }))
  expect(read!.after!['description']).toBe(`${HALF}!`)
  expect(read!.before).toMatchObject({ id: 7, title: 'small', description: null })
  expect(read!.omitted).toEqual([told('before', 'description', HALF)])
})

test('a row before that fits stays whole beside a row after that does not', async () => {
  const [read] = await written(change({ description: HALF }, { description: LARGE }))
  expect(read!.before!['description']).toBe(HALF)
  expect(read!.omitted).toEqual([told('after', 'description', LARGE)])
})

test('the update that makes the row smaller, and its delete, are whole in all that readers need', async () => {
  const [mended, deleted] = await written(
    change({ description: LARGE }, { description: 'small' }),
    change({ description: LARGE }, null),
  )
  expect(mended!.after!['description']).toBe('small')
  expect(deleted!.before).toMatchObject({ id: 7, title: 'small', description: null })
  for (const { omitted } of [mended!, deleted!]) expect(omitted).toEqual([told('before', 'description', LARGE)])
})

test('bytes count as bytes, not as their text', async () => {
  const [fits, not] = await written(
    change(null, { file: `\\x${'ab'.repeat(BOUND - 4096)}` }),
    change(null, { file: `\\x${'ab'.repeat(BOUND)}` }),
  )
  expect(fits!.omitted).toBeUndefined()
  expect((fits!.after!['file'] as Uint8Array).length).toBe(BOUND - 4096)
  expect(not!.omitted).toEqual([told('after', 'file', `\\x${'ab'.repeat(BOUND)}`)])
})

test('a key is never left out, and a row without one keeps the hash of all of it', async () => {
  const small = rawEncoder({ registry, topic: 'raw', namespace: 'incidents', database: 'prison' })
  const whole = change(null, { description: LARGE }, KEYLESS)
  const [unbounded] = await small.encode([whole])
  const [read] = await written(whole)
  expect(read!.key).toEqual(unbounded!.key)
  expect(read!.omitted).toHaveLength(1)
})

test('a value that its Avro number cannot hold beside one that is left out widens the column as ever', async () => {
  const [read, plain] = await written(
    change(null, { description: LARGE, at: 'infinity' }),
    change(null, { description: 'small', at: 'infinity' }),
  )
  expect(read).toMatchObject({ after: { at: 'infinity', description: null }, omitted: [{ column: 'description' }] })
  expect(plain).toMatchObject({ after: { at: 'infinity', description: 'small' } })
  expect(plain!.omitted).toBeUndefined()
})

const COLUMNS = ['title', 'description', 'file'] as const

/** A value as PostgreSQL prints it. */
function textOf(value: unknown): unknown {
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value
}

test('whatever its values, a record fits, is read as it was but for what it says is missing, and is the same again', async () => {
  const size = fc.oneof(fc.nat(200), fc.nat(2 * BOUND))
  const cells = fc.record({
    title: size.map((n) => 't'.repeat(n)),
    description: size.map((n) => 'é'.repeat(n / 2)),
    file: size.map((n) => `\\x${'0f'.repeat(n / 2)}`),
  })
  await fc.assert(
    fc.asyncProperty(fc.option(cells), cells, async (before, after) => {
      const made = change(before, after)
      const [read] = await written(made)
      for (const [of, given] of [
        ['before', before],
        ['after', after],
      ] as const) {
        if (given === null) continue
        for (const column of COLUMNS) {
          const missing = read!.omitted?.find((each) => each.image === of && each.column === column)
          const whole = missing === undefined
          expect([textOf(read![of]![column]), missing]).toEqual(
            whole ? [given[column], undefined] : [null, told(of, column, given[column]!)],
          )
        }
      }
      expect(await written(made)).toEqual([read])
    }),
    { numRuns: 100 },
  )
})
