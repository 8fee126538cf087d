/**
 * What DPR makes of the files is what the source holds: random histories of a few rows over three partitions, with
 * moves between incidents, changed keys, a first snapshot that the stream runs beside, repairs and stale chunks, read
 * in any interleaving of the partitions and with restarts that send again what was not covered, and more.
 */
import { rmSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IncidentChange } from '../../core/incident.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { change, marker, openDprRaw, rawZone, rowsOf, type ChangeParts } from '../support/dpr-raw.ts'
import { sourceRow } from '../support/source-rows.ts'

const PARTITIONS = [0, 1, 2]
const IDS = 4

interface Held {
  readonly partition: number
  readonly label: string
}

type Truth = Map<number, Held>

type Step =
  | { readonly do: 'put' | 'move' | 'rekey'; readonly id: number; readonly partition: number }
  | { readonly do: 'delete' | 'repair' | 'stale'; readonly id: number }

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), id: fc.nat(IDS - 1), partition: fc.nat(2) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('move' as const), id: fc.nat(IDS - 1), partition: fc.nat(2) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('rekey' as const), id: fc.nat(IDS - 1), partition: fc.nat(2) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), id: fc.nat(IDS - 1) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('repair' as const), id: fc.nat(IDS - 1) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stale' as const), id: fc.nat(IDS - 1) }) },
  ),
  { minLength: 1, maxLength: 25 },
)

const row = (id: number, { label }: Held) => sourceRow('public.question', { id, label })

/** The partitions' logs, and what the source holds at their end. */
function history(
  snapshot: readonly number[],
  walk: readonly Step[],
  loadedAfter: number,
): { logs: IncidentChange[][]; truth: Truth } {
  const logs: IncidentChange[][] = PARTITIONS.map(() => [])
  const truth: Truth = new Map()
  const older: [number, Held, number][] = []
  let lsn = 10_000
  const put = (partition: number, parts: Omit<ChangeParts, 'offset' | 'lsn' | 'partition'>, at = lsn): void => {
    const log = logs[partition]!
    const jitter = (log.length * 7_919) % 60_000 // clocks are not WAL order
    const committedAt = Date.UTC(2024, 4, 6, 12) * 1000 + at * 10 - jitter
    log.push(
      change({ ...parts, partition, lsn: at, offset: log.length, committedAt, reference: `1000000${partition}` }),
    )
  }
  const mark = (snapshotDone: boolean): void => {
    for (const [partition, log] of logs.entries())
      log.push(marker({ offset: log.length, lsn, partition, snapshotDone }))
  }

  const found = snapshot.map((partition, id): [number, Held] => [id, { partition, label: `snapshot ${id}` }])
  for (const [id, held] of found) truth.set(id, held)
  const late = found.filter(([id]) => id % 2 === 1)
  for (const [id, held] of found) if (id % 2 === 0) put(held.partition, { op: 'r', after: row(id, held), at: lsn }, lsn)

  for (const [n, step] of walk.entries()) {
    if (n === loadedAfter) {
      for (const [id, held] of [...late, ...found.slice(0, 1)])
        put(held.partition, { op: 'r', after: row(id, held), at: 10_000 }, 10_000)
      mark(true)
    }
    lsn += 800
    const held = truth.get(step.id)
    if (held !== undefined) older.push([step.id, held, lsn - 400])
    apply(step, held, `label ${n}`)
    if (n % 5 === 4) mark(n > loadedAfter)
  }
  if (walk.length <= loadedAfter) {
    for (const [id, held] of late) put(held.partition, { op: 'r', after: row(id, held), at: 10_000 }, 10_000)
  }
  lsn += 800
  mark(true)
  return { logs, truth }

  function apply(step: Step, held: Held | undefined, label: string): void {
    switch (step.do) {
      case 'put': {
        const next = { partition: held?.partition ?? step.partition, label }
        const before = held === undefined ? {} : { before: row(step.id, held) }
        put(next.partition, { ...before, after: row(step.id, next) })
        truth.set(step.id, next)
        return
      }
      case 'move':
      case 'rekey': {
        if (held === undefined || (step.do === 'move' && step.partition === held.partition)) return
        const next = { partition: step.partition, label }
        const id = step.do === 'move' ? step.id : freeId(truth)
        const at = lsn - 100
        const last = next.partition !== held.partition
        put(held.partition, { before: row(step.id, held), ordinal: 1, at, last })
        put(next.partition, { after: row(id, next), ordinal: 2, at })
        truth.delete(step.id)
        truth.set(id, next)
        return
      }
      case 'delete': {
        if (held === undefined) return
        put(held.partition, { before: row(step.id, held) })
        truth.delete(step.id)
        return
      }
      case 'repair': {
        if (held !== undefined) put(held.partition, { op: 'r', after: row(step.id, held), at: lsn })
        return
      }
      case 'stale': {
        // A chunk of a capture that was replaced: it was read before the row's last change.
        const stale = older.findLast(([id, was]) => id === step.id && was !== held)
        if (stale === undefined) return
        const [id, was, at] = stale
        put(was.partition, { op: 'r', after: row(id, was), at }, at)
      }
    }
  }
}

