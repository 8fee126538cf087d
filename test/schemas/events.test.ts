import avro from 'avsc'
import { describe, expect, test } from 'vitest'
import type { Change, Row } from '../../core/change.ts'
import type { IncidentEvent } from '../../core/event.ts'
import type { Message } from '../../core/message.ts'
import { eventCodec, eventContract, eventDecoder } from '../../schemas/events.ts'
import { columnKind } from '../../schemas/policy/columns.ts'
import { eventFold } from '../../transforms/event.ts'
import { testRegistry } from '../support/registry.ts'
import {
  incidentOf,
  rowChange,
  SAMPLED_TABLES,
  sourceRow,
  sourceTable,
  type UnifiedTable,
} from '../support/source-rows.ts'

const registry = testRegistry()
const codec = await eventCodec(registry, 'incidents.events')
const decoder = eventDecoder(registry)

function eventsOf(...changes: readonly Change[]): IncidentEvent[] {
  const fold = eventFold()
  return changes.flatMap((change) => fold.add(change))
}

function eventOf(change: Change): IncidentEvent {
  return eventsOf(change)[0]!
}

const amended = eventOf(rowChange('public.response', { after: sourceRow('public.response') }))
const created = eventOf(rowChange('nomis.incident_cases', { after: sourceRow('nomis.incident_cases') }))

describe('records of the event topic', () => {
  test('subjects are topic and record name, fully compatible in both directions', () => {
    const names = ['IncidentEventKey', 'IncidentEvent'].map(
      (name) => `incidents.events-uk.gov.justice.incidents.${name}`,
    )
    expect([...registry.subjects]).toEqual(names.map((name) => [name, 'FULL_TRANSITIVE']))
  })

  test.each([
    ['with an id', created],
    ['without one', amended],
    ['far from 1970', { ...created, committedAt: 7_258_118_400_000_001, lsn: 2 ** 52, txId: 2 ** 32 }],
  ])('an event %s comes back', async (_, event) => {
    expect(await decoder.event(codec.message(event, 4))).toEqual(event)
  })

  test('the record lies in its incident’s partition, under its reference, at its commit time', () => {
    const { partition, key, timestampMs } = codec.message(created, 4)
    const type = avro.Type.forSchema(eventContract('IncidentEventKey') as avro.Schema)
    expect([partition, timestampMs]).toEqual([4, 1_721_000_000_123])
    expect(key[0]).toBe(0)
    expect({ ...(type.fromBuffer(key.subarray(5)) as object) }).toEqual({ reportReference: '247314' })
  })

  test('a record is read by the contract that wrote it, so fields may be added later', async () => {
    const contract = eventContract('IncidentEvent') as { readonly type: string; readonly fields: readonly object[] }
    const added = { name: 'addedLater', type: ['null', 'string'], default: null, doc: 'Added.' }
    const newer = { ...contract, fields: [added, ...contract.fields] }
    const id = await registry.register(
      'incidents.events-uk.gov.justice.incidents.IncidentEvent',
      newer,
      'FULL_TRANSITIVE',
    )
    const body = avro.Type.forSchema(newer as avro.Schema).toBuffer({ ...created, addedLater: 'x' })
    expect(await decoder.event({ value: Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body]) })).toEqual(created)
  })

  test('a record that is not an event is malformed', async () => {
    for (const value of [null, Buffer.alloc(0), Buffer.from([1, 2, 3, 4, 5, 6])]) {
      await expect(decoder.event({ value })).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
    }
  })
})

describe('nothing but keys and the reference is in the bytes', () => {
  const tables = SAMPLED_TABLES.filter((table) => incidentOf(table) !== null)

  test.each(tables)('of %s', (table) => {
    const before = withCanaries(table, 'canary-before')
    const after = withCanaries(table, 'canary-after')
    const changes = [{ before }, { after }, { before, after }].map((images) => rowChange(table, images))
    const messages = changes.flatMap((change) => eventsOf(change).map((event) => codec.message(event, 0)))
    expect(messages).toHaveLength(3)
    for (const { key, value } of messages) expect(Buffer.concat([key, value!]).includes('canary')).toBe(false)
  })

  test('not even the location, which the service’s own events have', () => {
    const { value } = codec.message(created, 0) as Message & { readonly value: Buffer }
    expect(value.includes('BXI')).toBe(false)
    expect(JSON.stringify(eventContract('IncidentEvent'))).not.toContain('"name":"location"')
  })

  function withCanaries(table: UnifiedTable, canary: string): Row {
    const [schema = '', name = ''] = table.split('.')
    const columns = sourceTable(table).columns.filter((column) => columnKind(schema, name, column.name) !== 'key')
    return sourceRow(table, Object.fromEntries(columns.map((column) => [column.name, canary])))
  }
})
