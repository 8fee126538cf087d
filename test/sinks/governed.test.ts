import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change, RowChange } from '../../core/change.ts'
import { drain, map } from '../../core/feed.ts'
import type { Output } from '../../core/message.ts'
import { BEGINNING, position } from '../../core/position.ts'
import { deadLetterCodec, deadLetterDecoder } from '../../schemas/dead-letter.ts'
import { eventCodec, eventDecoder } from '../../schemas/events.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { governedCodec } from '../../schemas/governed.ts'
import { governedTopics, type GovernedSink } from '../../sinks/governed.ts'
import { eventFold } from '../../transforms/event.ts'
import { unify } from '../../transforms/unify.ts'
import { changeFeed } from '../../transport/changes.ts'
import { embeddedTransport } from '../../transport/embedded.ts'
import { topics } from '../../transport/topics.ts'
import type { Message, Topic, Transport } from '../../transport/topic.ts'
import { testRegistry } from '../support/registry.ts'
import { marker, rowChange, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

const names = topics('t')
const registry = testRegistry()
const rows = await governedCodec(registry, { topic: names.unified.name, pseudonymKey: 'k' })
const events = await eventCodec(registry, names.events.name)
const letters = await deadLetterCodec(registry, names.deadLetters.name)

/** `lsn.ordinal` in a partition; the last of its transaction where it says so. */
interface At {
  readonly lsn: number
  readonly ordinal?: number
  readonly partition?: number
  readonly last?: boolean
}

function changeAt(change: RowChange, { lsn, ordinal = 1, partition = 0, last = false }: At): RowChange {
  return { ...change, position: position(1, lsn, ordinal), lsn, txId: lsn, partition, lastInTransaction: last }
}

function inserted(table: UnifiedTable, at: At, cells: Record<string, string | number> = {}): RowChange {
  return changeAt(rowChange(table, { after: sourceRow(table, cells) }), at)
}

function markerAt(lsn: number, partition = 0): Change {
  return { ...marker(), position: position(1, lsn, 0), partition }
}

function openSink(target: (outputs: readonly Output[]) => Promise<void>): GovernedSink {
  return governedTopics({
    rows,
    events,
    letters,
    topics: {
      raw: names.raw.name,
      unified: names.unified.name,
      events: names.events.name,
      deadLetters: names.deadLetters.name,
    },
    target: { write: target },
  })
}

/** A sink whose outputs are looked at; the changes of each write get the next offsets. */
function watched() {
  const outputs: Output[] = []
  const sink = openSink(async (given) => void outputs.push(...given))
  return {
    sink,
    write: async (from: number, ...changes: readonly Change[]): Promise<Output> => {
      outputs.length = 0
      await sink.write(changes.map((change, i) => unify({ ...change, offset: from + i })))
      expect(outputs).toHaveLength(1)
      return outputs[0]!
    },
  }
}

/** Rows, then letters, then events: between topics there is no order. */
async function shown({ messages }: Output): Promise<string[]> {
  const decoders = {
    rows: governedDecoder(registry),
    events: eventDecoder(registry),
    letters: deadLetterDecoder(registry),
  }
  return Promise.all(
    [names.unified, names.deadLetters, names.events]
      .flatMap(({ name }) => messages.filter(({ topic }) => topic === name))
      .map(async ({ topic, message }) => {
        if (topic === names.events.name) return (await decoders.events.event(message)).eventType
        if (topic === names.deadLetters.name) return (await decoders.letters.letter(message)).code
        const [row] = await decoders.rows.rows([message])
        return row!.state === null
          ? `${row!.entity} tombstone`
          : `${row!.entity}${row!.state.lastInTransaction ? '!' : ''}`
      }),
  )
}

describe('a write', () => {
  test('leaves rows, their event and the place in one output', async () => {
    const output = await watched().write(
      7,
      inserted('public.report', { lsn: 10 }),
      inserted('public.status_history', { lsn: 10, ordinal: 2, last: true }),
    )
    expect(await shown(output)).toEqual(['Report', 'StatusChange!', 'incident.report.created'])
    expect(output.place).toEqual({ next: 9, height: position(1, 10, 2) })
  })

  test('of a row that cannot be mapped leaves its letter, and its event all the same', async () => {
    const output = await watched().write(0, inserted('public.report', { lsn: 10, last: true }, { type: 'NOPE' }))
    expect(await shown(output)).toEqual(['UNKNOWN_CODE', 'incident.report.created'])
  })

  test('dates every record in whole milliseconds, which is all that a broker takes', async () => {
    const committedAt = 1_795_644_269_077_150
    const good = { ...inserted('public.report', { lsn: 10 }), committedAt }
    const refused = { ...inserted('public.report', { lsn: 10, ordinal: 2, last: true }, { type: 'NOPE' }), committedAt }
    const { messages } = await watched().write(0, good, refused)
    expect(new Set(messages.map(({ topic }) => topic))).toEqual(
      new Set([names.unified.name, names.deadLetters.name, names.events.name]),
    )
    expect(new Set(messages.map(({ message }) => message.timestampMs))).toEqual(new Set([1_795_644_269_077]))
  })

  test('of a marker and of rows read outside the stream leaves no event and no height', async () => {
    const read = { ...inserted('public.report', { lsn: 10, ordinal: 0 }), op: 'r' as const }
    const output = await watched().write(0, read, markerAt(20))
    expect(await shown(output)).toEqual(['Report!'])
    expect(output.place).toEqual({ next: 2, height: BEGINNING })
  })

  test('of a row found gone outside the stream leaves its last state and a tombstone, no event and no height', async () => {
    const report = rowChange('public.report', { before: sourceRow('public.report') })
    const output = await watched().write(0, changeAt(report, { lsn: 10, ordinal: 0, last: true }), markerAt(20))
    expect(await shown(output)).toEqual(['Report!', 'Report tombstone'])
    expect(output.place).toEqual({ next: 2, height: BEGINNING })
  })

  test('keeps partitions apart', async () => {
    const outputs: Output[] = []
    const sink = openSink(async (given) => void outputs.push(...given))
    const changes = [0, 1].map((partition) => inserted('public.question', { lsn: 10, partition, last: true }))
    await sink.write(changes.map((change, i) => unify({ ...change, offset: 3 + i })))
    expect(await Promise.all(outputs.map(shown))).toEqual(Array(2).fill(['Question!', 'incident.report.amended']))
    expect(outputs.map(({ partition, place }) => [partition, place.next])).toEqual([
      [0, 4],
      [1, 5],
    ])
    for (const { partition, messages } of outputs) {
      expect(messages.map(({ message }) => message.partition)).toEqual([partition, partition])
    }
  })
})

describe('a transaction in pieces', () => {
  const pieces = [
    inserted('public.report', { lsn: 10 }),
    inserted('public.question', { lsn: 10, ordinal: 2 }),
    inserted('public.staff_involvement', { lsn: 10, ordinal: 3, last: true }),
  ] as const

  test('leaves its rows as they come and its event with the last; until then the place names its first record', async () => {
    const { write } = watched()
    const first = await write(4, inserted('public.history', { lsn: 5, last: true }), pieces[0])
    expect(await shown(first)).toEqual(['TypeChange!', 'Report', 'incident.report.amended'])
    expect(first.place).toEqual({ next: 6, height: position(1, 10, 1), resume: 5 })
    const second = await write(6, pieces[1])
    expect(await shown(second)).toEqual(['Question'])
    expect(second.place).toEqual({ next: 7, height: position(1, 10, 2), resume: 5 })
    const third = await write(7, pieces[2])
    expect(await shown(third)).toEqual(['StaffInvolvement!', 'incident.report.created'])
    expect(third.place).toEqual({ next: 8, height: position(1, 10, 3) })
  })

  test('is read again after a crash for its event alone', async () => {
    const { sink, write } = watched()
    sink.restart(0, { next: 7, height: position(1, 10, 2), resume: 5 })
    const again = await write(5, pieces[0])
    expect(again).toMatchObject({ messages: [], place: { next: 7, height: position(1, 10, 2), resume: 5 } })
    const rest = await write(6, pieces[1], pieces[2])
    expect(await shown(rest)).toEqual(['StaffInvolvement!', 'incident.report.created'])
    expect(rest.place).toEqual({ next: 8, height: position(1, 10, 3) })
  })

  test.each<[what: string, by: Change, left: string[]]>([
    ['a marker', markerAt(20), ['incident.report.created']],
    [
      'a later transaction',
      inserted('public.history', { lsn: 20, last: true }),
      ['TypeChange!', 'incident.report.created', 'incident.report.amended'],
    ],
  ])('that never says that it ends is ended by %s', async (_, by, left) => {
    const { write } = watched()
    await write(0, pieces[0])
    const output = await write(1, by)
    expect(await shown(output)).toEqual(left)
    expect(output.place.resume).toBeUndefined()
  })
})

test('wherever it is killed, and however large transactions are, rows and events come once', async () => {
  const transaction = fc.record({
    partition: fc.nat(1),
    changes: fc.array(fc.tuple(fc.constantFrom(...TABLES), fc.constantFrom('1', '2')), {
      minLength: 1,
      maxLength: 12,
    }),
    marker: fc.boolean(),
  })
  const crash = fc.record({ writes: fc.integer({ min: 1, max: 4 }), before: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(transaction, { minLength: 1, maxLength: 8 }),
      fc.array(crash, { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      async (given, crashes, bound) => {
        const log = logOf(given)
        const found = await unifiedWith(log, crashes, bound)
        for (const partition of [0, 1]) {
          const its = log.filter((change) => change.partition === partition)
          const fold = eventFold()
          expect(found.events.filter((each) => each.partition === partition).map(({ event }) => event)).toEqual(
            its.flatMap((change) => fold.add(change)),
          )
          expect(found.rows.filter((each) => each.partition === partition).map(({ row }) => row)).toEqual(
            its.flatMap((change) => unify(change).rows.map(({ id }) => `${id} ${change.position}`)),
          )
        }
      },
    ),
    { numRuns: 60 },
  )
})

const TABLES = ['public.report', 'public.question', 'public.staff_involvement'] as const

interface Transaction {
  readonly partition: number
  readonly changes: readonly (readonly [table: UnifiedTable, reference: string])[]
  /** Whether a marker follows. */
  readonly marker: boolean
}

function logOf(given: readonly Transaction[]): Change[] {
  const log = given.flatMap(({ partition, changes, marker: marked }, t): Change[] => {
    const lsn = 10 * (t + 1)
    const its = changes.map(([table, reference], i): Change => {
      const at = { lsn, ordinal: i + 1, partition, last: i === changes.length - 1 }
      return { ...inserted(table, at, { id: `${t}-${i}` }), reference: `${reference}${partition}`, bytes: 10 }
    })
    return marked ? [...its, markerAt(lsn + 5, partition)] : its
  })
  return [...log, markerAt(10_000, 0), markerAt(10_000, 1)]
}

interface Crash {
  /** At which write after the start. */
  readonly writes: number
  /** Before the write is durable, or after it. */
  readonly before: boolean
}

/** What the topics hold when `unify` has read all of the log, over all its lives. */
async function unifiedWith(log: readonly Change[], crashes: readonly Crash[], bound: number) {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-governed-'))
  const transport = await embeddedTransport({ directory, partitions: 2, maxBytes: 1 << 30 })
  try {
    const raw = await transport.topic(names.raw)
    const [unified, told] = [await transport.topic(names.unified), await transport.topic(names.events)]
    await transport.topic(names.deadLetters)
    await raw.write(log.map(({ partition }, i) => recordOf(partition, i)))
    for (const crash of [...crashes, null]) await live(transport, raw, log, crash, bound)
    const [decoder, rowDecoder] = [eventDecoder(registry), governedDecoder(registry)]
    return {
      events: await Promise.all(
        (await everything(told)).map(async (each) => ({ ...each, event: await decoder.event(each) })),
      ),
      rows: await Promise.all(
        (await everything(unified)).map(async (each) => {
          const [row] = await rowDecoder.rows([each])
          return { ...each, row: `${row!.id} ${row!.state!.position}` }
        }),
      ),
    }
  } finally {
    await transport.close()
    rmSync(directory, { recursive: true })
  }
}

function recordOf(partition: number, index: number): Message {
  return { partition, key: Buffer.from('k'), value: Buffer.from(String(index)), timestampMs: Date.now() }
}

async function everything(topic: Topic): Promise<Message[]> {
  return (await Promise.all([0, 1].map((partition) => topic.tail(partition, 10_000)))).flat()
}

/** One life of the stage: until it crashes, or has read everything. A few records come at a time. */
async function live(transport: Transport, raw: Topic, log: readonly Change[], crash: Crash | null, bound: number) {
  const stop = new AbortController()
  const next = new Map<number, number>()
  const bounds = await raw.bounds()
  let writes = 0
  let assigned: Parameters<Parameters<typeof changeFeed>[0]>[0] = () => {}
  const processor = await transport.process(raw, {
    group: 'unify',
    signal: stop.signal,
    aheadBytes: 10,
    assigned: (places, partitions) => assigned(places, partitions),
  })
  const sink = openSink(async (outputs) => {
    writes += 1
    if (crash?.writes === writes && crash.before) throw new Crashed()
    await processor.sink.write(outputs)
    if (crash?.writes === writes) throw new Crashed()
    for (const { partition, place } of outputs) next.set(partition, place.next)
    if (bounds.every(({ high }, partition) => next.get(partition) === high)) stop.abort()
  })
  const decoder = {
    decode: async (records: readonly { readonly value: Buffer | null; readonly offset: number }[]) =>
      records.map(({ value, offset }) => ({ ...log[Number(String(value))]!, offset })),
  }
  const changes = changeFeed(
    (reset) => {
      assigned = (places, partitions) => {
        reset(places, partitions)
        for (const partition of partitions) {
          const place = places.get(partition) ?? { next: 0, height: BEGINNING }
          next.set(partition, place.next)
          sink.restart(partition, place)
        }
        if (bounds.every(({ high }, partition) => next.get(partition) === high)) stop.abort()
      }
      return processor.feed
    },
    decoder,
    bound,
  )
  try {
    await drain(map(changes.feed, unify), sink)
  } catch (error) {
    if (!(error instanceof Crashed)) throw error
  }
}

class Crashed extends Error {}
