/** A process that meets a schema id which it does not know asks the registry, and fails aloud when that cannot tell. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contractReader, contractWriter, readContract } from '../../schemas/contract.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { httpRegistry } from '../../schemas/registry-http.ts'
import type { Registry } from '../../schemas/registry.ts'
import { stubRegistry, type StubRegistry } from '../support/stub-registry.ts'

let server: StubRegistry
beforeEach(async () => {
  server = await stubRegistry('confluent')
})
afterEach(() => server.close())

const KEY = { schema: 'public', table: 'report', key: '1' }
const record = (value: Buffer) => ({ partition: 0, offset: 0, timestampMs: 0, key: value, value })

const READERS: readonly [string, (registry: Registry, value: Buffer) => Promise<unknown>][] = [
  ['of contracts', (registry, value) => contractReader(registry, readContract('dead-letter-key'))(value)],
  ['of governed rows', (registry, value) => governedDecoder(registry).rows([record(value)])],
  ['of changes', (registry, value) => rawDecoder(registry).decode([record(value)])],
]

describe('a schema id that nobody here has seen', () => {
  test('is fetched once, by a process that never registered it', async () => {
    const write = await contractWriter(httpRegistry(server), 't', readContract('dead-letter-key'))
    const value = write(KEY)
    const read = contractReader<typeof KEY>(httpRegistry(server), readContract('dead-letter-key'))
    expect({ ...(await read(value)) }).toEqual(KEY)
    expect({ ...(await read(value)) }).toEqual(KEY)
    expect(server.requests.filter((each) => each.includes('/schemas/ids/'))).toHaveLength(1)
  })

  test.each(READERS)('stops a reader %s when the registry does not have it, with id and registry', async (_, read) => {
    const value = Buffer.from([0, 0, 0, 0, 77, 0, 0])
    await expect(read(httpRegistry(server), value)).rejects.toMatchObject({
      code: 'MALFORMED_RECORD',
      message: `No schema in ${server.url} has the id 77 that a record names.`,
    })
  })

  test.each(READERS)('stops a reader %s when the registry does not answer', async (_, read) => {
    server.failWith(500)
    const value = Buffer.from([0, 0, 0, 0, 77, 0, 0])
    await expect(read(httpRegistry(server), value)).rejects.toMatchObject({ code: 'REGISTRY' })
  })
})
