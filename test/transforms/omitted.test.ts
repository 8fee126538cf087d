/** Rows whose record was too large for the raw topic. */
import { describe, expect, test } from 'vitest'
import type { OmittedValue, RowChange } from '../../core/change.ts'
import { unify } from '../../transforms/unify.ts'
import { rowChange, sourceRow } from '../support/source-rows.ts'

const SHA256 = 'ab'.repeat(32)
const row = sourceRow('public.report')
const without = { ...row, description: null }
const omitted = (image: 'before' | 'after'): OmittedValue => ({
  image,
  column: 'description',
  bytes: 17 << 20,
  sha256: SHA256,
})

function change(table: string, parts: Parameters<typeof rowChange>[1], ...left: OmittedValue[]): RowChange {
  return { ...rowChange(table, parts), omitted: left }
}

describe('a row after that is not whole', () => {
  test('is refused with length and digest, and what the row before made goes', () => {
    const { rows, refusal, absence } = unify(change('public.report', { before: row, after: without }, omitted('after')))
    expect(rows.map(({ entity, op, id }) => [entity, op, id])).toEqual([['Report', 'delete', row['id']]])
    expect(refusal).toMatchObject({ code: 'RECORD_TOO_LARGE', remedy: expect.stringContaining('smaller') })
    expect(refusal!.message).toContain(`public.report at 0001/`)
    expect(refusal!.message).toContain(`description (17825792 bytes, SHA-256 ${SHA256})`)
    expect(absence).toBeNull()
  })

  test('is refused in every table, though the unified model has no place for it', () => {
    const refused = change('public.report', { after: without }, omitted('after'))
    expect(unify({ ...refused, table: { ...refused.table, name: 'elsewhere' } })).toMatchObject({
      rows: [],
      refusal: { code: 'RECORD_TOO_LARGE' },
      absence: 'not-unified',
    })
    const copy = change(
      'nomis.incident_cases',
      { after: sourceRow('nomis.incident_cases'), reference: '10000042' },
      omitted('after'),
    )
    expect(unify(copy)).toMatchObject({ rows: [], refusal: { code: 'RECORD_TOO_LARGE' }, absence: 'copy-of-dps' })
  })
})

describe('a row before that is not whole', () => {
  test('takes nothing from the row after, nor from a delete', () => {
    const updated = unify(change('public.report', { before: without, after: row }, omitted('before')))
    expect(updated).toEqual({
      ...unify(rowChange('public.report', { before: row, after: row })),
      change: updated.change,
    })
    const { rows, refusal } = unify(change('public.report', { before: without }, omitted('before')))
    expect(refusal).toBeNull()
    expect(rows.map(({ entity, op, id }) => [entity, op, id])).toEqual([['Report', 'delete', row['id']]])
  })
})
