import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkCompatibility } from '../../schemas/compatibility.ts'
import { field, record, SCHEMA_CHANGES, symbols } from '../support/schema-changes.ts'

describe('a change of schema', () => {
  test('the table has at least 40 kinds', () => {
    expect(new Set(SCHEMA_CHANGES.map(({ change }) => change)).size).toBeGreaterThanOrEqual(40)
  })

  test.each(SCHEMA_CHANGES)(
    '$change: new reads old $backward, old reads new $forward',
    ({ from, to, backward, forward }) => {
      expect(checkCompatibility(to, [from], 'BACKWARD_TRANSITIVE') === null).toBe(backward)
      expect(checkCompatibility(from, [to], 'BACKWARD_TRANSITIVE') === null).toBe(forward)
      expect(checkCompatibility(to, [from], 'FULL_TRANSITIVE') === null).toBe(backward && forward)
    },
  )
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
