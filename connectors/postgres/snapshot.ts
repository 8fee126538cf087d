/**
 * The first snapshot: every published table as it was where the stream begins.
 *
 * What a crash leaves of it is read in a later snapshot but keeps the position of the first: the stream then brings the
 * changes made in between once more, in order, and every sink ends with the source's rows. A row is never newer than
 * its position says.
 */
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { tableName, type RowChange, type Table, type Tuple } from '../../core/change.ts'
import type { Batch, Feed } from '../../core/feed.ts'
import { lsnOf, type Position } from '../../core/position.ts'
import { quoted } from './catalog.ts'
import { copyReader } from './copy.ts'
import type { Parents } from './parents.ts'
import { snapshotOrder } from './routes.ts'
import { partitionFor, referenceOf, routeOf, transactionParents } from './routing.ts'

export interface SnapshotOptions {
  readonly client: pg.Client
  readonly tables: readonly Table[]
  /** The slot's exported snapshot, or null to read what is there now. */
  readonly exported: string | null
  readonly position: Position
  readonly partitions: number
  readonly parents: Parents
  readonly streamedTo: (partition: number) => Position
  /** Told when a table's rows are durable. */
  readonly done: (table: string) => void
  readonly progress?: (table: string, rows: number, expected: number) => void
  readonly signal: AbortSignal
}

const BATCH_BYTES = 1 << 20

export async function* snapshotFeed(options: SnapshotOptions): Feed<RowChange<Tuple>> {
  const { client, exported, signal } = options
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  if (exported !== null) await client.query(`SET TRANSACTION SNAPSHOT '${exported}'`)
  const committedAt = await now(client)
  const ordered = options.tables.toSorted((a, b) => snapshotOrder(tableName(a)) - snapshotOrder(tableName(b)))
  for (const table of ordered) {
    if (signal.aborted) return
    yield* tableFeed(table, committedAt, options)
  }
  await client.query('COMMIT')
}

async function now(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ micros: string }>(
    `SELECT (extract(epoch FROM now()) * 1000000)::int8 AS micros`,
  )
  return Number(rows[0]?.micros)
}

async function expectedRows(client: pg.Client, table: Table): Promise<number> {
  const { rows } = await client.query<{ n: string }>(
    `SELECT greatest(reltuples, 0)::int8 AS n FROM pg_class WHERE oid = to_regclass($1)`,
    [quoted(table)],
  )
  return Number(rows[0]?.n ?? 0)
}

async function* tableFeed(table: Table, committedAt: number, options: SnapshotOptions): Feed<RowChange<Tuple>> {
  const { client, parents, progress, signal } = options
  const columns = table.columns.map((column) => `"${column.name.replaceAll('"', '""')}"`).join(', ')
  const expected = progress === undefined ? 0 : await expectedRows(client, table)
  const stream = client.query(copyTo(`COPY (SELECT ${columns} FROM ${quoted(table)}) TO STDOUT`))
  const reader = copyReader(table.columns.length)
  let items: RowChange<Tuple>[] = []
  let bytes = 0
  let rows = 0
  let waiting: Tuple[] = []

  const take = (): void => {
    const made = transactionParents(parents)
    for (const row of waiting) made.note(table, null, row)
    made.resolve()
    for (const row of waiting) items.push(change(table, row, made, committedAt, options))
    made.settle(options.position)
    waiting = []
  }
  const cut = (last: boolean): Batch<RowChange<Tuple>> => {
    take()
    const batch = { items, ack: async () => (last ? options.done(tableName(table)) : undefined) }
    rows += items.length
    progress?.(tableName(table), rows, expected)
    items = []
    bytes = 0
    return batch
  }

  for await (const piece of stream as AsyncIterable<Buffer>) {
    for (const row of reader.push(piece)) {
      waiting.push(row)
      bytes += row.end
    }
    if (signal.aborted) return
    if (bytes >= BATCH_BYTES) yield cut(false)
  }
  yield cut(true)
}

function change(
  table: Table,
  row: Tuple,
  made: ReturnType<typeof transactionParents>,
  committedAt: number,
  options: SnapshotOptions,
): RowChange<Tuple> {
  const route = routeOf(table)
  const reference = route === null ? null : (referenceOf(route, row, made, options.parents) ?? null)
  const partition = partitionFor(reference, table, row, options.partitions)
  return {
    op: 'r',
    table,
    reference,
    before: null,
    after: row,
    position: options.position,
    lsn: lsnOf(options.position),
    committedAt,
    txId: 0,
    partition,
    offset: -1,
    streamedTo: options.streamedTo(partition),
    lastInTransaction: true,
    bytes: 0,
  }
}
