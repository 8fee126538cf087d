import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkCompatibility } from '../../schemas/compatibility.ts'
import type { AvroSchema } from '../../schemas/registry.ts'

const record = (fields: readonly object[], name = 'R'): AvroSchema => ({ type: 'record', name, fields })
const field = (type: unknown, rest: object = {}): AvroSchema => record([{ name: 'a', type, ...rest }])
const symbols = (...names: string[]) => ({ type: 'enum', name: 'E', symbols: names })
const fixed = (size: number) => ({ type: 'fixed', name: 'F', size })
const tree = (type: string): AvroSchema =>
  record([
    { name: 'value', type },
    { name: 'next', type: ['null', 'R'], default: null },
  ])

interface Case {
  readonly change: string
  readonly from: AvroSchema
  readonly to: AvroSchema
  /** Whether the new one reads the old one's data, and the old one the new one's. */
  readonly backward: boolean
  readonly forward: boolean
}

const CASES: readonly Case[] = [
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
]

describe('a change of schema', () => {
  test.each(CASES)('$change: new reads old $backward, old reads new $forward', ({ from, to, backward, forward }) => {
    expect(checkCompatibility(to, [from], 'BACKWARD_TRANSITIVE') === null).toBe(backward)
    expect(checkCompatibility(from, [to], 'BACKWARD_TRANSITIVE') === null).toBe(forward)
    expect(checkCompatibility(to, [from], 'FULL_TRANSITIVE') === null).toBe(backward && forward)
  })
})

test.each([
  [
    field('string'),
    field('int'),
    'it cannot read what version 1 wrote: field a is int, which cannot be read as string',
  ],
  [field('int'), record([]), 'it cannot read what version 1 wrote: field a is not in it and has no default'],
  [record([]), field('int'), 'version 1 cannot read what it writes: field a is not in it and has no default'],
  [
    field(symbols('A')),
    field(symbols('A', 'B')),
    'it cannot read what version 1 wrote: field a may be B, which is not a symbol of E',
  ],
  [
    field(['null', 'int']),
    field(['null', 'string']),
    'it cannot read what version 1 wrote: field a may be string, which is not one of null, int',
  ],
  [
    record([{ name: 'after', type: field('int') }], 'Envelope'),
    record([{ name: 'after', type: field('string') }], 'Envelope'),
    'it cannot read what version 1 wrote: field after.a is string, which cannot be read as int',
  ],
] as const)('the reason says where and why (%#)', (to, from, reason) => {
  expect(checkCompatibility(to, [from], 'FULL_TRANSITIVE')).toBe(reason)
})

test('every earlier version counts and the first that does not fit is named', () => {
  const versions = [field('int'), record([]), field('string', { default: '' })]
  expect(checkCompatibility(field('string', { default: '' }), versions, 'BACKWARD_TRANSITIVE')).toMatch('version 1')
  expect(checkCompatibility(field('int', { default: 0 }), versions, 'BACKWARD_TRANSITIVE')).toMatch('version 3')
})

const name = fc.constantFrom('a', 'b', 'c')
const scalar = fc.constantFrom<unknown>('null', 'boolean', 'int', 'long', 'float', 'double', 'string', 'bytes')
const anyType = fc.oneof(
  { weight: 4, arbitrary: scalar },
  fc.uniqueArray(scalar, { minLength: 1, maxLength: 4 }),
  fc.uniqueArray(fc.constantFrom('A', 'B', 'C'), { minLength: 1 }).map((names) => symbols(...names)),
  scalar.map((items) => ({ type: 'array', items })),
  scalar.map((values) => ({ type: 'map', values })),
)
const anyRecord = fc.dictionary(name, anyType, { maxKeys: 3 }).map((types) =>
  record(
    Object.entries(types).map(([key, type], i) => ({
      name: key,
      type: typeof type === 'object' && !Array.isArray(type) && 'name' in type! ? { ...type, name: `E${i}` } : type,
    })),
  ),
)

test('what is called readable can be read: every value of the old schema, by an independent reader', () => {
  let readable = 0
  fc.assert(
    fc.property(anyRecord, anyRecord, (from, to) => {
      fc.pre(checkCompatibility(to, [from], 'BACKWARD_TRANSITIVE') === null)
      readable += 1
      const [writer, reader] = [from, to].map((each) =>
        avro.Type.forSchema(each as avro.Schema, { wrapUnions: true }),
      ) as [avro.Type, avro.Type]
      const resolver = reader.createResolver(writer)
      for (let i = 0; i < 5; i++) reader.fromBuffer(writer.toBuffer(writer.random()), resolver)
    }),
    { numRuns: 300, maxSkipsPerRun: 1000 },
  )
  expect(readable).toBeGreaterThan(100)
})
