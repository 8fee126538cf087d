/**
 * A first snapshot that is broken off, a gap that was accepted, a table that was stopped: no live row is an I
 * (rule dpr.keys).
 */
import { expect, test } from 'vitest'
import type { Marker } from '../../core/change.ts'
import type { IncidentChange } from '../../core/incident.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { change, marker, openDprRaw, rawZone, rowsOf } from '../support/dpr-raw.ts'
import { sourceRow } from '../support/source-rows.ts'

const QUESTIONS = 'incidentreporting/question'
const row = (id: number, label = 'First') => sourceRow('public.question', { id, label })
const read = (offset: number, lsn: number, id: number, label?: string) =>
  change({ offset, lsn, op: 'r', after: row(id, label) })
const insert = (offset: number, lsn: number, id: number, label?: string) =>
  change({ offset, lsn, after: row(id, label) })
const update = (offset: number, lsn: number, id: number, label: string) =>
  change({ offset, lsn, before: row(id), after: row(id, label) })
const remove = (offset: number, lsn: number, id: number) => change({ offset, lsn, before: row(id) })
const begun = (offset: number, lsn: number) => marker({ offset, lsn, snapshotDone: false })

async function written(items: readonly IncidentChange[], cuts: readonly number[]) {
  const zone = rawZone()
  let sink = await openDprRaw(zone)
  for (const [i, from] of [0, ...cuts].entries()) {
    await sink.places([0])
    await sink.write(items.slice(from, cuts[i]))
    await sink.close()
    sink = await openDprRaw(zone)
  }
  const ops = await rowsOf(
    zone,
    QUESTIONS,
    `"Op" || CASE checkpoint_col WHEN '' THEN ' load ' ELSE ' ' END || id AS op`,
  )
  return {
    ops: ops.map((each) => each['op']),
    rows: await readDprTable(zone, 'incidentreporting', 'question'),
    findings: (await verifyDpr(zone)).flatMap((each) => each.findings),
  }
}

/** What the topic holds when capture was killed in its first snapshot, and what DPR must come to hold. */
const BROKEN_OFF = {
  'what the stream brought first is not loaded when the snapshot goes on': {
    items: [read(0, 900, 1), insert(1, 1000, 2), read(2, 2000, 2), read(3, 2000, 3), marker(at(4, 3000))],
    ops: ['I load 1', 'I load 3', 'I 2', 'U 2'],
    rows: [row(1), row(2), row(3)],
  },
  'a row that changed between the two reads ends as it was read last': {
    items: [
      read(0, 900, 1),
      insert(1, 1000, 2, 'Inserted'),
      update(2, 1500, 2, 'Changed'),
      update(3, 1600, 1, 'Changed'),
      read(4, 2000, 2, 'Changed'),
      read(5, 2000, 1, 'Changed'),
      marker(at(6, 3000)),
    ],
    ops: ['I load 1', 'I 2', 'U 2', 'U 1', 'U 2', 'U 1'],
    rows: [row(1, 'Changed'), row(2, 'Changed')],
  },
  'a row that went and came again between the two reads': {
    items: [
      read(0, 900, 1),
      remove(1, 1000, 1),
      insert(2, 1100, 1, 'Again'),
      read(3, 2000, 1, 'Again'),
      marker(at(4, 3000)),
    ],
    ops: ['I load 1', 'D 1', 'U 1', 'U 1'],
    rows: [row(1, 'Again')],
  },
  'a row that a lagging partition still brings from before its delete is not loaded': {
    items: [insert(0, 1000, 1), remove(1, 1100, 1), read(2, 900, 1), read(3, 900, 2), marker(at(4, 3000))],
    ops: ['I load 2', 'I 1', 'D 1'],
    rows: [row(2)],
  },
} as const

function at(offset: number, lsn: number) {
  return { offset, lsn }
}

const CUTS: readonly (readonly number[])[] = [[], [2], [1, 2, 3]]

test.each(Object.entries(BROKEN_OFF).flatMap(([what, expected]) => CUTS.map((cuts) => ({ what, cuts, expected }))))(
  'broken off: $what, cut at $cuts',
  async ({ cuts, expected }) => {
    const { ops, rows, findings } = await written([...expected.items], cuts)
    expect({ ops: ops.toSorted(byText), rows, findings }).toEqual({
      ops: expected.ops.toSorted(byText),
      rows: expected.rows,
      findings: [],
    })
  },
)

const byText = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1)

const stopped = (offset: number, lsn: number, tables: readonly string[]): IncidentChange => {
  const item = marker({ offset, lsn })
  return { ...item, change: { ...(item.change as Marker), stopped: tables } }
}

test.each([
  { what: 'after a gap that was accepted', gap: begun(2, 1500), whole: marker({ offset: 5, lsn: 3000 }) },
  {
    what: 'in a table that was stopped',
    gap: stopped(2, 1500, ['public.question']),
    whole: stopped(5, 3000, []),
  },
])('$what a key that comes again is an update, until all has been read again', async ({ gap, whole }) => {
  const items = [
    marker({ offset: 0, lsn: 100 }),
    insert(1, 1000, 1),
    gap,
    insert(3, 2000, 1, 'Again'), // its delete was lost in the gap
    insert(4, 2100, 2),
    whole,
    insert(6, 4000, 3),
  ]
  for (const cuts of [[], [3], [4]]) {
    const { ops, rows, findings } = await written(items, cuts)
    expect(ops).toEqual(['I 1', 'U 1', 'U 2', 'I 3'])
    expect(rows).toEqual([row(1, 'Again'), row(2), row(3)])
    expect(findings).toEqual([])
  }
})
