import { expect, test } from 'vitest'
import { ENTITIES } from '../../core/incident.ts'
import { ENTITY_DEFINITIONS, KINDS } from '../../schemas/entity.ts'
import { generated, stale } from '../../schemas/generate.ts'

interface Contract {
  readonly namespace: string
  readonly doc: string
  readonly fields: readonly { readonly name: string; readonly doc: string; readonly default?: unknown }[]
}

const contracts = [...generated()].filter(([path]) => path.endsWith('.avsc'))

test('the generated files in the repository are what the contracts give', () => {
  expect(stale()).toEqual([])
})

test('there is a governed contract for each entity, and one for their keys', () => {
  const names = contracts.map(([path]) => path)
  expect(names).toEqual([...ENTITIES.map((entity) => `governed/${entity}.avsc`), 'governed/RowKey.avsc'])
})

test.each(contracts)('%s documents the record and every field', (_path, text) => {
  const contract = JSON.parse(text) as Contract
  expect(contract.namespace).toBe('uk.gov.justice.incidents')
  for (const { doc } of [contract, ...contract.fields]) expect(doc).toMatch(/\S \S/)
})

test.each(ENTITIES)('the governed %s ends in its lineage', (entity) => {
  const { fields } = JSON.parse(generated().get(`governed/${entity}.avsc`)!) as Contract
  expect(fields.slice(-7).map(({ name }) => name)).toEqual([
    'position',
    'lsn',
    'committedAt',
    'txId',
    'lastInTransaction',
    'rulesVersion',
    'deleted',
  ])
  expect(fields.at(-1)!.default).toBe(false)
})

test.each(ENTITIES)(
  'the reviewed contract of %s gives every field a kind that the policy knows, and a doc',
  (entity) => {
    const { fields, doc } = ENTITY_DEFINITIONS[entity]
    expect(doc).toMatch(/\.$/)
    for (const field of fields) {
      expect(KINDS).toContain(field.kind)
      expect(field.doc).toMatch(/\.$/)
    }
  },
)
