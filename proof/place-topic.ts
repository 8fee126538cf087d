/**
 * A topic as `reconcile` asks it: the newest record of each key counts. A first reading leaves keys, hashes and offsets
 * in the scratch; keys that are asked for later are read at their offsets, then followed from the first reading's end.
 */
import type { Received } from '../core/message.ts'
import type { Topic } from '../transport/topic.ts'
import { digest, GONE, rowText, type Cell } from './canonical.ts'
import { unitKey, type Form, type Unit } from './expected.ts'
import { literal, streamed, type Needed, type ProvenPlace, type RowPosition, type SeenRow } from './proven-place.ts'
import { csv, lineWriter } from './lines.ts'
import { passes } from './passes.ts'
import type { Scratch } from './scratch.ts'
import { scanTopic } from './topic-scan.ts'

/** What one record says of one row. */
export interface TopicRow extends Unit {
  readonly record: Received
  /** Text order is the order in which a reader lets records of one row count. */
  readonly order: string
  /** Null for a row that is removed. */
  readonly cells: readonly Cell[] | null
  readonly at: RowPosition
}

export interface TopicOptions {
  readonly topic: Topic
  readonly form: Form
  readonly passed: (needed: Needed) => Promise<boolean>
  /** Makes what turns records into rows: called at the start of each reading. */
  readonly rows: () => (records: readonly Received[]) => Promise<readonly TopicRow[]>
}

interface Newest {
  readonly order: string
  readonly row: SeenRow | null
}

export async function topicProof(scratch: Scratch, options: TopicOptions): Promise<ProvenPlace> {
  const { topic, form, passed } = options
  const table = `place_${topic.name.replaceAll(/\W/g, '_')}`
  const connection = await scratch.connect()
  /** Where the first reading ended; null before it. */
  let stored: ReadonlyMap<number, number> | null = null
  /** Rows that were asked for, followed from here on. */
  const followed = new Map<string, Newest | null>()
  let readTo: ReadonlyMap<number, number> | null = null
  let follow = options.rows()

  async function store(progress: (rows: number) => void): Promise<void> {
    const lines = lineWriter(scratch.linesOf(linesOf(table)))
    const rows = options.rows()
    let read = 0
    const ends = await scanTopic({
      topic,
      take: async (records) => {
        for (const { kind, key, order, cells, record } of await rows(records)) {
          const hash = cells === null ? GONE : digest(rowText(cells))
          lines.add(`${kind},${csv(key)},${order},${hash},${record.partition},${record.offset}`)
        }
        read += records.length
        progress(read)
      },
    })
    lines.end()
    await foldLines(read)
    stored = ends
  }

  /** The newest line of each key. */
  async function foldLines(read: number): Promise<void> {
    await scratch.load(linesOf(table), {
      kind: 'UTINYINT',
      key: 'VARCHAR',
      age: 'VARCHAR',
      digest: 'UUID',
      place: 'INTEGER',
      number: 'BIGINT',
    })
    await connection.run(
      `CREATE TABLE ${table} (kind UTINYINT, key VARCHAR, digest UUID, place INTEGER, number BIGINT)`,
    )
    for (const pass of passes(read, 'key')) {
      const insert = `
        INSERT INTO ${table}
        SELECT kind, key, newest.digest, newest.place, newest.number
        FROM (SELECT kind, key, arg_max({digest: digest, place: place, number: number}, age) AS newest
              FROM ${linesOf(table)} WHERE ${pass} GROUP BY kind, key)`
      await scratch.inTurn(() => connection.run(insert))
    }
    await connection.run(`DROP TABLE ${linesOf(table)}`)
  }

  /** Where the first reading found these rows' newest records, by partition and rising. */
  async function newestOffsets(units: readonly Unit[]): Promise<ReadonlyMap<number, readonly number[]>> {
    const offsets = new Map<number, number[]>()
    const sql = `SELECT place, number FROM ${table} WHERE (kind, key) IN (${inList(units)}) ORDER BY place, number`
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
        for (const { kind, key, order, cells, at } of await follow(records)) {
          const name = unitKey({ kind, key })
          if (!followed.has(name)) continue
          const held = followed.get(name) ?? null
          if (held !== null && held.order > order) continue
          followed.set(name, { order, row: cells === null ? null : { kind, key, cells, at } })
        }
      },
    })
  }

  return {
    name: topic.name,
    form,
    passed,
    store: async (_, progress) => {
      await store(progress)
      return table
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

const linesOf = (table: string): string => `${table}_lines`

function inList(units: readonly Unit[]): string {
  return units.map(({ kind, key }) => `(${kind}, ${literal(key)})`).join(', ')
}
