/** What a change means when it is asked for: the same as at once, and mapped no more often than needed. */
import { expect, test } from 'vitest'
import type { RowChange } from '../../core/change.ts'
import { unify } from '../../transforms/unify.ts'
import { lateUnify } from '../../transforms/unify-late.ts'
import { rowChange, sourceRow } from '../support/source-rows.ts'

const CHANGES: Readonly<Record<string, RowChange>> = {
  'an insert': rowChange('public.response', { after: sourceRow('public.response', {}) }),
  'a delete': rowChange('public.report', { before: sourceRow('public.report', {}) }),
  'a refusal': rowChange('public.report', { after: sourceRow('public.report', { status: 'NO_SUCH_STATUS' }) }),
}

test.each(Object.entries(CHANGES))('%s means what it means at once', (_, change) => {
  const { rows, refusal, absence } = unify(change)
  const late = lateUnify()(change)
  expect(late.change).toBe(change)
  expect(late.absence).toBe(absence)
  expect(late.rows).toEqual(rows)
  expect(late.refusal).toEqual(refusal)
})

test('outcomes that are asked for in turns are still their own', () => {
  const meaning = lateUnify()
  const outcomes = Object.values(CHANGES).map((change) => meaning(change))
  for (const outcome of [...outcomes, ...outcomes.toReversed()]) {
    expect(outcome.rows).toEqual(unify(outcome.change).rows)
    expect(outcome.refusal).toEqual(unify(outcome.change).refusal)
  }
})

test('a change is mapped when it is first asked for, once', () => {
  const { after, ...rest } = CHANGES['an insert']!
  let asked = 0
  const counted = Object.defineProperty({ ...rest }, 'after', { get: () => ((asked += 1), after) }) as RowChange
  const outcome = lateUnify()(counted)
  expect(asked).toBe(0)
  expect(outcome.rows).toHaveLength(1)
  const first = asked
  expect(first).toBeGreaterThan(0)
  expect([outcome.refusal, outcome.absence, outcome.rows.length]).toEqual([null, null, 1])
  expect(asked).toBe(first)
})
