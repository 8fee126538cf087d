/** Records of the raw topic: what the encoder writes, avsc and our decoder read alike from the registered schema. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { rowReader } from '../../connectors/postgres/tuples.ts'
import type { Change, Marker, Row, RowChange, Table, Tuple, Value } from '../../core/change.ts'
import type { PipelineError } from '../../core/error.ts'
import type { Message } from '../../core/message.ts'
import { position } from '../../core/position.ts'
import { checkCompatibility, checkSchema } from '../../schemas/compatibility.ts'
import { dateText, timestampText } from '../../schemas/pg-time.ts'
import { lateRawDecoder, rawDecoder } from '../../schemas/raw-decoder.ts'
import { rawEncoder, type RawEncoder } from '../../schemas/raw-encoder.ts'
import { envelopeSchema, keySchema, markerSchema } from '../../schemas/raw-schema.ts'
import type { AvroSchema, Registry } from '../../schemas/registry.ts'
import { avscType } from '../support/avsc.ts'
import { CELLS, changeOf, int, OIDS, table, text, type TypeName } from '../support/column-values.ts'
import { tupleOf, type Cell } from '../support/pgoutput.ts'
import { testRegistry } from '../support/registry.ts'

const insert = (of: Table, ...cells: readonly Cell[]): RowChange<Tuple> => changeOf(of, { after: tupleOf(...cells) })

let registry: Registry
let encoder: RawEncoder

const newEncoder = (): RawEncoder => rawEncoder({ registry, topic: 'raw', namespace: 'incidents', database: 'prison' })

beforeEach(() => {
  registry = testRegistry()
  encoder = newEncoder()
})

async function decoded(messages: readonly Message[]): Promise<Change[]> {
  return rawDecoder(registry).decode(messages.map((message, offset) => ({ ...message, offset })))
}

/** By the decoder that reads images when they are asked for. */
async function decodedLate(messages: readonly Message[]): Promise<Change[]> {
  return lateRawDecoder(registry).decode(messages.map((message, offset) => ({ ...message, offset })))
}

async function roundTrip(...changes: readonly Change<Tuple>[]): Promise<Change[]> {
  return decoded(await encoder.encode(changes))
}

const withoutIds = (messages: readonly Message[]): string[] =>
  messages.map(({ key, value }) => `${key.toString('hex', 5)} ${value!.toString('hex', 5)}`)

const schemaOf = (bytes: Buffer): Promise<AvroSchema> => registry.schema(bytes.readUInt32BE(1))

/** What avsc reads: records as objects, a union's value as `{branch: value}`. */
async function byAvsc(bytes: Buffer): Promise<Record<string, unknown>> {
  return avscType(await schemaOf(bytes)).fromBuffer(bytes.subarray(5)) as Record<string, unknown>
}

function unwrapped(value: unknown): unknown {
  return value === null ? null : Object.values(value as object)[0]
}

const image = fc
  .tuple(int(32).map(String), ...Object.values(CELLS).map((cell) => fc.option(cell)))
  .map((cells) => tupleOf(...cells))
const EVERY = table({ id: 'int4', ...Object.fromEntries(Object.keys(CELLS).map((name) => [name, name as TypeName])) })

/** Asks for both. */
function imagesOf(change: RowChange): string {
  try {
    return change.before !== null || change.after !== null ? 'a change' : 'nothing'
  } catch (error) {
    return (error as PipelineError).code
  }
}

/** A row as avsc gives it, in our values. */
function ourRow(columns: Table['columns'], record: Record<string, unknown> | null): Row | null {
  if (record === null) return null
  return Object.fromEntries(columns.map(({ name, oid }) => [name, ourValue(oid, record[name] as object | null)]))
}

function ourValue(oid: number, union: object | null): Value {
  if (union === null) return null
  const [branch, value] = Object.entries(union)[0] as [string, Value]
  if (oid === OIDS.date && branch === 'int') return dateText(value as number)
  if (oid === OIDS.timestamp && branch === 'long') return timestampText(value as number, '')
  if (oid === OIDS.timestamptz && branch === 'long') return timestampText(value as number, '+00')
  return value
}

