/**
 * A topic as `reconcile` asks it: the newest record of each key counts. A first reading leaves keys, hashes and offsets
 * in the scratch; keys that are asked for later are read at their offsets, then followed from the first reading's end.
 */
import type { Received } from '../core/message.ts'
import type { Topic } from '../transport/topic.ts'
import type { Cell } from './canonical.ts'
import { unitKey, type Form, type Unit } from './expected.ts'
import { literal, streamed, type Needed, type ProvenPlace, type RowPosition, type SeenRow } from './proven-place.ts'
import { csv, lineWriter } from './lines.ts'
import type { Scratch } from './scratch.ts'
import { scanTopic } from './topic-scan.ts'

interface Said extends Unit {
  readonly record: Received
  /** Text order is the order in which a reader lets records of one row count. */
  readonly position: string
}

/** What one record says of one row. */
export interface TopicRow extends Said {
  /** Null for a row that is removed. */
  readonly cells: readonly Cell[] | null
  readonly at: RowPosition
}

/** The same by the row's hash; GONE for a row that is removed. */
export interface TopicMark extends Said {
  readonly digest: string
}

export interface TopicOptions {
  readonly topic: Topic
  readonly form: Form
  readonly passed: (needed: Needed) => Promise<boolean>
  /** Which of two records of a row counts when they have one position. */
  readonly ofTies: 'first' | 'last'
  /** Make what turns records into rows, or into their hashes: called at the start of each reading. */
  readonly rows: () => (records: readonly Received[]) => Promise<readonly TopicRow[]>
  readonly marks: () => (records: readonly Received[]) => Promise<readonly TopicMark[]>
}

interface Newest {
  readonly position: string
  readonly row: SeenRow | null
}

export async function topicProof(scratch: Scratch, options: TopicOptions): Promise<ProvenPlace> {
  const { topic, form, passed, ofTies } = options
  const table = `place_${topic.name.replaceAll(/\W/g, '_')}`
  const connection = await scratch.connect()
  /** Where the first reading ended; null before it. */
  let stored: ReadonlyMap<number, number> | null = null
  /** Rows that were asked for, followed from here on. */
  const followed = new Map<string, Newest | null>()
  let readTo: ReadonlyMap<number, number> | null = null
  let follow = options.rows()

  async function store(progress: (rows: number) => void): Promise<void> {
    const lines = lineWriter(scratch.linesOf(table))
    const marks = options.marks()
    let read = 0
    const ends = await scanTopic({
      topic,
      take: async (records) => {
        for (const { kind, key, position, digest, record } of await marks(records)) {
          lines.add(`${kind},${csv(key)},${position},${digest},${record.partition},${record.offset}`)
        }
        read += records.length
        progress(read)
      },
    })
    lines.end()
    await scratch.load(table, {
      kind: 'UTINYINT',
      key: 'VARCHAR',
      position: 'VARCHAR',
      digest: 'UUID',
      place: 'INTEGER',
      number: 'BIGINT',
    })
    stored = ends
  }

  /** Where the first reading found these rows' newest records, by partition and rising. */
  async function newestOffsets(units: readonly Unit[]): Promise<ReadonlyMap<number, readonly number[]>> {
    const offsets = new Map<number, number[]>()
    const sql = `
      SELECT newest.place, newest.number
      FROM (SELECT arg_max({place: place, number: number}, ${AGES[ofTies]}) AS newest
            FROM ${table} WHERE (kind, key) IN (${inList(units)}) GROUP BY kind, key)
      ORDER BY ALL`
    for await (const [place, number] of streamed(connection, sql)) {
      const of = offsets.get(Number(place))
      if (of === undefined) offsets.set(Number(place), [Number(number)])
      else of.push(Number(number))
    }
    return offsets
  }

  async function readOn(units: readonly Unit[]): Promise<void> {
    const fresh = units.filter((unit) => !followed.has(unitKey(unit)))
    let from = readTo
    let also: ReadonlyMap<number, readonly number[]> = new Map()
    if (fresh.length > 0) {
      from = stored
      if (stored !== null) also = await newestOffsets(units)
      followed.clear()
      for (const unit of units) followed.set(unitKey(unit), null)
      follow = options.rows()
    }
    readTo = await scanTopic({
      topic,
      ...(from === null ? {} : { from, also }),
      take: async (records) => {
        for (const { kind, key, position, cells, at } of await follow(records)) {
          const name = unitKey({ kind, key })
          const held = followed.get(name)
          if (held === undefined || (held !== null && !isNewer(position, held.position))) continue
          followed.set(name, { position, row: cells === null ? null : { kind, key, cells, at } })
        }
      },
    })
  }

  const isNewer = (position: string, held: string): boolean => (ofTies === 'last' ? position >= held : position > held)

  return {
    name: topic.name,
    form,
    passed,
    store: async (_, progress) => {
      await store(progress)
      return { table, age: AGES[ofTies] }
    },
    look: async function* (units) {
      await readOn(units)
      for (const unit of units) {
        const row = followed.get(unitKey(unit))?.row
        if (row != null) yield row
      }
    },
    close: async () => {},
  }
}

/** The order of one row's lines, as text: by position, then as the topic is read. */
const AGES = {
  first: `position || printf('%010d%016d', ${2 ** 31 - 1} - place, ${Number.MAX_SAFE_INTEGER} - number)`,
  last: `position || printf('%010d%016d', place, number)`,
}

function inList(units: readonly Unit[]): string {
  return units.map(({ kind, key }) => `(${kind}, ${literal(key)})`).join(', ')
}
