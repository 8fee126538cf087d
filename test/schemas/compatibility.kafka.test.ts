/** Our verdict on every kind of change is a real registry's, so what `contracts check` allows no producer is refused. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { AvroSchema } from '../../schemas/registry.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { SCHEMA_CHANGES } from '../support/schema-changes.ts'

/**
 * Where a registry that uses Avro's Java rules says another thing. A record under another namespace has its name left,
 * and that is enough for them; readers outside Java resolve by full name, so ours refuses it. With TopicRecordName
 * another namespace is another subject anyhow.
 *
 * What Apicurio does beside the verdicts is its own: no new version for a change of docs alone, ids with gaps, level
 * NONE for a subject without one. So levels are set before the first version, and no test counts ids.
 */
const LAXER: Readonly<Record<string, { backward: boolean; full: boolean }>> = {
  'another namespace': { backward: true, full: true },
}

async function send(method: 'POST' | 'PUT', path: string, body: object): Promise<number> {
  const response = await fetch(`${needKafka().registryUrl}${path}`, {
    method,
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify(body),
  })
  return response.status
}

/** Whether a registry lets `to` follow `from` at this level. */
async function accepts(from: AvroSchema, to: AvroSchema, compatibility: string): Promise<boolean> {
  const subject = `t-${randomBytes(6).toString('hex')}`
  expect(await send('PUT', `/config/${subject}`, { compatibility })).toBe(200)
  expect(await send('POST', `/subjects/${subject}/versions`, { schema: JSON.stringify(from) })).toBe(200)
  const status = await send('POST', `/subjects/${subject}/versions`, { schema: JSON.stringify(to) })
  expect([200, 409]).toContain(status)
  return status === 200
}

describeKafka('a real registry', () => {
  test.each(SCHEMA_CHANGES)('$change: as ours', async ({ change, from, to, backward, forward }) => {
    const verdicts = {
      backward: await accepts(from, to, 'BACKWARD_TRANSITIVE'),
      full: await accepts(from, to, 'FULL_TRANSITIVE'),
    }
    expect(verdicts).toEqual(LAXER[change] ?? { backward, full: backward && forward })
  })
})
