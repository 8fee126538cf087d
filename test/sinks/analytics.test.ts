import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../core/error.ts'
import type { IncidentChange } from '../../core/incident.ts'
import { analytics } from '../../sinks/analytics.ts'
import { sinkContract, type OpenSink } from '../contract/sink.ts'
import {
  ANALYTICS_PROJECTIONS,
  analyticsOptions,
  ask,
  collect,
  incidentChange,
  openAnalytics,
  reportRow,
  reports,
  temporaryDirectory,
} from '../support/analytics.ts'
import { markerAt, uuid } from '../support/unified-rows.ts'

const A = uuid(1)
const B = uuid(2)

sinkContract('the analytics sink', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-analytics-'))
  const open = async (): Promise<OpenSink> => {
    const sink = await analytics(analyticsOptions(directory))
    return {
      sink,
      projections: ANALYTICS_PROJECTIONS,
      rows: async (entity) => new Map((await collect(sink.currentRows(entity))).map(({ id, values }) => [id, values])),
      reopen: async () => {
        await sink.close()
        return open()
      },
      close: async () => {
        await sink.close()
        rmSync(directory, { recursive: true })
      },
    }
  }
  return open()
})

describe('a row', () => {
  test('read outside the stream is older than a change of the same LSN, and newer than those before', async () => {
    const sink = await openAnalytics(temporaryDirectory())
    await sink.write([
      incidentChange({ offset: 0, lsn: 10, rows: [reportRow(A, { status: 'DRAFT' })] }),
      incidentChange({ offset: 1, lsn: 20, op: 'u', rows: [reportRow(B, { status: 'CLOSED' })] }),
      incidentChange({ offset: 2, lsn: 20, op: 'r', rows: [reportRow(A, { status: 'ON_HOLD' })] }),
      incidentChange({ offset: 3, lsn: 20, op: 'r', rows: [reportRow(B, { status: 'DRAFT' })] }),
    ])
    expect(await reports(sink)).toEqual({ [A]: 'ON_HOLD', [B]: 'CLOSED' })
  })

  test('of free text, names and people holds lengths and pseudonyms only', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    await sink.write([incidentChange({ offset: 0, lsn: 10, rows: [reportRow(A)] })])
    await sink.publish()
    const [found] = await ask(directory, 'SELECT title_length, current_report::VARCHAR FROM current_report')
    expect(found![0]).toBe('6')
    expect(found![1]).not.toMatch(/Café|USER1/)
  })
})

describe('replaying the entire topic changes nothing', () => {
  const topic = [
    incidentChange({ offset: 0, lsn: 10, op: 'r', rows: [reportRow(A), reportRow(B)] }),
    incidentChange({ offset: 1, lsn: 20, op: 'u', rows: [reportRow(A, { status: 'ON_HOLD' })] }),
    incidentChange({ offset: 2, lsn: 30, op: 'd', rows: [reportRow(B, {}, 'delete')] }),
    markerAt({ offset: 3, lsn: 40 }),
  ]
  const history = 'SELECT id, position, op, topic_offset, seq FROM history_report ORDER BY seq'

  test.each([
    { name: 'from the same offsets', again: topic },
    {
      name: 'appended behind itself, as after a takeover',
      again: topic.map(({ change, ...rest }) => ({ ...rest, change: { ...change, offset: change.offset + 4 } })),
    },
    {
      name: 'in another partition',
      again: topic.map(({ change, ...rest }) => ({ ...rest, change: { ...change, partition: 1 } })),
    },
  ])('$name', async ({ again }) => {
    const directory = temporaryDirectory()
    const first = await openAnalytics(directory)
    await first.write(topic)
    await first.close()
    const before = await ask(directory, history)
    expect(before).toHaveLength(4)

    const second = await openAnalytics(directory)
    await second.write(again)
    await second.close()
    expect(await ask(directory, history)).toEqual(before)
    expect(await ask(directory, 'SELECT id, status FROM latest_report')).toEqual([[A, 'ON_HOLD']])
  })
})

test('rows that move between partitions are in the history once, in whatever order the partitions are read', async () => {
  const directory = temporaryDirectory()
  const sink = await openAnalytics(directory)
  const step = fc.record({ row: fc.integer({ min: 1, max: 3 }), partition: fc.integer({ min: 0, max: 2 }) })
  const kind = fc.constantFrom('u' as const, 'd' as const, 'r' as const)
  const steps = fc.array(fc.tuple(step, kind), { minLength: 1, maxLength: 12 })
  const next = [0, 0, 0]
  let lsn = 0

  await fc.assert(
    fc.asyncProperty(steps, fc.infiniteStream(fc.nat(5)), async (taken, choices) => {
      const first = lsn
      const changes = taken.map(([{ row, partition }, op], i) => {
        const state = reportRow(uuid(first * 10 + row), { status: `S${i}` }, op === 'd' ? 'delete' : 'upsert')
        return incidentChange({ partition, offset: next[partition]!++, lsn: (lsn += 1), op, rows: [state] })
      })
      const partitions = [0, 1, 2].map((p) => changes.filter(({ change }) => change.partition === p))
      while (partitions.some((waiting) => waiting.length > 0)) {
        const { value } = choices.next()
        const waiting = partitions[Number(value) % 3]!
        if (waiting.length > 0) await sink.write(waiting.splice(0, 1 + Number(value)))
      }
      const newest = new Map(changes.map(({ rows: [row] }) => [row!.id, row!]))
      const all = await reports(sink)
      for (const [id, row] of newest) expect(all[id]).toBe(row.op === 'delete' ? undefined : row.value['status'])
      await sink.publish()
      const history = await ask(directory, `SELECT position FROM history_report WHERE lsn > ${first} ORDER BY position`)
      expect(history.map(([at]) => at)).toEqual(changes.map(({ change }) => change.position))
    }),
    { numRuns: 30 },
  )
})

