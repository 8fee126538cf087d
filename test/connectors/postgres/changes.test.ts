import { afterEach, beforeEach, expect, test } from 'vitest'
import { changesOf } from '../../../connectors/postgres/changes.ts'
import { parentIndex } from '../../../connectors/postgres/parents.ts'
import type { Relation } from '../../../connectors/postgres/pgoutput.ts'
import { openState } from '../../../connectors/postgres/state.ts'
import type { Table } from '../../../core/change.ts'
import { position } from '../../../core/position.ts'
import { temporaryDirectory } from '../../support/capture.ts'
import { tupleOf, xlogData } from '../../support/pgoutput.ts'

const column = (name: string) => ({ name, oid: 25, modifier: -1 })
const table = (name: string, ...columns: string[]): Table => ({
  schema: 'public',
  name,
  columns: columns.map(column),
  key: ['id'],
})
const TABLES = new Map([
  [1, table('question', 'id', 'report_id')],
  [2, table('response', 'id', 'question_id')],
])
const relation = (oid: number): Relation => ({ oid, schema: 'public', name: '', identity: 'f', columns: [] })

function deleted(oid: number, ...cells: string[]) {
  const { bytes } = tupleOf(...cells)
  const head = Buffer.from('D....O')
  head.writeUInt32BE(oid, 1)
  return { frame: xlogData(100, Buffer.concat([head, bytes])), relation: relation(oid) }
}

const COMMIT = 100
const transaction = {
  txId: 7,
  commitLsn: COMMIT,
  committedAt: 0,
  form: 'plain' as const,
  rows: function* () {
    yield deleted(1, 'q', 'r')
    yield deleted(2, 'a', 'q')
  },
}

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
beforeEach(async () => void (directory = await temporaryDirectory()))
afterEach(() => directory.remove())

test('a marker just where the commit record begins does not take the transaction’s parents into the index: a replay routes it as before', () => {
  const open = () => parentIndex(openState(directory.path))
  const references = (parents: ReturnType<typeof open>): (string | null)[] =>
    [
      ...changesOf(
        transaction,
        { epoch: 1, partitions: 6, parents, captured: ({ oid }) => ({ table: TABLES.get(oid)!, leftOut: false }) },
        1 << 20,
      ),
    ].flatMap((run) => run.map(({ reference }) => reference))

  const first = open()
  first.set('public.report', 'r', 'A', position(1, 50, 1))
  first.set('public.question', 'q', 'A', position(1, 50, 1))
  first.merge(position(1, 60, 0))
  expect(references(first)).toEqual(['A', 'A'])
  first.merge(position(1, COMMIT, 0))
  expect(references(open())).toEqual(['A', 'A'])
})
