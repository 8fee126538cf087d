import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inCommitOrder, isMove } from '../../sinks/dpr-raw-order.ts'
import { change, rowChange, type ChangeParts } from '../support/dpr-raw.ts'

test('partitions that rise are brought into one rising order, and none is rearranged', () => {
  const lsns = fc.uniqueArray(fc.integer({ min: 1000, max: 9999 }), { maxLength: 40 })
  fc.assert(
    fc.property(lsns, fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }), (found, partitions) => {
      const ascending = found.toSorted((a, b) => a - b)
      const items = ascending.map((lsn, i) => change({ lsn, offset: i, partition: partitions[i]!, after: { id: i } }))
      const read = items.toSorted((a, b) => a.change.partition - b.change.partition)
      expect(inCommitOrder(read)).toEqual(items)
    }),
  )
})

test('rows read outside the stream keep their place in their partition although their position is older', () => {
  const items = [
    change({ offset: 0, lsn: 5000, after: { id: 1 } }),
    change({ offset: 1, lsn: 1000, op: 'r', after: { id: 2 } }),
    change({ offset: 0, lsn: 6000, partition: 1, after: { id: 3 } }),
  ]
  expect(inCommitOrder(items)).toEqual(items)
})

const gone: ChangeParts = { offset: 0, lsn: 5000, ordinal: 1, at: 4000, before: { id: 1 } }
const come: ChangeParts = { offset: 0, lsn: 5000, ordinal: 2, at: 4000, after: { id: 1 }, partition: 1 }

test.each<[string, ChangeParts, boolean]>([
  ['the insert of the same key from the same WAL record', come, true],
  ['one of another key: the key was changed', { ...come, after: { id: 2 } }, false],
  ['one from another WAL record: the row was deleted and made again', { ...come, at: 4008 }, false],
  ['one in another table', { ...come, table: 'public.response' }, false],
  ['one of another transaction', { ...come, lsn: 5800 }, false],
  ['an update', { ...come, before: { id: 1 } }, false],
])('after a delete, %s', (_, next, moved) => {
  expect(isMove(rowChange(gone), rowChange(next))).toBe(moved)
})
