import avro from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Value } from '../../core/change.ts'
import { ENTITIES, RULES_VERSION, type Field, type IncidentChange } from '../../core/incident.ts'
import type { Message } from '../../core/message.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { governedCodec, governedContract } from '../../schemas/governed.ts'
import { columnKind } from '../../schemas/policy/columns.ts'
import { projections, pseudonym } from '../../schemas/policy/projection.ts'
import type { AvroSchema } from '../../schemas/registry.ts'
import { unify } from '../../transforms/unify.ts'
import { testRegistry } from '../support/registry.ts'
import { marker, rowChange, SAMPLED_TABLES, sourceRow, sourceTable, type UnifiedTable } from '../support/source-rows.ts'

const KEY = 'a key of the tests'
const registry = testRegistry()
const codec = await governedCodec(registry, { topic: 'incidents.unified', pseudonymKey: KEY })
const decoder = governedDecoder(registry)
const governed = projections('unified', KEY)

/** What the rows of a change become, without what the governed topic does not clear. */
function expected({ rows }: IncidentChange): Record<string, Field>[] {
  return rows.map(({ entity, value }) => {
    const { fields, project } = governed[entity]
    return Object.fromEntries(project(value).map((each, i) => [fields[i]!.name, each]))
  })
}

function insert(table: UnifiedTable, cells: Record<string, Value> = {}): IncidentChange {
  return unify(rowChange(table, { after: sourceRow(table, cells) }))
}

describe('records of the governed topic', () => {
  test('subjects are topic and record name, fully compatible in both directions', () => {
    const names = ['RowKey', ...ENTITIES].map((name) => `incidents.unified-uk.gov.justice.incidents.${name}`)
    expect([...registry.subjects]).toEqual(names.map((name) => [name, 'FULL_TRANSITIVE']))
  })

  test.each(SAMPLED_TABLES)('a row of %s comes back as the policy clears it, with its lineage', async (table) => {
    const change = insert(table)
    const messages = codec.messages(change, true)
    const rows = await decoder.rows(messages)
    expect(rows.map((row) => row.state!.fields)).toEqual(expected(change))
    expect(rows.map(({ entity, id }) => [entity, id])).toEqual(change.rows.map(({ entity, id }) => [entity, id]))
    expect(rows.at(-1)!.state).toEqual({
      fields: expected(change).at(-1),
      lastInTransaction: true,
      position: change.change.position,
      lsn: change.change.lsn,
      committedAt: change.change.committedAt,
      txId: change.change.txId,
      rulesVersion: RULES_VERSION,
    })
    for (const message of messages) expect(message).toMatchObject({ partition: 3, timestampMs: 1_721_000_000_123 })
  })

  test.each(SAMPLED_TABLES)('the bytes of %s are those of another Avro encoder', (table) => {
    const change = insert(table)
    codec.messages(change, true).forEach(({ key, value }, i) => {
      const { entity, id } = change.rows[i]!
      const type = avro.Type.forSchema(governedContract(entity) as avro.Schema)
      const body = value!.subarray(5)
      expect(type.toBuffer(type.fromBuffer(body)).equals(body)).toBe(true)
      const keyType = avro.Type.forSchema(governedContract('RowKey') as avro.Schema)
      expect(key.subarray(5).equals(keyType.toBuffer({ entity, id }))).toBe(true)
      expect([key[0], value![0]]).toEqual([0, 0])
    })
  })

  test('another Avro reader finds microseconds since 1970 in dates and times', () => {
    const [{ value } = { value: null }] = codec.messages(insert('public.report'), true)
    const type = avro.Type.forSchema(governedContract('Report') as avro.Schema)
    const record = type.fromBuffer(value!.subarray(5)) as Record<string, unknown>
    expect(record['incidentDateAndTime']).toBe(Date.parse('2024-07-01T11:34:56.789Z') * 1000)
    expect(record['incidentDateAndTimeLocal']).toBe(Date.parse('2024-07-01T12:34:56.789Z') * 1000)
    expect(record['modifiedByPseudonym']).toBe(pseudonym(KEY, 'USER2_GEN'))
  })

  test('a delete is the last known state, then a tombstone of the same key', async () => {
    const change = unify(rowChange('public.question', { before: sourceRow('public.question') }))
    const [state, tombstone, ...more] = codec.messages(change, true)
    expect(more).toEqual([])
    expect(tombstone).toEqual({ ...state, value: null })
    const rows = await decoder.rows([state!, tombstone!])
    expect(rows.map(({ deleted }) => deleted)).toEqual([true, true])
    expect(rows[0]!.state!.fields).toMatchObject({ code: '61279', additionalInformationLength: 9 })
    expect(rows[0]!.state!.lastInTransaction).toBe(true)
    expect(rows[1]!.state).toBeNull()
  })

  test("only the last record of a transaction's last change says that it is the last", async () => {
    const change = insert('nomis.incident_cases', { incident_details: null })
    const last = async (messages: Message[]) =>
      (await decoder.rows(messages)).map((row) => row.state!.lastInTransaction)
    expect(await last(codec.messages(change, true))).toEqual([false, true])
    expect(await last(codec.messages(change, false))).toEqual([false, false])
  })

  test('markers and refused rows make no records', () => {
    expect(codec.messages(unify(marker()), true)).toEqual([])
    expect(codec.messages(insert('public.report', { type: 'NOPE' }), true)).toEqual([])
  })

  test('records do not share bytes that a later one overwrites', async () => {
    const first = codec.messages(insert('public.question', { id: 1 }), true)
    const copy = first.map(({ key, value }) => [Buffer.from(key), Buffer.from(value!)])
    for (let id = 2; id < 2000; id++) codec.messages(insert('public.question', { id }), true)
    expect(first.map(({ key, value }) => [key, value])).toEqual(copy)
  })

  test('a record that is not of this topic is malformed', async () => {
    const [{ key } = { key: Buffer.alloc(0) }] = codec.messages(insert('public.question'), true)
    for (const value of [Buffer.alloc(0), Buffer.from([1, 2, 3, 4, 5, 6])]) {
      await expect(decoder.rows([{ key, value }])).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
    }
  })

  test('a record is read by the contract that wrote it, so fields may be added later', async () => {
    const [record] = codec.messages(insert('public.question'), true)
    const added = { name: 'addedLater', type: ['null', 'string'], default: null, doc: 'Added.' }
    const contract = governedContract('Question') as { readonly type: string; readonly fields: readonly object[] }
    const newer: AvroSchema = { ...contract, fields: [...contract.fields, added] }
    const id = await registry.register('incidents.unified-newer', newer, 'FULL_TRANSITIVE')
    const known = avro.Type.forSchema(governedContract('Question') as avro.Schema).fromBuffer(
      record!.value!.subarray(5),
    )
    const body = avro.Type.forSchema(newer as avro.Schema).toBuffer({ ...(known as object), addedLater: 'x' })
    const value = Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body])
    const [old, row] = await decoder.rows([record!, { key: record!.key, value }])
    expect(row!.state).toEqual({ ...old!.state, fields: { ...old!.state!.fields, addedLater: 'x' } })
  })

  test('whatever a row holds comes back, in the years 0001 to 9999 and beyond 64 KiB', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 60_000, max: 300_000 }).map((length) => 'ü'.repeat(length)),
    )
    const wall = fc
      .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
      .map(
        (date) =>
          `${date.toISOString().slice(0, 19).replace('T', ' ')}.${String(date.getTime() % 999)
            .padStart(6, '0')
            .replace('-', '1')}`,
      )
    const cells = fc.record({
      location: fc.option(text),
      last_user_action: fc.option(text),
      title: fc.option(text),
      incident_date_and_time: wall,
      modified_at: wall,
      staff_involvement_done: fc.option(fc.boolean()),
    })
    await fc.assert(
      fc.asyncProperty(cells, async (row) => {
        const change = insert('public.report', row)
        expect(change.refusal).toBeNull()
        const rows = await decoder.rows(codec.messages(change, true))
        expect(rows.map(({ state }) => state!.fields)).toEqual(expected(change))
      }),
      { numRuns: 300 },
    )
  })
})

