/** Rotating PSEUDONYM_KEY: what a new key changes, and that everything made anew has the new one alone. */
import { describe, expect, test } from 'vitest'
import type { IncidentChange } from '../../core/incident.ts'
import { position } from '../../core/position.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { governedCodec } from '../../schemas/governed.ts'
import { projections, pseudonym } from '../../schemas/policy/projection.ts'
import { unify } from '../../transforms/unify.ts'
import { testRegistry } from '../support/registry.ts'
import { rowChange, SAMPLED_TABLES, sourceRow } from '../support/source-rows.ts'

const OLD = 'k1=the first secret key'
const NEW = 'k2=the second secret key'

const registry = testRegistry()
const decoder = governedDecoder(registry)

/** A history: every table's row, inserted, then updated. */
const history: readonly IncidentChange[] = SAMPLED_TABLES.flatMap((table, i) => {
  const row = sourceRow(table)
  const changes = [rowChange(table, { after: row }), rowChange(table, { before: row, after: row })]
  return changes.map((change, n) => unify({ ...change, position: position(1, 0x1000 + 16 * i, n + 1) }))
})

/** The governed topic as a reader that folds by key has it, after these records. */
async function folded(keys: readonly string[]): Promise<Map<string, Record<string, unknown>>> {
  const rows = new Map<string, Record<string, unknown>>()
  for (const pseudonymKey of keys) {
    const codec = await governedCodec(registry, { topic: 'incidents.unified', pseudonymKey })
    for (const change of history) {
      for (const { entity, id, state } of await decoder.rows(codec.messages(change, true))) {
        rows.set(`${entity} ${id}`, { ...state!.fields })
      }
    }
  }
  return rows
}

function pseudonyms(rows: ReadonlyMap<string, Record<string, unknown>>): string[] {
  return [...rows.values()].flatMap((fields) =>
    Object.entries(fields).flatMap(([name, value]) =>
      name.endsWith('Pseudonym') && typeof value === 'string' ? [value] : [],
    ),
  )
}

describe('a pseudonym', () => {
  test('begins with its key’s id where the key has one', () => {
    expect(pseudonym(OLD, 'A1234BC')).toMatch(/^k1\.[\w-]{22}$/)
    expect(pseudonym('a key without an id', 'A1234BC')).toMatch(/^[\w-]{22}$/)
  })

  test('is made of the secret, not of the id: who names a key later keeps what follows the id', () => {
    expect(pseudonym('k9=the first secret key', 'A1234BC').slice(3)).toBe(pseudonym('the first secret key', 'A1234BC'))
    expect(pseudonym(NEW, 'A1234BC').slice(3)).not.toBe(pseudonym(OLD, 'A1234BC').slice(3))
  })

  test('is the same in every output', () => {
    const { value } = unify(
      rowChange('public.prisoner_involvement', { after: sourceRow('public.prisoner_involvement') }),
    ).rows[0]!
    const made = (['unified', 'analytics'] as const).map((output) => {
      const { fields, project } = projections(output, NEW).PrisonerInvolvement
      return project(value)[fields.findIndex(({ name }) => name === 'prisonerNumberPseudonym')]
    })
    expect(made).toEqual([pseudonym(NEW, 'A1234BC'), pseudonym(NEW, 'A1234BC')])
  })
})

test('a place that is filled again with the new key has no pseudonym of the old one, and else the same rows', async () => {
  const [before, rebuilt] = [await folded([OLD]), await folded([OLD, NEW])]
  expect(pseudonyms(before).length).toBeGreaterThan(10)
  expect(pseudonyms(before).every((each) => each.startsWith('k1.'))).toBe(true)
  expect(pseudonyms(rebuilt).every((each) => each.startsWith('k2.'))).toBe(true)
  const others = (rows: typeof before) =>
    [...rows].map(([id, fields]) => [id, Object.entries(fields).filter(([name]) => !name.endsWith('Pseudonym'))])
  expect(others(rebuilt)).toEqual(others(before))
})
