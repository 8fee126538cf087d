import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Row } from '../../core/change.ts'
import type { IncidentChange } from '../../core/incident.ts'
import { position } from '../../core/position.ts'
import { unify } from '../../transforms/unify.ts'
import { openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { rowChange, sourceRow } from '../support/source-rows.ts'

let database: TestDatabase

beforeEach(async () => {
  database = await testDatabase()
})

afterEach(() => database.drop())

interface Step {
  readonly op: 'c' | 'u' | 'd' | 'r'
  readonly before?: Row
  readonly after?: Row
  /** Of the commit; that of the step's place unless it was read earlier. */
  readonly lsn?: number
  /** Found to be gone when the source was read, and not by the stream. */
  readonly found?: boolean
}

function changes(table: string, steps: readonly Step[]): IncidentChange[] {
  return steps.map(({ op, lsn, found, ...images }, n) => {
    const at = lsn ?? 8 * (n + 1)
    const change = rowChange(table, { ...images, op })
    const outside = op === 'r' || found === true
    return unify({
      ...change,
      offset: n,
      lsn: at,
      txId: outside ? 0 : n + 1,
      position: position(1, at, outside ? 0 : 1),
    })
  })
}

/** One batch each, or all in one. */
async function write(batches: readonly (readonly IncidentChange[])[]): Promise<void> {
  const sink = await openStore(database.url)
  for (const batch of batches) await sink.write(batch)
  await sink.close()
}

interface Amended {
  readonly entity: string
  readonly op: string
  readonly before: Record<string, unknown> | null
  readonly after: Record<string, unknown> | null
}

const amendments = () =>
  database.query<Amended & { topic_offset: string }>(
    `SELECT entity, op, before, after, topic_offset FROM prisons.incidents_amendment ORDER BY position, entity, id`,
  )

const stated = async () => (await amendments()).map(({ op, before, after }) => [op, before, after])

describe('an amendment says what its change did to each row', () => {
  const report = sourceRow('public.report')
  const closed = sourceRow('public.report', { status: 'CLOSED', title: null })
  const changed = [
    {
      title: 'Assault: Jones A1234BC (Moorland)',
      status: 'AWAITING_REVIEW',
      status_raw: 'AWAITING_REVIEW',
      completed: false,
    },
    { title: null, status: 'CLOSED', status_raw: 'CLOSED', completed: true },
  ]
  const whole = expect.objectContaining({ status: 'CLOSED', description: 'A fight in the yard.' }) as object

  test.for<[name: string, steps: Step[], left: unknown[]]>([
    [
      'made, changed, removed',
      [
        { op: 'c', after: report },
        { op: 'u', before: report, after: closed },
        { op: 'd', before: closed },
      ],
      [
        ['c', null, null],
        ['u', expect.objectContaining({ status: 'AWAITING_REVIEW' }), expect.objectContaining({ status: 'CLOSED' })],
        ['d', whole, null],
      ],
    ],
    [
      'an update that changes nothing of it still says which change the row stands at',
      [
        { op: 'c', after: report },
        { op: 'u', before: report, after: report },
      ],
      [
        ['c', null, null],
        ['u', {}, {}],
      ],
    ],
    ['read outside the stream, the row is made', [{ op: 'r', after: report }], [['r', null, null]]],
    [
      'read again as it is, it leaves nothing',
      [
        { op: 'r', after: report },
        { op: 'r', after: report },
      ],
      [['r', null, null]],
    ],
    [
      'read otherwise than it is, the difference',
      [
        { op: 'c', after: report },
        { op: 'r', after: closed },
      ],
      [
        ['c', null, null],
        ['r', expect.objectContaining({ status: 'AWAITING_REVIEW' }), expect.objectContaining({ status: 'CLOSED' })],
      ],
    ],
    [
      'read before what the stream has brought since, nothing',
      [
        { op: 'c', after: report },
        { op: 'u', before: report, after: closed },
        { op: 'r', after: report, lsn: 12 },
      ],
      [
        ['c', null, null],
        ['u', expect.anything(), expect.anything()],
      ],
    ],
    [
      'found to be gone, that it went',
      [
        { op: 'c', after: closed },
        { op: 'd', before: closed, found: true },
        { op: 'd', before: closed, found: true },
      ],
      [
        ['c', null, null],
        ['d', whole, null],
      ],
    ],
    [
      'found to be gone before it came again, nothing',
      [
        { op: 'c', after: closed },
        { op: 'd', before: closed, found: true, lsn: 4 },
      ],
      [['c', null, null]],
    ],
    [
      'nor when it was deleted since',
      [
        { op: 'c', after: closed },
        { op: 'd', before: closed },
        { op: 'r', after: closed, lsn: 12 },
      ],
      [
        ['c', null, null],
        ['d', whole, null],
      ],
    ],
  ])('%s', async ([, steps, left]) => {
    const items = changes('public.report', steps)
    await write(items.map((item) => [item]))
    const alone = await stated()
    expect(alone).toEqual(left)
    await write([items])
    expect(await stated(), 'once more').toEqual(left)
    await database.query('DROP SCHEMA prisons CASCADE')
    await write([items])
    expect(await stated(), 'in one write').toEqual(alone)
  })

  test('the columns that differ, and no others, as they cross the pipeline', async () => {
    for (const op of ['u', 'r'] as const) {
      await write([
        changes('public.report', [
          { op: 'c', after: report },
          { op, before: report, after: closed },
        ]),
      ])
      const found = (await amendments()).at(-1)!
      expect([found.before, found.after]).toEqual(changed)
      await database.query('DROP SCHEMA prisons CASCADE')
    }
  })
})

test('a legacy case leaves amendments of its report and of each addendum that came or went', async () => {
  const table = 'nomis.incident_cases'
  const sound = sourceRow(table)
  const shorter = { ...sound, incident_details: 'Found on the wing.' }
  const unknown = { ...shorter, incident_status: 'IUP' }
  await write([
    changes(table, [
      { op: 'c', after: sound },
      { op: 'u', before: sound, after: shorter },
      { op: 'u', before: shorter, after: unknown },
      { op: 'u', before: unknown, after: shorter },
    ]),
  ])
  const ofCase = (await amendments()).filter(({ entity }) => entity !== 'StatusChange')
  const found = ofCase.map(({ entity, op, before, after, topic_offset: at }) => [
    Number(at),
    entity,
    op,
    before === null ? (after === null ? 'made' : '?') : after === null ? 'gone' : 'changed',
  ])
  expect(found).toEqual([
    [0, 'DescriptionAddendum', 'c', 'made'],
    [0, 'Report', 'c', 'made'],
    [1, 'DescriptionAddendum', 'u', 'gone'],
    [1, 'Report', 'u', 'changed'],
    [2, 'Report', 'u', 'gone'],
    [3, 'Report', 'u', 'made'],
  ])
})