describe('what is not cleared is not in the bytes', () => {
  test.each(SAMPLED_TABLES)('of %s', (table) => {
    const protectedColumns = sourceTable(table).columns.filter(({ name }) => {
      const [schema = '', bare = ''] = table.split('.')
      return ['prisonerNumber', 'name', 'username', 'freeText'].includes(columnKind(schema, bare, name) ?? 'freeText')
    })
    for (const { name, oid } of protectedColumns) {
      // A number's canary looks for the number's text.
      const canary = oid === 20 || oid === 23 ? 771_188_223_344_551 : `canary-${name}`
      const staff = table === 'nomis.incident_case_parties' ? [{}, { staff_id: 5, outcome_code: null }] : [{}]
      for (const cells of staff) {
        const change = insert(table, { ...cells, [name]: canary })
        expect(change.refusal).toBeNull()
        const before = unify(rowChange(table, { before: sourceRow(table, { ...cells, [name]: canary }) }))
        const messages = [...codec.messages(change, true), ...codec.messages(before, true)]
        expect(messages.length).toBeGreaterThan(0)
        for (const { key, value } of messages) {
          expect(key.includes(String(canary))).toBe(false)
          expect(value?.includes(String(canary)) ?? false).toBe(false)
        }
      }
    }
  })

  test('of what was added to the details of a NOMIS incident', () => {
    const details = 'canaryUser:canary,canary Date:06/07/2005 11:00canary'
    const change = insert('nomis.incident_cases', { incident_details: details })
    expect(change.rows.map(({ entity }) => entity)).toContain('DescriptionAddendum')
    for (const { value } of codec.messages(change, true)) expect(value!.includes('canary')).toBe(false)
  })

  test('a column that nobody has classified', () => {
    const change = insert('public.report', { added_yesterday: 'canary' })
    for (const { value } of codec.messages(change, true)) expect(value!.includes('canary')).toBe(false)
  })
})
