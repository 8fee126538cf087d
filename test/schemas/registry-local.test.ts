import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { localRegistry } from '../../schemas/registry-local.ts'
import type { AvroSchema } from '../../schemas/registry.ts'
import { registryContract } from '../contract/registry.ts'

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true })
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-registry-'))
  directories.push(directory)
  return directory
}

registryContract('the registry in this process', async () => {
  const directory = newDirectory()
  return { registry: localRegistry(directory), again: () => localRegistry(directory) }
})

const row = (type: string): AvroSchema => ({ type: 'record', name: 'Row', fields: [{ name: 'a', type }] })

test('a refusal names the subject, the version, the level and the field in one sentence', async () => {
  const registry = localRegistry(newDirectory())
  await registry.register('s', row('int'), 'FULL_TRANSITIVE')
  await expect(registry.register('s', row('string'), 'FULL_TRANSITIVE')).rejects.toThrow(
    'Version 2 of subject s is not FULL_TRANSITIVE: it cannot read what version 1 wrote: ' +
      'field a is int, which cannot be read as string.',
  )
})

test('ids are dense and rise from 1, so that the same schemas in the same order have the same ids', async () => {
  const registry = localRegistry(newDirectory())
  const ids = [await registry.register('a', row('int'), 'FULL_TRANSITIVE')]
  ids.push(await registry.register('b', row('long'), 'FULL_TRANSITIVE'))
  ids.push(await registry.register('c', row('string'), 'FULL_TRANSITIVE'))
  expect(ids).toEqual([1, 2, 3])
})

test('a schema that another process registered is found', async () => {
  const directory = newDirectory()
  const early = localRegistry(directory)
  const id = await localRegistry(directory).register('a', row('int'), 'FULL_TRANSITIVE')
  expect(await early.schema(id)).toEqual(row('int'))
})

test('a file of a newer format is left alone', async () => {
  const directory = newDirectory()
  const file = join(directory, 'registry.json')
  const newer = JSON.stringify({ version: 2, schemas: [], subjects: {} })
  writeFileSync(file, newer)
  expect(() => localRegistry(directory)).toThrow(expect.objectContaining({ code: 'STATE_VERSION' }))
  expect(readFileSync(file, 'utf8')).toBe(newer)
})

test('a damaged file is not taken for an empty one: its ids are in the topics', () => {
  const directory = newDirectory()
  writeFileSync(join(directory, 'registry.json'), '{"version":1,"sche')
  expect(() => localRegistry(directory)).toThrow(expect.objectContaining({ code: 'SINK' }))
})