const ANY_IMAGES = fc.oneof(
  fc.record({ after: image }),
  fc.record({ before: image }),
  fc.record({ before: image, after: image }),
)

describe('a record', () => {
  test('is read by avsc as by our decoder, whatever its row holds', async () => {
    await fc.assert(
      fc.asyncProperty(ANY_IMAGES, fc.option(text), async (its, reference) => {
        const change = changeOf(EVERY, its, { reference })
        const [message] = await encoder.encode([change])
        const [ours] = (await decoded([message!])) as RowChange[]
        const theirs = await byAvsc(message!.value!)
        expect(ours).toEqual({
          op: theirs['op'],
          table: EVERY,
          reference: unwrapped(theirs['reference']),
          before: ourRow(EVERY.columns, unwrapped(theirs['before']) as Record<string, unknown> | null),
          after: ourRow(EVERY.columns, unwrapped(theirs['after']) as Record<string, unknown> | null),
          position: theirs['position'],
          lsn: theirs['lsn'],
          committedAt: theirs['committedAt'],
          txId: theirs['txId'],
          streamedTo: theirs['streamedTo'],
          lastInTransaction: theirs['lastInTransaction'],
          partition: message!.partition,
          offset: 0,
          bytes: message!.value!.length,
        })
        expect(ours!.reference).toBe(reference)
        expect(ours!.after).toEqual(change.after === null ? null : rowReader(EVERY)(change.after))
      }),
      { numRuns: 300 },
    )
  })

  test('whose images are read late is the same change, in whatever order they are asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(ANY_IMAGES, { minLength: 2, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        async (all, at) => {
          const messages = await encoder.encode(all.map((its) => changeOf(EVERY, its)))
          const now = (await decoded(messages)) as RowChange[]
          const late = (await decodedLate(messages)) as RowChange[]
          for (let asked = 0; asked < 12; asked++) {
            const i = at.next().value! % all.length
            const which = asked % 3 === 0 ? 'before' : 'after'
            expect(late[i]![which]).toEqual(now[i]![which])
          }
          for (const [i, change] of now.entries()) expect(late[i]).toMatchObject(change)
        },
      ),
    )
  })

  test("has Debezium's source, and its commit time in milliseconds", async () => {
    const [streamed, read] = await encoder.encode([
      insert(EVERY, '1', ...EVERY.columns.slice(1).map(() => null)),
      { ...insert(EVERY, '1', ...EVERY.columns.slice(1).map(() => null)), op: 'r' },
    ])
    expect(streamed!.timestampMs).toBe(1_714_557_600_123)
    const envelope = await byAvsc(streamed!.value!)
    expect(envelope['ts_ms']).toEqual({ long: 1_714_557_600_123 })
    expect(envelope['source']).toEqual({
      version: '1',
      connector: 'postgresql',
      name: 'incidents',
      ts_ms: 1_714_557_600_123,
      snapshot: null,
      db: 'prison',
      schema: 'public',
      table: 'report',
      txId: { long: 755 },
      lsn: { long: 0x190_0b00 },
    })
    expect((await byAvsc(read!.value!))['source']).toMatchObject({ snapshot: { string: 'true' } })
  })

  test('of a marker is read by avsc as by our decoder', async () => {
    const at = position(1, 0x200, 0)
    const marker: Marker = {
      op: 'm',
      slot: 'incidents',
      systemIdentifier: '7500000000000000001',
      timeline: 3,
      snapshotDone: true,
      stopped: [],
      position: at,
      lsn: 0x200,
      committedAt: 1_714_557_600_123_456,
      txId: 0,
      partition: 5,
      offset: -1,
      streamedTo: position(1, 0x100, 9),
      lastInTransaction: true,
      bytes: 0,
    }
    const [message] = await encoder.encode([marker])
    const [ours] = await decoded([message!])
    expect(ours).toEqual({ ...marker, offset: 0, bytes: message!.value!.length })
    const { partition: _partition, offset: _offset, bytes: _bytes, ...fields } = marker
    expect({ ...(await byAvsc(message!.value!)) }).toEqual(fields)
    expect(await byAvsc(message!.key)).toEqual({ partition: 5 })
  })

  test('does not depend on what was encoded before it', async () => {
    const rows = Array.from({ length: 40 }, (_, i) =>
      insert(table({ id: 'int4', note: 'text' }), String(i), `${i}`.repeat(50_000)),
    )
    const together = withoutIds(await encoder.encode(rows))
    for (const [i, row] of rows.entries())
      expect(withoutIds(await newEncoder().encode([row]))[0] === together[i]).toBe(true)
  })

  test('has room for a reference that is longer than its row', async () => {
    const reference = '表'.repeat(700_000)
    const [found] = await roundTrip({ ...insert(table({ id: 'int4' }), '1'), reference })
    expect((found as RowChange).reference === reference).toBe(true)
  })
})

