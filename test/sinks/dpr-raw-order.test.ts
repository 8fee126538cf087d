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

test.each<[string, boolean, ChangeParts]>([
  ['the insert of the same key from the same WAL record', true, come],
  ['one of another key: the key was changed', false, { ...come, after: { id: 2 } }],
  ['one from another WAL record: the row was deleted and made again', false, { ...come, at: 4008 }],
  ['one in another table', false, { ...come, table: 'public.response' }],
  ['one of another transaction', false, { ...come, lsn: 5800 }],
  ['an update', false, { ...come, before: { id: 1 } }],
])('after a delete, %s: that it moved is %j', (_, moved, next) => {
  expect(isMove(rowChange(gone), rowChange(next))).toBe(moved)
})
