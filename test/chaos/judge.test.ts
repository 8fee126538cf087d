import { describe, expect, test } from 'vitest'
import type { Change, Row, RowChange, Table } from '../../core/change.ts'
import { position } from '../../core/position.ts'
import { ROLLED_BACK } from '../../workload/ledger-patterns.ts'
import { judge } from './judge.ts'
import { parseChange, type OracleTransaction } from './oracle.ts'

const TABLE: Table = {
  schema: 'public',
  name: 'report',
  columns: [
    { name: 'id', oid: 23, modifier: -1 },
    { name: 'report_reference', oid: 25, modifier: -1 },
    { name: 'text', oid: 25, modifier: -1 },
  ],
  key: ['id'],
}

interface Given {
  readonly lsn: number
  readonly ordinal?: number
  readonly before?: Row | null
  readonly after?: Row | null
  readonly reference?: string
  readonly partition?: number
  readonly last?: boolean
}

function change(op: RowChange['op'], given: Given): RowChange {
  const { lsn, ordinal = 1, before = null, after = null, reference = 'A', partition = 0, last = true } = given
  const at = position(1, lsn, ordinal)
  return {
    op,
    table: TABLE,
    reference,
    before,
    after,
    position: at,
    lsn,
    committedAt: lsn,
    txId: lsn,
    partition,
    offset: 0,
    streamedTo: at,
    lastInTransaction: last,
    bytes: 1,
  }
}

const oracle: OracleTransaction[] = [
  {
    txId: 10,
    changes: [parseChange("table public.report: INSERT: id[integer]:1 report_reference[text]:'A' text[text]:'it''s'")],
  },
  {
    txId: 20,
    changes: [
      parseChange(
        "table public.report: UPDATE: old-key: id[integer]:1 report_reference[text]:'A' text[text]:'it''s' new-tuple: id[integer]:2 report_reference[text]:'A' text[text]:unchanged-toast-datum",
      ),
      parseChange("table public.report: DELETE: id[integer]:2 report_reference[text]:'A' text[text]:'it''s'"),
    ],
  },
  {
    txId: 30,
    changes: [parseChange("table public.report: INSERT: id[integer]:3 report_reference[text]:'A' text[text]:null")],
  },
]
const ledger = {
  committed: [10, 20, 30].map((txId) => ({ txId, pattern: 'p' })),
  rolledBack: [{ txId: 25, pattern: 'p' }],
}

const one = { id: 1, report_reference: 'A', text: "it's" }
const two = { id: 2, report_reference: 'A', text: "it's" }
const inserted = change('c', { lsn: 10, after: one })
const moved = [
  change('d', { lsn: 20, ordinal: 1, before: one, last: false }),
  change('c', { lsn: 20, ordinal: 2, after: two, last: false }),
  change('d', { lsn: 20, ordinal: 3, before: two }),
]
const last = change('c', { lsn: 30, after: { id: 3, report_reference: 'A', text: null } })
const right: Change[] = [inserted, ...moved, last]

describe('the judge', () => {
  test('finds nothing in a topic that says what the source says', () => {
    expect(judge().judge({ oracle, changes: right, ledger })).toEqual([])
  })

  const wrong: [string, readonly Change[], RegExp][] = [
    ['a transaction is missing', [inserted, ...moved], /^transaction 30 was committed and is not in the topic$/],
    ['a change is missing', [inserted, moved[0]!, moved[2]!, last], /^transaction 20 has ordinal 3 as its change 2/],
    ['a change comes twice', [inserted, inserted, ...moved, last], /^incident A has .* behind/],
    ['a value is another', [change('c', { lsn: 10, after: two }), ...moved, last], /^transaction 10 has other values/],
    ['two stand the other way round', [...moved, inserted, last], /^incident A has .* behind/],
    [
      'a transaction has no end',
      [inserted, moved[0]!, moved[1]!, { ...moved[2]!, lastInTransaction: false }, last],
      /^transaction 20 has 0 ends/,
    ],
    [
      'a transaction was rolled back',
      [inserted, ...moved, { ...last, txId: 25 }],
      /^transaction 25 \(p\) was rolled back and is in/,
    ],
    [
      'a value was taken back',
      [inserted, ...moved, change('c', { lsn: 30, after: { id: 3, report_reference: 'A', text: ROLLED_BACK } })],
      /taken back/,
    ],
    [
      'a change stands under no incident',
      [inserted, ...moved, { ...last, reference: null }],
      /^public.report is of no/,
    ],
    [
      'an incident changes its partition',
      [inserted, ...moved, { ...last, partition: 1 }],
      /^incident A is in partition 1/,
    ],
    [
      'a key changes in one change',
      [
        inserted,
        change('u', { lsn: 20, before: one, after: two, last: false }),
        change('d', { lsn: 20, ordinal: 2, before: two }),
        last,
      ],
      /^transaction 20 has a changed key/,
    ],
  ]
  test.for(wrong)('says so where %s', ([, changes, says]) => {
    const found = judge().judge({ oracle, changes, ledger })
    expect(found).toContainEqual(expect.stringMatching(says))
  })

  test('says so where the order of two incidents is not that of the commits', () => {
    const swapped = [change('c', { lsn: 40, after: one }), change('c', { lsn: 50, after: two, reference: 'B' })]
    const committed = oracle.filter(({ txId }) => txId !== 20).map((each, i) => ({ ...each, txId: [50, 40][i]! }))
    expect(judge().judge({ oracle: committed, changes: swapped, ledger })).toContainEqual(
      'transaction 40 stands where 50 was committed',
    )
  })
})