describe('the key of a record', () => {
  const keyOf = async (of: Table, ...cells: readonly Cell[]): Promise<Record<string, unknown>> =>
    byAvsc((await encoder.encode([insert(of, ...cells)]))[0]!.key)

  test("is the primary key, in the key's order", async () => {
    const both = table({ a: 'int8', b: 'text', c: 'uuid' }, ['c', 'a'])
    const uuid = '0196a2b4-7c00-7000-8000-000000000001'
    const key = await keyOf(both, '9007199254740993', null, uuid)
    expect(Object.entries(key)).toEqual(Object.entries({ c: uuid, a: 9_007_199_254_740_993n }))
  })

  test('is the same for every image of a row', async () => {
    const of = table({ id: 'int4', note: 'text' })
    const [a, b] = [tupleOf('1', 'a'), tupleOf('1', null)]
    const messages = await encoder.encode([
      changeOf(of, { after: a }),
      changeOf(of, { before: a, after: b }),
      changeOf(of, { before: b }),
    ])
    expect(new Set(messages.map(({ key }) => key.toString('hex'))).size).toBe(1)
  })

  test('has dates and timestamps as text, so that an infinite one is a key like any other', async () => {
    const of = table({ id: 'date', at: 'timestamptz' }, ['id', 'at'])
    expect(await keyOf(of, '2024-02-29', 'infinity')).toEqual({ id: '2024-02-29', at: 'infinity' })
    expect(await keyOf(of, '-infinity', '2024-02-29 10:00:00+00')).toEqual({
      id: '-infinity',
      at: '2024-02-29 10:00:00+00',
    })
  })

  test('is the hash of the row where the table has no primary key', async () => {
    const tuple = tupleOf('x', null)
    const key = await keyOf(table({ a: 'text', b: 'text' }, []), 'x', null)
    expect(key).toEqual({ rowHash: createHash('sha256').update(tuple.bytes).digest() })
  })
})

describe('a column that meets what its number cannot hold', () => {
  const of = table({ id: 'int4', at: 'timestamp', day: 'date' })
  const rows = [
    insert(of, '1', '2024-05-01 10:00:00', '2024-05-01'),
    insert(of, '2', 'infinity', '2024-05-01'),
    insert(of, '3', '2024-05-01 10:00:00', '2024-05-01'),
    insert(of, '4', '2024-05-01 10:00:00', '-infinity'),
    insert(of, '5', '294276-12-31 23:59:59.999999', '5874897-12-31'),
  ]
  const values = [
    { id: 1, at: '2024-05-01 10:00:00', day: '2024-05-01' },
    { id: 2, at: 'infinity', day: '2024-05-01' },
    { id: 3, at: '2024-05-01 10:00:00', day: '2024-05-01' },
    { id: 4, at: '2024-05-01 10:00:00', day: '-infinity' },
    { id: 5, at: '294276-12-31 23:59:59.999999', day: '5874897-12-31' },
  ]

  test('takes text from then on: in a new version, with the value as it is', async () => {
    const messages = await encoder.encode(rows)
    expect((await decoded(messages)).map((found) => (found as RowChange).after)).toEqual(values)
    const [narrow, wide, ...rest] = messages.map(({ value }) => value!.readUInt32BE(1))
    expect(rest[0]).toBe(wide)
    expect(new Set([narrow, wide, ...rest]).size).toBe(3)
    const record = unwrapped((await byAvsc(messages[1]!.value!))['after'])
    expect(record).toMatchObject({ at: { string: 'infinity' }, day: { int: 19_844 } })
  })

  test('gives the same bytes when it is encoded again: in a new process, in any order, already widened', async () => {
    const first = withoutIds(await encoder.encode(rows))
    expect(withoutIds(await encoder.encode(rows))).toEqual(first)
    expect(withoutIds(await newEncoder().encode(rows))).toEqual(first)
    expect(withoutIds(await newEncoder().encode(rows.toReversed())).toReversed()).toEqual(first)
    registry = testRegistry()
    expect(withoutIds(await newEncoder().encode(rows.toReversed())).toReversed()).toEqual(first)
  })

  test('stays widened when the table changes, also for a process that has not seen the value', async () => {
    await encoder.encode(rows)
    const wider = table({ id: 'int4', at: 'timestamp', day: 'date', more: 'text' })
    encoder = newEncoder()
    const [found] = await roundTrip(insert(wider, '6', '2024-05-01 10:00:00', '2024-05-01', 'new'))
    expect((found as RowChange).after).toEqual({ ...values[0], id: 6, more: 'new' })
  })
})

