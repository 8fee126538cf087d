/** Changes of a schema, and what Avro's rules of resolution say of each. */
import type { AvroSchema } from '../../schemas/registry.ts'

export const record = (fields: readonly object[], name = 'R'): AvroSchema => ({ type: 'record', name, fields })
export const field = (type: unknown, rest: object = {}): AvroSchema => record([{ name: 'a', type, ...rest }])
export const symbols = (...names: string[]) => ({ type: 'enum', name: 'E', symbols: names })
const fixed = (size: number) => ({ type: 'fixed', name: 'F', size })
const tree = (type: string): AvroSchema =>
  record([
    { name: 'value', type },
    { name: 'next', type: ['null', 'R'], default: null },
  ])

export interface SchemaChange {
  readonly change: string
  readonly from: AvroSchema
  readonly to: AvroSchema
  /** Whether the new one reads the old one's data, and the old one the new one's. */
  readonly backward: boolean
  readonly forward: boolean
}

export const SCHEMA_CHANGES: readonly SchemaChange[] = [
  { change: 'nothing', from: field('int'), to: field('int'), backward: true, forward: true },
  {
    change: 'doc and other attributes',
    from: field('int'),
    to: field('int', { doc: 'x', kind: 'y' }),
    backward: true,
    forward: true,
  },
  {
    change: 'a field with a default more',
    from: record([]),
    to: field('int', { default: 1 }),
    backward: true,
    forward: true,
  },
  {
    change: 'a field with a null default more',
    from: record([]),
    to: field(['null', 'int'], { default: null }),
    backward: true,
    forward: true,
  },
  { change: 'a field without a default more', from: record([]), to: field('int'), backward: false, forward: true },
  {
    change: 'fields in another order',
    from: record([
      { name: 'a', type: 'int' },
      { name: 'b', type: 'int' },
    ]),
    to: record([
      { name: 'b', type: 'int' },
      { name: 'a', type: 'int' },
    ]),
    backward: true,
    forward: true,
  },
  {
    change: 'a field renamed with an alias',
    from: record([{ name: 'old', type: 'int' }]),
    to: field('int', { aliases: ['old'] }),
    backward: true,
    forward: false,
  },
  { change: 'int to long', from: field('int'), to: field('long'), backward: true, forward: false },
  { change: 'int to double', from: field('int'), to: field('double'), backward: true, forward: false },
  { change: 'long to float', from: field('long'), to: field('float'), backward: true, forward: false },
  { change: 'float to double', from: field('float'), to: field('double'), backward: true, forward: false },
  { change: 'string to bytes', from: field('string'), to: field('bytes'), backward: true, forward: true },
  { change: 'int to string', from: field('int'), to: field('string'), backward: false, forward: false },
  { change: 'int to boolean', from: field('int'), to: field('boolean'), backward: false, forward: false },
  { change: 'required to nullable', from: field('int'), to: field(['null', 'int']), backward: true, forward: false },
  {
    change: 'a branch more',
    from: field(['null', 'int']),
    to: field(['null', 'int', 'string']),
    backward: true,
    forward: false,
  },
  {
    change: 'branches in another order',
    from: field(['null', 'int']),
    to: field(['int', 'null']),
    backward: true,
    forward: true,
  },
  {
    change: 'a wider branch',
    from: field(['null', 'int']),
    to: field(['null', 'long']),
    backward: true,
    forward: false,
  },
  { change: 'a symbol more', from: field(symbols('A')), to: field(symbols('A', 'B')), backward: true, forward: false },
  {
    change: 'a symbol more under a default',
    from: field({ ...symbols('A'), default: 'A' }),
    to: field({ ...symbols('A', 'B'), default: 'A' }),
    backward: true,
    forward: true,
  },
  { change: 'another size', from: field(fixed(4)), to: field(fixed(8)), backward: false, forward: false },
  { change: 'another record name', from: record([], 'R'), to: record([], 'S'), backward: false, forward: false },
  { change: 'another namespace', from: record([], 'a.R'), to: record([], 'b.R'), backward: false, forward: false },
  {
    change: 'wider items',
    from: field({ type: 'array', items: 'int' }),
    to: field({ type: 'array', items: 'long' }),
    backward: true,
    forward: false,
  },
  {
    change: 'other map values',
    from: field({ type: 'map', values: 'int' }),
    to: field({ type: 'map', values: 'string' }),
    backward: false,
    forward: false,
  },
  { change: 'a recursive type, wider', from: tree('int'), to: tree('long'), backward: true, forward: false },
  {
    change: 'a nested record, a field more',
    from: field(record([], 'Inner')),
    to: field(record([{ name: 'b', type: 'int' }], 'Inner')),
    backward: false,
    forward: true,
  },
  { change: 'bytes to string', from: field('bytes'), to: field('string'), backward: true, forward: true },
  { change: 'long to int', from: field('long'), to: field('int'), backward: false, forward: true },
  { change: 'int to float', from: field('int'), to: field('float'), backward: true, forward: false },
  { change: 'long to double', from: field('long'), to: field('double'), backward: true, forward: false },
  { change: 'boolean to int', from: field('boolean'), to: field('int'), backward: false, forward: false },
  { change: 'a symbol gone', from: field(symbols('A', 'B')), to: field(symbols('A')), backward: false, forward: true },
  {
    change: 'symbols in another order',
    from: field(symbols('A', 'B')),
    to: field(symbols('B', 'A')),
    backward: true,
    forward: true,
  },
  {
    change: 'another enum name',
    from: field({ ...symbols('A'), name: 'E' }),
    to: field({ ...symbols('A'), name: 'G' }),
    backward: false,
    forward: false,
  },
  {
    change: 'a branch gone',
    from: field(['null', 'int', 'string']),
    to: field(['null', 'int']),
    backward: false,
    forward: true,
  },
  {
    change: 'nullable to required',
    from: field(['null', 'int']),
    to: field('int'),
    backward: false,
    forward: true,
  },
  {
    change: 'a field with a default gone',
    from: field('int', { default: 1 }),
    to: record([]),
    backward: true,
    forward: true,
  },
  {
    change: 'a field renamed without an alias',
    from: record([{ name: 'old', type: 'int' }]),
    to: field('int'),
    backward: false,
    forward: false,
  },
  {
    change: 'a logical type more',
    from: field('long'),
    to: field({ type: 'long', logicalType: 'timestamp-micros' }),
    backward: true,
    forward: true,
  },
  {
    change: 'another default',
    from: field('int', { default: 1 }),
    to: field('int', { default: 2 }),
    backward: true,
    forward: true,
  },
  {
    change: 'a nullable field of another type with a default',
    from: field(['null', 'int'], { default: null }),
    to: field(['null', 'string'], { default: null }),
    backward: false,
    forward: false,
  },
  {
    change: 'a value in an array',
    from: field('int'),
    to: field({ type: 'array', items: 'int' }),
    backward: false,
    forward: false,
  },
]