function freeId(truth: Truth): number {
  for (let id = 0; ; id++) if (!truth.has(id)) return id
}

/** Batches of whole transactions, the partitions in an order that `choices` makes. */
function batches(logs: readonly IncidentChange[][], choices: Iterator<number>): IncidentChange[][] {
  const choose = (below: number): number => (choices.next().value as number) % below
  const at = logs.map(() => 0)
  const found: IncidentChange[][] = []
  while (at.some((next, partition) => next < logs[partition]!.length)) {
    const batch: IncidentChange[] = []
    for (const [partition, log] of logs.entries()) {
      let count = choose(6)
      while (at[partition]! < log.length && (count > 0 || midway(log[at[partition]! - 1]))) {
        batch.push(log[at[partition]!]!)
        at[partition]! += 1
        count -= 1
      }
    }
    if (batch.length > 0) found.push(batch)
  }
  return found
}

function midway(item: IncidentChange | undefined): boolean {
  return item !== undefined && item.change.op !== 'm' && item.change.op !== 'r' && !item.change.lastInTransaction
}

test('the fold of all files is the source, every count is that of its rows, and no row goes back', async () => {
  const snapshots = fc.array(fc.nat(2), { maxLength: 3 })
  const choices = fc.array(fc.nat(59), { minLength: 40, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(snapshots, steps, fc.nat(10), choices, async (snapshot, walk, loadedAfter, chosen) => {
      const { logs, truth } = history(snapshot, walk, loadedAfter)
      const zone = rawZone()
      const sent: IncidentChange[] = []
      let sink = await openDprRaw(zone)
      await sink.places(PARTITIONS)
      for (const [n, batch] of batches(logs, cycle(chosen)).entries()) {
        await sink.write(batch)
        sent.push(...batch)
        if (chosen[n % chosen.length]! % 6 !== 0) continue
        await sink.close()
        sink = await openDprRaw(zone)
        const places = await sink.places(PARTITIONS)
        expect([...places.values()].reduce((sum, { next }) => sum + next, 0)).toBe(sent.length)
        await sink.write(sent)
      }
      const expected = [...truth].sort(([a], [b]) => a - b).map(([id, held]) => row(id, held))
      expect(await readDprTable(zone, 'incidentreporting', 'question')).toEqual(expected)
      const unified = await readDprTable(zone, 'incidents', 'question')
      expect(unified.map((each) => [each['source_key'], each['label'], each['reference']].join()).sort()).toEqual(
        [...truth].map(([id, held]) => [id, held.label, `1000000${held.partition}`].join()).sort(),
      )
      for (const folder of ['incidentreporting/question', 'incidents/question']) await expectOrderly(zone, folder, sink)
      await sink.close()
      rmSync(zone, { recursive: true })
    }),
    { numRuns: Number(process.env['DPR_RUNS'] ?? 25) },
  )
})

async function expectOrderly(
  zone: string,
  folder: string,
  sink: Awaited<ReturnType<typeof openDprRaw>>,
): Promise<void> {
  const rows = await rowsOf(zone, folder)
  const counts = sink.statistics().get(folder)
  const loaded = rows.filter((each) => each['checkpoint_col'] === '')
  expect(new Set(loaded.map((each) => each['id'])).size).toBe(loaded.length)
  expect(loaded.length).toBe(counts?.fullLoadRows ?? 0)
  for (const [op, count] of [
    ['I', counts?.inserts],
    ['U', counts?.updates],
    ['D', counts?.deletes],
  ] as const) {
    expect(rows.filter((each) => each['Op'] === op && each['checkpoint_col'] !== '')).toHaveLength(count ?? 0)
  }
  const newest = new Map<unknown, string>()
  let last = ''
  for (const each of rows.filter(({ checkpoint_col }) => checkpoint_col !== '')) {
    const checkpoint = each['checkpoint_col'] as string
    expect(checkpoint.length).toBe(35)
    expect(checkpoint.slice(0, 16) >= last).toBe(true)
    expect(checkpoint > (newest.get(each['id']) ?? '')).toBe(true)
    newest.set(each['id'], checkpoint)
    last = checkpoint.slice(0, 16)
  }
}

function* cycle<T>(items: readonly T[]): Generator<T> {
  while (true) yield* items
}
