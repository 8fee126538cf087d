/**
 * The first snapshot: every published table as it was where the stream begins, in chunks, by several sessions that see the
 * slot's exported snapshot. What a crash leaves of it is read between watermarks (rereads.ts): an exported snapshot dies
 * with the session that made it.
 */
import type pg from 'pg'
import { tableName, type Change, type Tuple } from '../../core/change.ts'
import type { Batch, Feed } from '../../core/feed.ts'
import { quoted } from './catalog.ts'
import { chunkSelection, copyRows, planTable, publishedTables, type Published } from './chunks.ts'
import { readRows, type Placing } from './placed.ts'
import type { Chunk, RequestStore } from './request-store.ts'
import { connect, disconnect } from './session.ts'

export interface FirstSnapshotOptions {
  readonly url: string
  readonly publication: string
  /** The slot's exported snapshot. */
  readonly exported: string
  /** The request that keeps count of the chunks. */
  readonly id: string
  readonly requests: RequestStore
  readonly placing: Omit<Placing, 'committedAt'>
  readonly workers: number
  /** What of a table's file is read at once. */
  readonly chunkBytes: number
  warn(sentence: string): void
  progress?(table: string, rows: number, expected: number): void
  readonly signal: AbortSignal
}

const BATCH_BYTES = 1 << 20

/** Parents before children. A batch's `ack` makes its rows' parents durable, a chunk's last one the chunk. */
export async function* firstSnapshot(options: FirstSnapshotOptions): Feed<Change<Tuple>> {
  const { url, publication, exported, requests, id, signal } = options
  const sessions: pg.Client[] = []
  try {
    for (let i = 0; i < options.workers; i++) sessions.push(await importing(url, exported))
    const [first] = sessions as [pg.Client]
    const catalogs = await connect(url)
    sessions.push(catalogs)
    const tables = [...(await publishedTables(catalogs, publication)).values()]
    if (tables.length === 0) return
    // Held to the end: no table can be rewritten under the readers. What was rewritten before looks empty to them.
    await first.query(`LOCK TABLE ${tables.map(({ table }) => quoted(table)).join(', ')} IN ACCESS SHARE MODE`)
    const rewritten = await rewrittenSince(first, tables)
    const committedAt = await now(first)
    for (const published of tables) {
      const name = tableName(published.table)
      if (rewritten.has(name)) {
        options.warn(`${name} was rewritten while the snapshot began: it is read when the stream runs`)
        continue
      }
      const { chunks, expected } = await planTable(catalogs, published.table, options.chunkBytes)
      requests.plan(id, name, chunks, expected)
      const table = tableReader(published, chunks, expected, committedAt, options)
      yield* merged(sessions.slice(0, options.workers).map(table))
      if (signal.aborted) return
    }
  } finally {
    await Promise.all(sessions.map(disconnect))
  }
}

async function importing(url: string, exported: string): Promise<pg.Client> {
  const client = await connect(url)
  await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${exported}'`)
  return client
}

/** Tables that have another file, or another shape, than the snapshot sees in the catalogue. */
async function rewrittenSince(client: pg.Client, tables: readonly Published[]): Promise<Set<string>> {
  const rewritten = new Set<string>()
  for (const { table, partitioned } of tables) {
    if (partitioned) continue
    const { rows } = await client.query<{ same: string; shape: string }>(
      `SELECT c.relfilenode = pg_relation_filenode(c.oid) AS same,
              (SELECT string_agg(a.attname || ' ' || a.atttypid, ',' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS shape
       FROM pg_class c WHERE c.oid = to_regclass($1)`,
      [quoted(table)],
    )
    const [row] = rows
    const columns = new Set(row?.shape.split(','))
    if (row?.same !== 't' || table.columns.some(({ name, oid }) => !columns.has(`${name} ${oid}`))) {
      rewritten.add(tableName(table))
    }
  }
  return rewritten
}

async function now(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ micros: string }>(
    `SELECT (extract(epoch FROM now()) * 1000000)::int8 AS micros`,
  )
  return Number(rows[0]?.micros)
}

function tableReader(
  published: Published,
  chunks: readonly Chunk[],
  expected: number,
  committedAt: number,
  { requests, id, placing, progress, signal }: FirstSnapshotOptions,
): (client: pg.Client) => AsyncGenerator<Batch<Change<Tuple>>> {
  const { table } = published
  const name = tableName(table)
  const left = [...chunks]
  let handedOn = 0

  return async function* (client) {
    for (let chunk = left.shift(); chunk !== undefined && !signal.aborted; chunk = left.shift()) {
      let waiting: Tuple[] = []
      let bytes = 0
      let rows = 0
      const cut = (ack: () => void): Batch<Change<Tuple>> => {
        const items = readRows(table, waiting, { ...placing, committedAt })
        waiting = []
        bytes = 0
        rows += items.length
        handedOn += items.length
        progress?.(name, handedOn, Math.max(expected, handedOn))
        return { items, ack: async () => ack() }
      }
      for await (const piece of copyRows(client, table, chunkSelection(chunk, published.filter))) {
        for (const row of piece) {
          waiting.push(row)
          bytes += row.end - row.start
        }
        if (bytes >= BATCH_BYTES) yield cut(() => {})
      }
      const whole = chunk
      yield cut(() => {
        placing.parents.merge(placing.position)
        requests.chunkDone(id, name, whole, rows)
      })
    }
  }
}

/** Feeds side by side, each read one batch ahead: whoever has one first is next. */
async function* merged<T>(feeds: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const next = (feed: AsyncGenerator<T>) => feed.next().then((result) => ({ feed, result }))
  const waiting = new Map(feeds.map((feed) => [feed, next(feed)]))
  try {
    while (waiting.size > 0) {
      const { feed, result } = await Promise.race(waiting.values())
      if (result.done === true) waiting.delete(feed)
      else {
        waiting.set(feed, next(feed))
        yield result.value
      }
    }
  } finally {
    for (const each of waiting.values()) each.catch(() => {})
  }
}
