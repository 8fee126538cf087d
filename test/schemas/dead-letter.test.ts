import { expect, test } from 'vitest'
import type { RowChange } from '../../core/change.ts'
import { RULES_VERSION } from '../../core/incident.ts'
import { deadLetter, deadLetterCodec, deadLetterDecoder } from '../../schemas/dead-letter.ts'
import { unify } from '../../transforms/unify.ts'
import { testRegistry } from '../support/registry.ts'
import { rowChange, SAMPLED_TABLES, sourceRow, sourceTable } from '../support/source-rows.ts'

const registry = testRegistry()
const codec = await deadLetterCodec(registry, 'incidents.dead-letters')
const decoder = deadLetterDecoder(registry)

function letterOf(change: RowChange) {
  return deadLetter('incidents.raw', change, unify(change).refusal!)
}

test('a letter says where the record lies, why it was refused and how to mend it', async () => {
  const after = sourceRow('nomis.incident_case_parties', { participation_role: 'DRONE' })
  const letter = letterOf(rowChange('nomis.incident_case_parties', { after, reference: '247314' }))
  const message = codec.message(letter, 1_721_000_000_123)
  expect(message).toMatchObject({ partition: 3, timestampMs: 1_721_000_000_123 })
  expect(await decoder.letter(message)).toEqual({
    topic: 'incidents.raw',
    partition: 3,
    offset: 99,
    position: '0001/00000016b374d848/00000001',
    schema: 'nomis',
    table: 'incident_case_parties',
    key: '247314/3',
    reference: '247314',
    code: 'UNKNOWN_CODE',
    message:
      'The row of nomis.incident_case_parties at 0001/00000016b374d848/00000001 has a code in column ' +
      'participation_role without a counterpart in the unified model.',
    remedy: expect.any(String),
    rulesVersion: RULES_VERSION,
    skipped: null,
  })
})

test('subjects are topic and record name', () => {
  expect([...registry.subjects.keys()]).toEqual([
    'incidents.dead-letters-uk.gov.justice.incidents.DeadLetterKey',
    'incidents.dead-letters-uk.gov.justice.incidents.DeadLetter',
  ])
})

test('two letters of one source row have the same key', () => {
  const after = sourceRow('public.question', { sequence: null })
  const [a, b] = [1, 2].map((ordinal) => codec.message(letterOf(rowChange('public.question', { after, ordinal })), 0))
  expect(a!.key.equals(b!.key)).toBe(true)
})

/** A row of this one is its key: nothing else of it could be refused. */
const REFUSABLE = SAMPLED_TABLES.filter((table) => table !== 'public.analytical_marker')

test.each(REFUSABLE)('a letter of %s never holds the row', (table) => {
  const columns = sourceTable(table).columns.filter(({ name }) => !sourceTable(table).key.includes(name))
  const after = sourceRow(table, Object.fromEntries(columns.map(({ name }) => [name, `canary-${name}`])))
  const changes = ['247314', null].map((reference) => rowChange(table, { after, reference }))
  const refused = changes.filter((change) => unify(change).refusal !== null)
  expect(refused.length).toBeGreaterThan(0)
  for (const change of refused) {
    const { key, value } = codec.message(letterOf(change), 0)
    expect(key.includes('canary')).toBe(false)
    expect(value!.includes('canary')).toBe(false)
  }
})

test('a key that the policy does not clear is not told: no primary key, or a column that nobody has classified', () => {
  const after = sourceRow('public.question', { sequence: null, extra: 'canary' })
  const change = rowChange('public.question', { after })
  for (const key of [[], ['extra'], ['id', 'extra'], ['code']]) {
    const letter = letterOf({ ...change, table: { ...change.table, key } })
    expect(letter.key).toBeNull()
  }
})

test('a record that is not a dead letter is malformed', async () => {
  await expect(decoder.letter({ value: null })).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
  await expect(decoder.letter({ value: Buffer.from('x') })).rejects.toMatchObject({ code: 'MALFORMED_RECORD' })
})