describe('a transaction in pieces', () => {
  const pieces = [
    [incidentChange({ offset: 0, lsn: 10, last: false, rows: [reportRow(A, { status: 'DRAFT' })] })],
    [
      incidentChange({ offset: 1, lsn: 10, ordinal: 2, op: 'u', last: false, rows: [reportRow(A)] }),
      incidentChange({ partition: 1, offset: 0, lsn: 5, rows: [reportRow(uuid(9))] }),
    ],
    [incidentChange({ offset: 2, lsn: 10, ordinal: 3, rows: [reportRow(B)] })],
  ] as const

  test('is in the history once when it was begun, lost with the process and read again', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    await sink.write(pieces[0])
    await sink.close()
    const again = await openAnalytics(directory)
    expect(await again.places([0, 1])).toEqual(new Map())
    for (const piece of pieces) await again.write(piece)
    await again.close()
    expect(await ask(directory, 'SELECT count(*), count(DISTINCT (id, position)) FROM history_report')).toEqual([
      ['4', '4'],
    ])
  })

  test('is in the history once when it begins again from its place while it is open', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory)
    await sink.write(pieces[0])
    expect(await sink.places([0, 1])).toEqual(new Map())
    await sink.write(pieces.flat())
    await sink.close()
    expect(await ask(directory, 'SELECT count(*), count(DISTINCT (id, position)) FROM history_report')).toEqual([
      ['4', '4'],
    ])
  })

  test('that lost its first pieces with a failed write is refused until the partition is read from its place', async () => {
    const sink = await openAnalytics(temporaryDirectory())
    await sink.write(pieces[0])
    const unreadable = reportRow(B, { createdAt: 'not a time' })
    await expect(
      sink.write([incidentChange({ partition: 1, offset: 0, lsn: 5, rows: [unreadable] })]),
    ).rejects.toMatchObject({ code: 'SINK', message: expect.not.stringContaining('not a time') })
    await expect(sink.write(pieces[2])).rejects.toMatchObject({ code: 'SINK' })
    await sink.places([0])
    for (const piece of pieces) await sink.write(piece)
    expect(Object.keys(await reports(sink))).toEqual([A, B, uuid(9)])
  })
})

test('a failed write leaves nothing behind and can be tried again', async () => {
  const sink = await openAnalytics(temporaryDirectory())
  const good = incidentChange({ offset: 0, lsn: 10, rows: [reportRow(A)] })
  const bad = incidentChange({ offset: 1, lsn: 20, rows: [reportRow(B, { createdAt: 'not a time' })] })
  await expect(sink.write([good, bad])).rejects.toMatchObject({ code: 'SINK' })
  expect(await sink.places([0])).toEqual(new Map())
  await sink.write([good])
  expect(Object.keys(await reports(sink))).toEqual([A])
})

describe('an incident is incomplete', () => {
  const refusal = new PipelineError('UNKNOWN_CODE', 'A code has no counterpart.', 'Add it.')
  const refused = incidentChange({ offset: 0, lsn: 10, key: '7', reference: '10000007', refusal })

  async function incompleteAfter(...writes: readonly (readonly IncidentChange[])[]): Promise<(string | null)[][]> {
    const directory = temporaryDirectory()
    for (const items of writes) {
      const sink = await openAnalytics(directory)
      await sink.write(items)
      await sink.close()
    }
    return ask(directory, 'SELECT reference, source_table, source_key, code FROM incomplete')
  }

  test('while one of its rows could not be mapped, over restarts', async () => {
    const other = incidentChange({ offset: 1, lsn: 20, key: '8', reference: '10000007', rows: [reportRow(B)] })
    expect(await incompleteAfter([refused], [other])).toEqual([['10000007', 'public.report', '7', 'UNKNOWN_CODE']])
  })

  test.each([
    { name: 'mapped', op: 'u' as const, rows: [reportRow(A)] },
    { name: 'read again and mapped', op: 'r' as const, rows: [reportRow(A)] },
    { name: 'deleted', op: 'd' as const, rows: [] },
  ])('no longer when the row is $name, even if the refusal comes again', async ({ op, rows }) => {
    const healing = incidentChange({ offset: 1, lsn: 20, key: '7', op, rows })
    const late = { ...refused, change: { ...refused.change, offset: 2 } }
    expect(await incompleteAfter([refused], [healing], [late])).toEqual([])
  })

  test('never for a row that is in no entity', async () => {
    expect(await incompleteAfter([{ ...refused, absence: 'not-unified' }])).toEqual([])
  })
})
