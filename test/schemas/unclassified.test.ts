import { expect, test } from 'vitest'
import { unclassifiedColumns, unclassifiedWatch } from '../../schemas/policy/unclassified.ts'
import { marker, rowChange, sourceRow, sourceTable } from '../support/source-rows.ts'

const QUESTION = sourceTable('public.question')

function withColumns(...names: readonly string[]) {
  const columns = [...QUESTION.columns, ...names.map((name) => ({ name, oid: 25, modifier: -1 }))]
  return { ...rowChange('public.question', { after: sourceRow('public.question') }), table: { ...QUESTION, columns } }
}

test('a column that the policy does not name is unclassified; all are in a table that it does not name', () => {
  expect(unclassifiedColumns(QUESTION)).toEqual([])
  expect(unclassifiedColumns(withColumns('nickname').table)).toEqual(['nickname'])
  expect(unclassifiedColumns({ ...QUESTION, name: 'other' })).toEqual(QUESTION.columns.map(({ name }) => name))
})

test('it is told once for each shape, and again when it is classified or dropped', () => {
  const told: [string, readonly string[]][] = []
  const watch = unclassifiedWatch((table, columns) => told.push([table, columns]))
  const added = withColumns('nickname')
  for (const change of [marker(), withColumns(), added, added, withColumns('nickname'), withColumns(), withColumns()]) {
    watch(change)
  }
  expect(told).toEqual([
    ['public.question', ['nickname']],
    ['public.question', []],
  ])
})
