/** What schemas/registry.ts promises, run against every registry. */
import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { PipelineError } from '../../core/error.ts'
import type { AvroSchema, Registry } from '../../schemas/registry.ts'

export interface OpenRegistry {
  readonly registry: Registry
  /** The same registry as another process sees it. */
  again(): Registry
}

export function registryContract(name: string, open: () => Promise<OpenRegistry>): void {
  describe(`${name} keeps what a registry promises`, () => {
    let registry: Registry
    let again: () => Registry
    beforeAll(async () => {
      const opened = await open()
      registry = opened.registry
      again = () => opened.again()
    })

    test('a schema comes back by its id as it was registered', async () => {
      const schema = record([{ name: 'a', type: 'long', kind: 'code', doc: 'What it is.' }])
      const id = await registry.register(newSubject(), schema, 'FULL_TRANSITIVE')
      expect(await registry.schema(id)).toEqual(schema)
      expect(await again().schema(id)).toEqual(schema)
    })

    test('a schema that is registered again keeps its id, here and in another process', async () => {
      const subject = newSubject()
      const schema = record([{ name: 'a', type: 'long' }])
      const id = await registry.register(subject, schema, 'BACKWARD_TRANSITIVE')
      expect(await registry.register(subject, structuredClone(schema), 'BACKWARD_TRANSITIVE')).toBe(id)
      expect(await again().register(subject, schema, 'BACKWARD_TRANSITIVE')).toBe(id)
    })

    test('a schema has one id whatever the subject, and different schemas have different ids', async () => {
      const schema = record([{ name: `f_${randomBytes(4).toString('hex')}`, type: 'long' }])
      const other = record([{ name: `f_${randomBytes(4).toString('hex')}`, type: 'long' }])
      const ids = [
        await registry.register(newSubject(), schema, 'BACKWARD_TRANSITIVE'),
        await registry.register(newSubject(), schema, 'FULL_TRANSITIVE'),
        await registry.register(newSubject(), other, 'FULL_TRANSITIVE'),
      ]
      expect(ids[0]).toBe(ids[1])
      expect(ids[2]).not.toBe(ids[0])
    })

    test('registering the same schema many times at once gives one id', async () => {
      const subject = newSubject()
      const schema = record([{ name: 'a', type: 'long' }])
      const ids = await Promise.all(
        Array.from({ length: 20 }, () => registry.register(subject, schema, 'FULL_TRANSITIVE')),
      )
      expect(new Set(ids).size).toBe(1)
    })

    test.each([
      { level: 'BACKWARD_TRANSITIVE', change: 'a field with a default is added', ok: true, after: added(0) },
      { level: 'BACKWARD_TRANSITIVE', change: 'a field without a default is added', ok: false, after: added() },
      { level: 'BACKWARD_TRANSITIVE', change: 'a field is removed', ok: true, after: record([]) },
      { level: 'FULL_TRANSITIVE', change: 'a field with a default is added', ok: true, after: added(0) },
      { level: 'FULL_TRANSITIVE', change: 'a field without a default is removed', ok: false, after: record([]) },
      { level: 'FULL_TRANSITIVE', change: 'an int becomes a long', ok: false, after: only('long') },
      { level: 'BACKWARD_TRANSITIVE', change: 'an int becomes a long', ok: true, after: only('long') },
      { level: 'BACKWARD_TRANSITIVE', change: 'an int becomes a string', ok: false, after: only('string') },
    ] as const)('$level: $change: accepted $ok', async ({ level, ok, after }) => {
      const subject = newSubject()
      await registry.register(subject, only('int'), level)
      const outcome = await registry.register(subject, after, level).then(
        () => 'accepted',
        (error: PipelineError) => `${error.code}: ${error.message.includes(subject)}`,
      )
      expect(outcome).toBe(ok ? 'accepted' : 'CONTRACT: true')
    })

    test('every earlier version counts, not only the last', async () => {
      const subject = newSubject()
      const register = (schema: AvroSchema) => registry.register(subject, schema, 'BACKWARD_TRANSITIVE')
      await register(record([{ name: 'a', type: 'int' }]))
      await register(record([]))
      // readable from version 2, which has no `a`, but not from version 1, where it is an int
      await expect(register(record([{ name: 'a', type: 'string', default: '' }]))).rejects.toMatchObject({
        code: 'CONTRACT',
      })
    })

    test('a refused schema leaves the subject as it was', async () => {
      const subject = newSubject()
      await registry.register(subject, only('int'), 'FULL_TRANSITIVE')
      await expect(registry.register(subject, only('string'), 'FULL_TRANSITIVE')).rejects.toMatchObject({
        code: 'CONTRACT',
      })
      await expect(registry.register(subject, added(0), 'FULL_TRANSITIVE')).resolves.toBeTypeOf('number')
    })

    test('asking for a weaker level later does not lower it', async () => {
      const subject = newSubject()
      await registry.register(subject, only('int'), 'FULL_TRANSITIVE')
      await expect(again().register(subject, only('long'), 'BACKWARD_TRANSITIVE')).rejects.toMatchObject({
        code: 'CONTRACT',
      })
    })

    test('what is no Avro schema is refused', async () => {
      const broken = record([{ name: 'a', type: 'no-such-type' }])
      await expect(registry.register(newSubject(), broken, 'FULL_TRANSITIVE')).rejects.toMatchObject({
        code: 'CONTRACT',
      })
    })

    test('an id that no schema has is a malformed record', async () => {
      await expect(registry.schema(2_000_000_000)).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
    })
  })
}

function newSubject(): string {
  return `topic-test.${randomBytes(6).toString('hex')}`
}

function record(fields: readonly object[]): AvroSchema {
  return { type: 'record', name: 'Row', namespace: 'test', fields }
}

function only(type: string): AvroSchema {
  return record([{ name: 'a', type }])
}

function added(value?: number): AvroSchema {
  return record([
    { name: 'a', type: 'int' },
    { name: 'b', type: 'int', ...(value === undefined ? {} : { default: value }) },
  ])
}
