/**
 * The source's rows as SQL tells them: all of a snapshot, or some by their keys. The incident of a row comes from a join
 * along the routes, not from what capture knows, so that a route that capture got wrong shows.
 */
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { RowChange, Table, Tuple } from '../core/change.ts'
import { parseLsn, type Lsn } from '../core/position.ts'
import { catalog, quoted } from '../connectors/postgres/catalog.ts'
import { copyReader } from '../connectors/postgres/copy.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { rowReader } from '../connectors/postgres/tuples.ts'
import { readByKey, readStamps, type SourceRow } from './source-by-key.ts'
import { rowKey } from './source-keys.ts'
import { changeOf, tableReader, type TableReader } from './source-table.ts'

export interface SourceReader {
  /**
   * Every row of the tables that `next` names by their index until it names none, in one snapshot. The tuple that is taken
   * begins with the table's columns; `progress` is told how many rows there were so far.
   */
  all(
    next: () => Promise<number | null>,
    take: (change: RowChange, table: number, tuple: Tuple) => void,
    progress: (rows: number) => void,
  ): Promise<void>
  /** About how many rows each table has. */
  sizes(): Promise<readonly number[]>
  /** The rows with these keys by table index, in one snapshot, by `rowKey`. What the source lacks is missing. */
  rows(keys: ReadonlyMap<number, ReadonlySet<string>>): Promise<ReadonlyMap<string, SourceRow>>
  /** Of these rows, in one snapshot, what their `version` begins with; cheaper, since no value is read. */
  stamps(keys: ReadonlyMap<number, ReadonlySet<string>>): Promise<ReadonlyMap<string, string>>
  /** Everything that was visible before has been committed before this. */
  lsn(): Promise<Lsn>
  close(): Promise<void>
}

/** The published tables, in the order by which every reader of a reconciliation counts them. SOURCE_UNREACHABLE. */
export async function sourceTables(url: string, publication: string): Promise<readonly Table[]> {
  const client = await connect(url)
  try {
    return await catalog(client).published(publication)
  } finally {
    await disconnect(client)
  }
}

type Read<T> = (
  client: pg.Client,
  reader: TableReader,
  wanted: ReadonlySet<string>,
  take: (key: string, value: T) => void,
) => Promise<void>

/** SOURCE_UNREACHABLE when the source does not answer. */
export async function sourceReader(url: string, tables: readonly Table[]): Promise<SourceReader> {
  const client = await connect(url)
  const readers = tables.map(tableReader)

  async function inSnapshot<T>(work: () => Promise<T>): Promise<T> {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    try {
      return await work()
    } finally {
      await client.query('COMMIT')
    }
  }

  /** What is read of some rows of each table. */
  async function ofEach<T>(keys: ReadonlyMap<number, ReadonlySet<string>>, read: Read<T>) {
    const found = new Map<string, T>()
    for (const [i, wanted] of keys) {
      const reader = readers[i]
      if (reader === undefined || wanted.size === 0 || reader.table.key.length === 0) continue
      await read(client, reader, wanted, (key, value) => found.set(rowKey(i, key), value))
    }
    return found
  }

  return {
    all: (next, take, progress) =>
      inSnapshot(async () => {
        let total = 0
        for (let i = await next(); i !== null; i = await next()) {
          const table = i
          total = await copyRows(client, readers[i]!, total, (change, tuple) => take(change, table, tuple), progress)
        }
      }),
    sizes: async () => {
      const { rows } = await client.query<{ n: string }>(
        `SELECT greatest(coalesce(c.reltuples, 0), 0)::int8 AS n FROM unnest($1::text[]) WITH ORDINALITY AS t (name, i)
         LEFT JOIN pg_class c ON c.oid = t.name::regclass ORDER BY t.i`,
        [tables.map(quoted)],
      )
      return rows.map(({ n }) => Number(n))
    },
    rows: (keys) => inSnapshot(() => ofEach(keys, readByKey)),
    stamps: (keys) => inSnapshot(() => ofEach(keys, readStamps)),
    lsn: async () => {
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      return parseLsn(rows[0]!.lsn)
    },
    close: () => disconnect(client),
  }
}

async function copyRows(
  client: pg.Client,
  { table, wide, columns, from }: TableReader,
  before: number,
  take: (change: RowChange, tuple: Tuple) => void,
  progress: (rows: number) => void,
): Promise<number> {
  const stream = client.query(copyTo(`COPY (SELECT ${columns} FROM ${from}) TO STDOUT`))
  const reader = copyReader(wide.columns.length)
  const rowOf = rowReader(wide)
  let rows = before
  for await (const piece of stream as AsyncIterable<Buffer>) {
    for (const tuple of reader.push(piece)) {
      take(changeOf(table, rowOf(tuple)), tuple)
      rows += 1
    }
    progress(rows)
  }
  return rows
}