describe('the schemas of a table', () => {
  const envelope = (of: Table): AvroSchema => envelopeSchema('incidents', of, new Set())
  const before = table({ id: 'int4', title: 'text', at: 'timestamp' })

  test.each<[string, Table]>([
    ['a column more', table({ id: 'int4', title: 'text', at: 'timestamp', count: 'int4' })],
    ['a column less', table({ id: 'int4', at: 'timestamp' })],
    ['other columns but the key', table({ id: 'int4', x: 'bool', y: 'bytea' })],
    ['another order', table({ at: 'timestamp', title: 'text', id: 'int4' })],
    ['a longer type', table({ id: 'int8', title: 'text', at: 'timestamp' })],
  ])('with %s read what the earlier ones wrote, for our rules and for avsc', async (_, after) => {
    expect(checkSchema(envelope(after))).toBeNull()
    expect(checkCompatibility(envelope(after), [envelope(before)], 'BACKWARD_TRANSITIVE')).toBeNull()
    const [message] = await encoder.encode([insert(before, '1', 'Fire', '2024-05-01 10:00:00')])
    await encoder.encode([insert(after, ...after.columns.map(({ name }) => (name === 'id' ? '1' : null)))])
    const writer = avscType(envelope(before))
    const reader = avscType(envelope(after))
    const found = reader.fromBuffer(message!.value!.subarray(5), reader.createResolver(writer)) as { after: object }
    const row = Object.values(found.after)[0] as Record<string, unknown>
    expect(Object.keys(row)).toEqual(after.columns.map(({ name }) => name))
    expect(Object.values(row['id'] as object)).toEqual([1])
  })

  test('with a column of another kind are refused by our rules and by avsc, and stop with CONTRACT', async () => {
    const after = table({ id: 'int4', title: 'int4', at: 'timestamp' })
    expect(checkCompatibility(envelope(after), [envelope(before)], 'BACKWARD_TRANSITIVE')).toContain('cannot read')
    expect(() => avscType(envelope(after)).createResolver(avscType(envelope(before)))).toThrow(/cannot read/)
    await encoder.encode([insert(before, '1', null, null)])
    await expect(encoder.encode([insert(after, '1', null, null)])).rejects.toMatchObject({ code: 'CONTRACT' })
  })

  test('are valid Avro whatever the names, and no two names become one', async () => {
    const names = [
      'id',
      'a b',
      'a-b',
      'a_b',
      '表',
      '格',
      '1st',
      '_1st',
      'null',
      'ü'.repeat(31),
      '__proto__',
      'constructor',
    ]
    const odd: Table = { ...table({}), columns: names.map((name) => ({ name, oid: 25, modifier: -1 })) }
    for (const name of ['表', '格', 'a"b', 'a.b']) {
      const of = { ...odd, schema: name, name }
      const [found] = await roundTrip(insert(of, ...names))
      const { after, table: its } = found as RowChange
      expect(its).toEqual(of)
      expect(Object.keys(after!)).toEqual(names)
      expect(names.map((each) => after![each])).toEqual(names)
    }
    const namespaces = ['表', '格'].map(
      (name) => (envelope({ ...odd, name }) as unknown as { namespace: string }).namespace,
    )
    expect(new Set(namespaces).size).toBe(2)
    const fields = (keySchema('incidents', { ...odd, key: names }) as unknown as { fields: { name: string }[] }).fields
    expect(new Set(fields.map(({ name }) => name)).size).toBe(names.length)
  })

  test('of markers are valid Avro', () => {
    expect(checkSchema(markerSchema('incidents'))).toBeNull()
  })
})

