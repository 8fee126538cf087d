/** What core/place.ts promises of a sink that keeps its own place, run against every such sink. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENTITIES, type Entity, type EntityRow, type Field, type IncidentChange } from '../../core/incident.ts'
import type { PlacedSink } from '../../core/place.ts'
import type { Projections } from '../../schemas/policy/projection.ts'
import * as rows from '../support/unified-rows.ts'
import { changeOf, markerAt, type ChangeOptions } from '../support/unified-rows.ts'

export interface OpenSink {
  readonly sink: PlacedSink<IncidentChange>
  readonly projections: Projections
  /** By id: a row's values in the order of its projection's fields. */
  rows(entity: Entity): Promise<ReadonlyMap<string, readonly Field[]>>
  /** Closes the sink, if it is not closed, and opens another on the same data. */
  reopen(): Promise<OpenSink>
  /** Closes the sink, and its data are gone. */
  close(): Promise<void>
}

export function sinkContract(name: string, open: () => Promise<OpenSink>): void {
  describe(`${name} keeps what a sink promises`, () => {
    let opened: OpenSink
    let topic: Topic

    beforeAll(async () => {
      opened = await open()
      topic = partitions(3)
    })

    afterAll(() => opened.close())

    const write = (...items: readonly IncidentChange[]) => opened.sink.write(items)

    async function held(row: EntityRow): Promise<readonly Field[] | undefined> {
      return (await opened.rows(row.entity)).get(row.id)
    }

    const projected = (row: EntityRow): Field[] => opened.projections[row.entity].project(row.value)

    async function everything(): Promise<string> {
      const all = await Promise.all(
        ENTITIES.map(async (entity) => [...(await opened.rows(entity))].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      )
      return JSON.stringify(all)
    }

    test('a row is held with every value that the policy lets through', async () => {
      const report = rows.dpsReport(1, { reportedAt: '0962-03-04T05:06:07.000001Z', duplicatedReportId: rows.uuid(7) })
      const legacy = rows.nomisReport(247_314, { title: '\\N', description: '' })
      const question = rows.question(2_147_483_647, report)
      const change = rows.typeChange(1, report)
      const earlier = rows.earlierQuestion(1, change)
      const made = [
        report,
        legacy,
        rows.prisoner(1, report),
        rows.staff(1, legacy),
        question,
        rows.response(0, question),
        rows.statusChange(1, report),
        change,
        earlier,
        rows.earlierResponse(0, earlier),
        rows.correctionRequest(1, report),
        rows.descriptionAddendum(0, legacy, { createdBy: null, text: 'tab\tand 🚨' }),
        rows.referenceCode('ASSAULT_5'),
        rows.referenceCode('1001', { ...NOMIS_CODE, expiryDate: '2015-01-01', score: -1, unifiedCode: 'DRUGS_1' }),
      ]
      await write(...made.map((row) => topic.change({}, row)))
      for (const row of made) expect([row.entity, await held(row)]).toEqual([row.entity, projected(row)])
    })

    test('an update replaces the row, and a delete takes it away', async () => {
      const [kept, deleted] = [rows.dpsReport(10), rows.dpsReport(11)]
      await write(topic.change({}, kept), topic.change({}, deleted))
      const closed = rows.dpsReport(10, { status: 'CLOSED' })
      await write(topic.change({ op: 'u' }, closed), topic.change({ op: 'd' }, deleted))
      expect([await held(kept), await held(deleted)]).toEqual([projected(closed), undefined])
    })

    test('of several changes of one row in a write the newest counts', async () => {
      const row = (status: string) => rows.dpsReport(20, { status })
      await write(
        topic.change({}, row('DRAFT')),
        topic.change({ op: 'd' }, row('DRAFT')),
        topic.change({}, row('CLOSED')),
      )
      expect(await held(row(''))).toEqual(projected(row('CLOSED')))
    })

    test('a row that was deleted may be inserted again', async () => {
      const row = (status: string) => rows.dpsReport(30, { status })
      await write(topic.change({}, row('DRAFT')))
      await write(topic.change({ op: 'd' }, row('DRAFT')))
      await write(topic.change({}, row('UPDATED')))
      expect(await held(row(''))).toEqual(projected(row('UPDATED')))
    })

    test('a row read outside the stream never replaces a newer state', async () => {
      const row = (status: string) => rows.dpsReport(40, { status })
      const read = topic.lsn()
      await write(topic.change({ op: 'u' }, row('CLOSED')))
      await write(topic.change({ op: 'r', lsn: read }, row('DRAFT')))
      expect(await held(row(''))).toEqual(projected(row('CLOSED')))
    })

    test('a row read outside the stream never brings back what was deleted since', async () => {
      const row = rows.dpsReport(50)
      const read = topic.lsn()
      await write(topic.change({}, row))
      await write(topic.change({ op: 'd' }, row))
      await write(topic.change({ op: 'r', lsn: read }, row))
      expect(await held(row)).toBeUndefined()
    })

    test('a row found to be gone outside the stream goes by its position, behind whatever the stream has brought since', async () => {
      const [gone, changed] = [rows.dpsReport(55), rows.dpsReport(56)]
      await write(topic.change({ partition: 2 }, gone), topic.change({ partition: 2 }, changed))
      const found = topic.lsn()
      const newer = rows.dpsReport(56, { status: 'CLOSED' })
      const update = topic.change({ partition: 2, op: 'u' }, newer)
      await write(update)
      await write(
        topic.change({ partition: 2, op: 'd', lsn: found, ordinal: 0 }, gone),
        topic.change({ partition: 2, op: 'd', lsn: found, ordinal: 0 }, changed),
      )
      expect([await held(gone), await held(changed)]).toEqual([undefined, projected(newer)])
      expect((await opened.sink.places([2])).get(2)!.height).toBe(update.change.position)
    })

    test('the whole topic once more changes nothing, even behind newer markers and in another process', async () => {
      await write(...topic.markers())
      const before = await everything()
      await opened.sink.write(topic.log())
      expect(await everything()).toBe(before)
      opened = await opened.reopen()
      await opened.sink.write(topic.log())
      expect(await everything()).toBe(before)
    })

    test('places survive: the next offset and the highest streamed position of each partition', async () => {
      const change = topic.change({ partition: 1 }, rows.dpsReport(60))
      await write(change)
      await write(topic.change({ partition: 1, op: 'r' }, rows.dpsReport(61)), topic.marker(1))
      const expected = { next: change.change.offset + 3, height: change.change.position }
      expect((await opened.sink.places([1])).get(1)).toEqual(expected)
      opened = await opened.reopen()
      expect((await opened.sink.places([1])).get(1)).toEqual(expected)
    })

    test('a partition that was never read has no place', async () => {
      expect(await opened.sink.places([99])).toEqual(new Map())
    })

    test('of a transaction in pieces nothing shows before its last piece', async () => {
      const [first, second, other] = [rows.dpsReport(70), rows.dpsReport(71), rows.dpsReport(72)]
      const before = await opened.sink.places([0])
      const lsn = topic.lsn()
      await write(topic.change({ lsn, last: false }, first))
      await write(topic.change({ partition: 1 }, other))
      expect(await held(first)).toBeUndefined()
      await write(topic.change({ lsn, ordinal: 2 }, second))
      const shown = [await held(first), await held(second), await held(other)]
      expect(shown).toEqual([projected(first), projected(second), projected(other)])
      expect((await opened.sink.places([0])).get(0)!.next).toBe(before.get(0)!.next + 2)
    })

    test('pieces without an end are gone with the process and are read again', async () => {
      const [first, second] = [rows.dpsReport(80), rows.dpsReport(81)]
      const before = await opened.sink.places([0])
      const lsn = topic.lsn()
      const pieces = [topic.change({ lsn, last: false }, first), topic.change({ lsn, ordinal: 2 }, second)]
      await write(pieces[0]!)
      opened = await opened.reopen()
      expect(await opened.sink.places([0])).toEqual(before)
      expect(await held(first)).toBeUndefined()
      await opened.sink.write(pieces)
      expect([await held(first), await held(second)]).toEqual([projected(first), projected(second)])
    })

    test('a partition that is given back and read again from its place loses nothing and doubles nothing', async () => {
      const [first, second] = [rows.dpsReport(90), rows.dpsReport(91)]
      const lsn = topic.lsn()
      const pieces = [topic.change({ lsn, last: false }, first), topic.change({ lsn, ordinal: 2 }, second)]
      await write(pieces[0]!)
      const place = (await opened.sink.places([0])).get(0)!
      expect(place.next).toBe(pieces[0]!.change.offset)
      await opened.sink.write(pieces)
      expect([await held(first), await held(second)]).toEqual([projected(first), projected(second)])
    })

    test('rows that move between partitions end alike in whatever order the partitions come', async () => {
      let firstId = 1_000
      await fc.assert(
        fc.asyncProperty(histories, fc.array(fc.nat(99), { minLength: 1 }), async (history, choices) => {
          firstId += 10
          const ids = [0, 1, 2].map((n) => rows.dpsReport(firstId + n))
          const { logs, expected } = written(topic, ids, history)
          for (const batch of shuffled(logs, choices)) await opened.sink.write(batch)
          const stored = await opened.rows('Report')
          const found = ids.map(({ id }) => stored.get(id))
          expect(found).toEqual(expected.map((row) => (row === null ? undefined : projected(row))))
        }),
        { numRuns: 30 },
      )
    })
  })
}

const NOMIS_CODE = {
  id: rows.uuid(1001),
  source: 'NOMIS',
  systemOfRecord: 'NOMIS',
  sourceTable: 'nomis.questionnaires',
  sourceKey: '1001',
  domain: 'nomis.questionnaire',
}

type Given = Omit<ChangeOptions, 'offset' | 'lsn'> & { readonly lsn?: number }

/** A topic's partitions by hand: offsets and LSNs rise by themselves. */
interface Topic {
  lsn(): number
  change(given: Given, row: EntityRow): IncidentChange
  marker(partition: number): IncidentChange
  markers(): IncidentChange[]
  /** Everything so far, partition by partition. */
  log(): IncidentChange[]
}

function partitions(count: number): Topic {
  const logs: IncidentChange[][] = Array.from({ length: count }, () => [])
  let newest = 0x1_0000_0000
  const lsn = () => (newest += 8)

  function append(partition: number, make: (offset: number) => IncidentChange): IncidentChange {
    const made = make(logs[partition]!.length)
    logs[partition]!.push(made)
    return made
  }

  const marker = (partition: number) => append(partition, (offset) => markerAt({ offset, partition, lsn: lsn() }))
  return {
    lsn,
    change: (given, row) =>
      append(given.partition ?? 0, (offset) => changeOf({ ...given, offset, lsn: given.lsn ?? lsn() }, row)),
    marker,
    markers: () => logs.map((_, partition) => marker(partition)),
    log: () => logs.flat(),
  }
}

interface Step {
  readonly row: number
  readonly does: 'write' | 'delete' | 'move' | 'read'
  readonly partition: number
  /** After how many more records of its partition a row that was read outside the stream arrives. */
  readonly late: number
}

const histories = fc.array(
  fc.record<Step>({
    row: fc.nat(2),
    does: fc.constantFrom('write', 'write', 'move', 'delete', 'read'),
    partition: fc.nat(2),
    late: fc.nat(4),
  }),
  { minLength: 1, maxLength: 20 },
)

type Draft = { readonly given: Given & { readonly lsn: number }; readonly row: EntityRow; readonly late: number }

/** What a source with such a history writes to each partition, and what each row is in the end. */
function written(topic: Topic, initial: readonly EntityRow[], history: readonly Step[]) {
  const drafts: Draft[][] = [[], [], []]
  const states: { at: number; row: EntityRow | null }[] = initial.map(() => ({ at: 0, row: null }))
  for (const [n, { row: which, does, partition, late }] of history.entries()) {
    const state = states[which]!
    const lsn = topic.lsn()
    const put = (at: number, row: EntityRow, given: Given, delay = 0) =>
      drafts[at]!.push({ given: { ...given, partition: at, lsn }, row, late: delay })
    const next = { ...initial[which]!, value: { ...initial[which]!.value, statusRaw: String(n) } }
    if (does === 'write') {
      if (state.row === null) state.at = partition
      put(state.at, next, { op: state.row === null ? 'c' : 'u' })
      state.row = next
    } else if (state.row === null) continue
    else if (does === 'read') put(state.at, state.row, { op: 'r' }, late)
    else if (does === 'delete') {
      put(state.at, state.row, { op: 'd' })
      state.row = null
    } else if (partition !== state.at) {
      put(state.at, state.row, { op: 'd', ordinal: 1 })
      put(partition, next, { op: 'c', ordinal: 2 })
      Object.assign(state, { at: partition, row: next })
    }
  }
  const logs = drafts.map((log) => delayed(log).map(({ given, row }) => topic.change(given, row)))
  return { logs, expected: states.map(({ row }) => row) }
}

function delayed(log: readonly Draft[]): Draft[] {
  return log
    .map((draft, i) => ({ draft, at: i + draft.late + (draft.late > 0 ? 0.5 : 0) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ draft }) => draft)
}

/** Batches that keep each partition's order; `choices` says which partition comes next, and when a batch ends. */
function* shuffled(logs: readonly IncidentChange[][], choices: readonly number[]): Iterable<IncidentChange[]> {
  const left = logs.map((log) => [...log])
  let batch: IncidentChange[] = []
  for (let i = 0; left.some((log) => log.length > 0); i++) {
    const choice = choices[i % choices.length]! + i
    const open = left.filter((log) => log.length > 0)
    batch.push(open[choice % open.length]!.shift()!)
    if (choice % 3 !== 0) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
