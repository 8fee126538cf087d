/** The hash of one row of the governed topic is the same whether it is worked out from fields or from a record. */
import avro from 'avsc'
import { beforeEach, expect, test } from 'vitest'
import { ENTITIES } from '../../core/incident.ts'
import type { Message, Received } from '../../core/message.ts'
import { digest, fieldsWriter, GONE, rowText } from '../../proof/canonical.ts'
import { governedMarks, governedRows } from '../../proof/place-governed.ts'
import { governedCodec, governedContract } from '../../schemas/governed.ts'
import { projections } from '../../schemas/policy/projection.ts'
import type { AvroSchema } from '../../schemas/registry.ts'
import { unify } from '../../transforms/unify.ts'
import { testRegistry } from '../support/registry.ts'
import { rowChange, SAMPLED_TABLES, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

const KEY = 'a key of the tests'
const registry = testRegistry()
const codec = await governedCodec(registry, { topic: 'incidents.unified', pseudonymKey: KEY })
const governed = projections('unified', KEY)

let records: Received[]
beforeEach(() => {
  records = []
})

function put(...messages: readonly Message[]): void {
  for (const message of messages) records.push({ ...message, offset: records.length })
}

async function bothWays() {
  const unreadable: number[] = []
  const options = {
    registry,
    projections: governed,
    unreadable: ({ offset }: Received) => void unreadable.push(offset),
  }
  const rows = await governedRows(options)()(records)
  const marks = await governedMarks(options)()(records)
  const ofRows = rows.map(({ kind, key, position, record, cells }) => ({
    kind,
    key,
    position,
    record,
    digest: cells === null ? GONE : digest(rowText(cells)),
  }))
  return { ofRows, marks, unreadable }
}

const unified = (table: UnifiedTable) => unify(rowChange(table, { after: sourceRow(table) }))

test.each(SAMPLED_TABLES)('of what a row of %s means', async (table) => {
  const change = unified(table)
  put(...codec.messages(change, true))
  const { ofRows, marks } = await bothWays()
  expect(marks).toEqual(ofRows)
  const expected = change.rows.map(({ entity, id, value }) => {
    const { fields, project } = governed[entity]
    return [ENTITIES.indexOf(entity), id, digest(fieldsWriter(fields)(project(value)))]
  })
  expect(marks.map(({ kind, key, digest: hash }) => [kind, key, hash])).toEqual(expected)
})

test('of a row that is gone, and of a tombstone without its last state none', async () => {
  const before = unify(rowChange('public.question', { before: sourceRow('public.question') }))
  const [state, tombstone] = codec.messages(before, true)
  put(state!, tombstone!)
  const { ofRows, marks } = await bothWays()
  expect(marks).toEqual(ofRows)
  expect(marks.map((mark) => [mark.position, mark.digest])).toEqual([
    [before.change.position, GONE],
    [before.change.position, GONE],
  ])
  records = []
  put(tombstone!)
  expect((await bothWays()).marks).toEqual([])
})

test('of a record of a contract with fewer fields, more, or in another order', async () => {
  const [record] = codec.messages(unified('public.question'), true)
  const contract = governedContract('Question') as unknown as { readonly fields: readonly { readonly name: string }[] }
  const type = avro.Type.forSchema(contract as avro.Schema)
  const known = type.fromBuffer(record!.value!.subarray(5)) as object
  const added = { name: 'addedLater', type: ['null', 'string'], default: null }
  const others = [
    contract.fields.filter(({ name }) => name !== 'code'),
    [added, ...contract.fields],
    contract.fields.toReversed(),
  ]
  for (const [i, fields] of others.entries()) {
    const other = { ...contract, fields } as unknown as AvroSchema
    const id = await registry.register(`incidents.unified-other-${i}`, other, 'FULL_TRANSITIVE')
    const body = avro.Type.forSchema(other as avro.Schema).toBuffer({ ...known, addedLater: 'x' })
    put({ ...record!, value: Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body]) })
  }
  put(record!)
  const { ofRows, marks } = await bothWays()
  expect(marks).toEqual(ofRows)
  const [lacking, more, reversed, plain] = marks.map((mark) => mark.digest)
  expect([more, reversed]).toEqual([plain, plain])
  expect(lacking).not.toBe(plain)
})

test('a record that is not what its contract says is named, and those beside it are read', async () => {
  const [record] = codec.messages(unified('public.question'), true)
  const { value } = record!
  for (const broken of [value!.subarray(0, 30), Buffer.concat([value!, Buffer.from([0])]), Buffer.from('no')]) {
    records = []
    put(record!, { ...record!, value: broken }, record!)
    const { marks, unreadable } = await bothWays()
    expect(marks.map((mark) => mark.record.offset)).toEqual([0, 2])
    expect(unreadable).toContain(1)
  }
})