describe('what cannot be is refused with a code', () => {
  const of = table({ id: 'int4', big: 'int8', real: 'float4', note: 'text' })

  test.each<[string, Tuple]>([
    ['has fewer columns than its table', tupleOf('1', '2', '3')],
    ['has more columns than its table', tupleOf('1', '2', '3', 'x', 'y')],
    ['has a value that was not sent', tupleOf('1', '2', '3', undefined)],
    ['has no key', tupleOf(null, '2', '3', 'x')],
    ['has words for a number', tupleOf('1', 'forty-two thousand', '3', 'x')],
    ['has a number without end', tupleOf('9'.repeat(400), '2', '3', 'x')],
    ['ends before its columns do', { ...tupleOf('1', '2', '3', 'x'), end: 20 }],
  ])('a tuple that %s: MALFORMED_WAL, without the value', async (_, tuple) => {
    await expect(encoder.encode([changeOf(of, { after: tuple })])).rejects.toMatchObject({
      name: 'PipelineError',
      code: 'MALFORMED_WAL',
      message: expect.stringMatching(/^(?!.*forty)/),
    })
    await expect(encoder.encode([insert(of, '1', '2', '3', 'x')])).resolves.toHaveLength(1)
  })

  test('a damaged record is a change or MALFORMED_RECORD', async () => {
    const [message] = await encoder.encode([
      changeOf(of, { before: tupleOf('1', '2', '3', 'x'), after: tupleOf('1', null, 'NaN', 'y') }),
    ])
    const bytes = message!.value!
    const damage = fc.array(fc.record({ at: fc.integer({ min: 5, max: bytes.length - 1 }), byte: fc.nat(255) }), {
      maxLength: 3,
    })
    await fc.assert(
      fc.asyncProperty(
        damage,
        fc.option(fc.nat(bytes.length - 1), { freq: 2, nil: bytes.length }),
        async (hits, end) => {
          const damaged = Buffer.from(bytes)
          for (const { at, byte } of hits) damaged[at] = byte
          const value = damaged.subarray(0, end)
          const outcome = await decoded([{ ...message!, value }]).then(
            () => 'a change',
            (error: PipelineError) => error.code,
          )
          expect(end < bytes.length ? ['MALFORMED_RECORD'] : ['MALFORMED_RECORD', 'a change']).toContain(outcome)
          const late = await decodedLate([{ ...message!, value }]).then(
            ([change]) => imagesOf(change as RowChange),
            (error: PipelineError) => error.code,
          )
          expect(late).toBe(outcome)
        },
      ),
      { numRuns: 1000 },
    )
    for (const value of [null, Buffer.alloc(0), Buffer.concat([bytes, Buffer.from([0])])]) {
      await expect(decoded([{ ...message!, value }])).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
    }
  })

  test("a record of another writer's schema", async () => {
    for (const schema of ['string', { type: 'record', name: 'Other', fields: [] }] satisfies AvroSchema[]) {
      const id = await registry.register(`other-${JSON.stringify(schema).length}`, schema, 'BACKWARD_TRANSITIVE')
      const value = Buffer.from([0, 0, 0, 0, id, 0])
      const record = { partition: 0, key: value, value, timestampMs: 0 }
      await expect(decoded([record])).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
    }
  })
})
