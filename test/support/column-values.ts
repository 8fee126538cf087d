/** Tables of every type that travels in a form of its own, and texts of their values as PostgreSQL prints them. */
import fc from 'fast-check'
import type { Op, RowChange, Table, Tuple } from '../../core/change.ts'
import { position } from '../../core/position.ts'

export const OIDS = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  float4: 700,
  float8: 701,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
} as const
export type TypeName = keyof typeof OIDS

export function table(
  columns: Readonly<Record<string, TypeName>>,
  key: readonly string[] = ['id'],
  name = 'report',
): Table {
  const found = Object.entries(columns).map(([column, type]) => ({ name: column, oid: OIDS[type], modifier: -1 }))
  return { schema: 'public', name, columns: found, key }
}

export const text = fc.string({ unit: 'binary', maxLength: 80 }).filter((each) => !each.includes('\0'))
export const int = (bits: number) => fc.bigInt({ min: -(1n << BigInt(bits - 1)), max: (1n << BigInt(bits - 1)) - 1n })
const two = (n: number): string => String(n).padStart(2, '0')
const date = fc
  .record({
    y: fc.integer({ min: 1, max: 5_874_897 }),
    m: fc.integer({ min: 1, max: 12 }),
    d: fc.integer({ min: 1, max: 28 }),
  })
  .map(({ y, m, d }) => `${String(y).padStart(4, '0')}-${two(m)}-${two(d)}`)
const timestamp = fc
  .record({ at: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), micros: fc.nat(999_999) })
  .map(({ at, micros }) => {
    const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`
    return new Date(at * 1000).toISOString().slice(0, 19).replace('T', ' ') + fraction
  })

/** A column's text by its type, as PostgreSQL prints it. */
export const CELLS: Readonly<Record<TypeName, fc.Arbitrary<string>>> = {
  bool: fc.constantFrom('t', 'f'),
  bytea: fc.uint8Array({ maxLength: 40 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  int2: int(16).map(String),
  int4: int(32).map(String),
  int8: fc.oneof(int(64), int(54)).map(String),
  text,
  float4: fc.float().map((n) => (Object.is(n, -0) ? '-0' : String(n))),
  float8: fc.double().map((n) => (Object.is(n, -0) ? '-0' : String(n))),
  date: fc.oneof(date, fc.constantFrom('infinity', '-infinity', '0044-03-15 BC')),
  timestamp: fc.oneof(timestamp, fc.constantFrom('infinity', '294276-12-31 23:59:59.999999')),
  timestamptz: fc.oneof(
    timestamp.map((each) => `${each}+00`),
    fc.constantFrom('-infinity', '4714-11-24 00:00:00+00 BC'),
  ),
  numeric: fc.constantFrom('NaN', '0.000', '-1.10'),
  uuid: fc.uuid(),
}

interface Images {
  readonly before?: Tuple
  readonly after?: Tuple
}

/** A change of a row as capture makes it. */
export function changeOf(of: Table, { before, after }: Images, more: Partial<RowChange<Tuple>> = {}): RowChange<Tuple> {
  const op: Op = before === undefined ? 'c' : after === undefined ? 'd' : 'u'
  const at = position(1, 0x190_0b58, 7)
  return {
    op,
    table: of,
    reference: '600001',
    before: before ?? null,
    after: after ?? null,
    position: at,
    lsn: 0x190_0b00,
    committedAt: 1_714_557_600_123_456,
    txId: 755,
    partition: 2,
    offset: -1,
    streamedTo: at,
    lastInTransaction: true,
    bytes: 0,
    ...more,
  }
}
