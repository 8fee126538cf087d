import { afterEach, expect, test } from 'vitest'
import { httpRegistry } from '../../schemas/registry-http.ts'
import type { AvroSchema } from '../../schemas/registry.ts'
import { registryContract } from '../contract/registry.ts'
import { stubRegistry, type StubRegistry } from '../support/stub-registry.ts'

const stubs: StubRegistry[] = []
afterEach(async () => {
  for (const stub of stubs.splice(0)) await stub.close()
})

async function newStub(kind: 'confluent' | 'apicurio' = 'confluent'): Promise<StubRegistry> {
  const stub = await stubRegistry(kind)
  stubs.push(stub)
  return stub
}

for (const kind of ['confluent', 'apicurio'] as const) {
  registryContract(`the client of a registry that answers as ${kind}`, async () => {
    const { url } = await stubRegistry(kind)
    return { registry: httpRegistry({ url }), again: () => httpRegistry({ url }) }
  })
}

const row = (type: string): AvroSchema => ({ type: 'record', name: 'Row', fields: [{ name: 'a', type }] })

test('a subject has its level before its first version', async () => {
  const stub = await newStub()
  await httpRegistry({ url: stub.url }).register('s', row('int'), 'FULL_TRANSITIVE')
  expect(stub.levels.get('s')).toBe('FULL_TRANSITIVE')
  const firstVersion = stub.requests.indexOf('POST /api/subjects/s/versions')
  expect(stub.requests.indexOf('PUT /api/config/s')).toBeLessThan(firstVersion)
})

test.each([
  { found: 'NONE', wanted: 'BACKWARD_TRANSITIVE', left: 'BACKWARD_TRANSITIVE' },
  { found: 'BACKWARD', wanted: 'BACKWARD_TRANSITIVE', left: 'BACKWARD_TRANSITIVE' },
  { found: 'BACKWARD_TRANSITIVE', wanted: 'FULL_TRANSITIVE', left: 'FULL_TRANSITIVE' },
  { found: 'FULL_TRANSITIVE', wanted: 'BACKWARD_TRANSITIVE', left: 'FULL_TRANSITIVE' },
  { found: 'FULL', wanted: 'BACKWARD_TRANSITIVE', left: 'FULL_TRANSITIVE' },
  { found: 'FORWARD_TRANSITIVE', wanted: 'BACKWARD_TRANSITIVE', left: 'FULL_TRANSITIVE' },
] as const)('a subject at $found asked for $wanted is left at $left', async ({ found, wanted, left }) => {
  const stub = await newStub()
  stub.levels.set('s', found)
  await httpRegistry({ url: stub.url }).register('s', row('int'), wanted)
  expect(stub.levels.get('s')).toBe(left)
  expect(stub.requests.includes('PUT /api/config/s')).toBe(found !== left)
})

test('of two that give a new subject its level at once, both go on', async () => {
  const stub = await newStub()
  stub.meetNext()
  expect(await httpRegistry({ url: stub.url }).register('s', row('int'), 'FULL_TRANSITIVE')).toBe(1)
  expect(stub.requests.filter((each) => each === 'PUT /api/config/s')).toHaveLength(1)
  expect(stub.levels.get('s')).toBe('FULL_TRANSITIVE')
})

test.each(['cut', 503] as const)('writes that end in %s are made again, and give one version', async (how) => {
  const stub = await newStub()
  stub.interrupt(3, how)
  expect(await httpRegistry({ url: stub.url }).register('s', row('int'), 'FULL_TRANSITIVE')).toBe(1)
  expect(stub.requests.filter((each) => !each.startsWith('GET'))).toEqual([
    ...Array<string>(4).fill('PUT /api/config/s'),
    'POST /api/subjects/s/versions',
  ])
  stub.interrupt(1, how)
  expect(await httpRegistry({ url: stub.url }).register('s', row('int'), 'FULL_TRANSITIVE')).toBe(1)
})

test('each schema and each id is asked for once', async () => {
  const stub = await newStub()
  const registry = httpRegistry({ url: stub.url })
  const id = await registry.register('s', row('int'), 'FULL_TRANSITIVE')
  await registry.schema(id)
  const asked = stub.requests.length
  await registry.register('s', row('int'), 'FULL_TRANSITIVE')
  await registry.schema(id)
  expect(stub.requests).toHaveLength(asked)
})

test('a failure is not remembered', async () => {
  const stub = await newStub()
  const registry = httpRegistry({ url: stub.url })
  stub.failWith(400)
  await expect(registry.register('s', row('int'), 'FULL_TRANSITIVE')).rejects.toMatchObject({ code: 'REGISTRY' })
  await expect(registry.schema(1)).rejects.toMatchObject({ code: 'REGISTRY' })
  stub.failWith(null)
  expect(await registry.register('s', row('int'), 'FULL_TRANSITIVE')).toBe(1)
  expect(await registry.schema(1)).toEqual(row('int'))
})

test('credentials are sent and never shown', async () => {
  const stub = await newStub()
  const given = new URL(stub.url)
  given.username = 'alice'
  given.password = 'p%40ss'
  const basic = `Basic ${Buffer.from('alice:p@ss').toString('base64')}`
  const byUrl = httpRegistry({ url: given.href })
  await byUrl.register('s', row('int'), 'FULL_TRANSITIVE')
  expect(stub.authorization()).toBe(basic)
  const byOption = httpRegistry({ url: stub.url, auth: { username: 'alice', password: 'p@ss' } })
  await byOption.register('s', row('int'), 'FULL_TRANSITIVE')
  expect(stub.authorization()).toBe(basic)

  stub.failWith(401)
  const refused = await byUrl.schema(1).catch((error: unknown) => error as Error & { code: string })
  expect(refused).toMatchObject({ code: 'REGISTRY', message: expect.stringContaining(stub.url) })
  expect(String((refused as Error).message)).not.toMatch(/alice|p@ss|p%40ss/)
})

test('a registry that cannot be reached is named', async () => {
  const stub = await stubRegistry('confluent')
  await stub.close()
  await expect(httpRegistry({ url: stub.url }).register('s', row('int'), 'FULL_TRANSITIVE')).rejects.toMatchObject({
    code: 'REGISTRY',
    message: expect.stringContaining(stub.url),
  })
})
