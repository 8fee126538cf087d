/**
 * The source's rows as SQL tells them: all of a snapshot, or some by their keys. The incident of a row comes from a join
 * along the routes, not from what capture knows, so that a route that capture got wrong shows.
 */
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { tableName, type Column, type Row, type RowChange, type Table, type Tuple } from '../core/change.ts'
import { parseLsn, position, type Lsn, type Position } from '../core/position.ts'
import { catalog, quoted } from '../connectors/postgres/catalog.ts'
import { copyReader } from '../connectors/postgres/copy.ts'
import { ROUTES } from '../connectors/postgres/routes.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { rowReader } from '../connectors/postgres/tuples.ts'
import { pgType } from '../schemas/pg-types.ts'
import { keyColumns, keyOf, keyValues, rowKey } from './source-keys.ts'

export interface SourceRow {
  readonly change: RowChange
  /** The row's stamp and its incident: the same as long as nobody wrote the row or moved it to another incident. */
  readonly version: string
  readonly xmin: number
}

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
    rows: (keys) =>
      inSnapshot(async () => {
        const found = new Map<string, SourceRow>()
        for (const [i, wanted] of keys) {
          const reader = readers[i]
          if (reader === undefined || wanted.size === 0 || reader.table.key.length === 0) continue
          await readByKey(client, reader, wanted, (key, row) => found.set(rowKey(i, key), row))
        }
        return found
      }),
    stamps: (keys) =>
      inSnapshot(async () => {
        const found = new Map<string, string>()
        for (const [i, wanted] of keys) {
          const reader = readers[i]
          if (reader === undefined || wanted.size === 0 || reader.table.key.length === 0) continue
          await readStamps(client, reader.table, wanted, (key, stamp) => found.set(rowKey(i, key), stamp))
        }
        return found
      }),
    lsn: async () => {
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      return parseLsn(rows[0]!.lsn)
    },
    close: () => disconnect(client),
  }
}

interface TableReader {
  readonly table: Table
  /** The table's columns and, behind them, the incident's reference. */
  readonly wide: Table
  readonly columns: string
  readonly from: string
}

const TEXT_OID = 25
const REFERENCE: Column = { name: '\u0000reference', oid: TEXT_OID, modifier: -1 }

function tableReader(table: Table): TableReader {
  const { expression, joins } = referenceOf(table)
  return {
    table,
    wide: { ...table, columns: [...table.columns, REFERENCE] },
    columns: [...table.columns.map(({ name }) => `t.${identifier(name)}`), `${expression}::text`].join(', '),
    from: `${quoted(table)} t ${joins}`,
  }
}

function referenceOf(table: Table): { expression: string; joins: string } {
  const joins: string[] = []
  let route = ROUTES.get(tableName(table))
  let alias = 't'
  while (route !== undefined && route.reference === undefined) {
    const { via, parent } = route
    const next = ROUTES.get(parent ?? '')
    if (via === undefined || parent === undefined || next?.key === undefined) break
    const joined = `p${joins.length}`
    joins.push(`LEFT JOIN ${parent} ${joined} ON ${joined}.${identifier(next.key)} = ${alias}.${identifier(via)}`)
    alias = joined
    route = next
  }
  if (route?.reference === undefined) return { expression: 'NULL', joins: '' }
  return { expression: `${alias}.${identifier(route.reference)}`, joins: joins.join(' ') }
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
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

async function readByKey(
  client: pg.Client,
  { table, wide, columns, from }: TableReader,
  wanted: ReadonlySet<string>,
  take: (key: string, row: SourceRow) => void,
): Promise<void> {
  const { condition, values } = byKeys(table, wanted)
  if (values[0]!.length === 0) return
  const { rows } = await client.query({
    text: `SELECT ${columns}, ${STAMP} FROM ${from} WHERE ${condition}`,
    values,
    rowMode: 'array',
  })
  const width = wide.columns.length
  for (const texts of rows as (string | null)[][]) {
    const row: Record<string, Row[string]> = {}
    for (const [i, { name, oid }] of wide.columns.entries()) {
      const text = texts[i] ?? null
      row[name] = text === null ? null : pgType(oid).value(text)
    }
    const version = `${texts[width]} ${texts[width - 1]}`
    take(keyOf(table, row), { change: changeOf(table, row), version, xmin: Number(texts[width]!.split(' ')[0]) })
  }
}

/** Another after each write of the row. */
const STAMP = `t.xmin::text || ' ' || t.ctid::text`

async function readStamps(
  client: pg.Client,
  table: Table,
  wanted: ReadonlySet<string>,
  take: (key: string, stamp: string) => void,
): Promise<void> {
  const { condition, values } = byKeys(table, wanted)
  if (values[0]!.length === 0) return
  const key = table.key.map((name) => table.columns.find((column) => column.name === name)!)
  const { rows } = await client.query({
    text: `SELECT ${key.map(({ name }) => `t.${identifier(name)}`).join(', ')}, ${STAMP} FROM ${quoted(table)} t WHERE ${condition}`,
    values,
    rowMode: 'array',
  })
  for (const texts of rows as string[][]) {
    const row = Object.fromEntries(key.map(({ name, oid }, i) => [name, pgType(oid).value(texts[i]!)]))
    take(keyOf(table, row), texts[key.length]!)
  }
}

/** What is true of the rows `t` with these keys, and its parameters. */
function byKeys(
  table: Table,
  wanted: ReadonlySet<string>,
): { readonly condition: string; readonly values: string[][] } {
  const values = keyValues(table, wanted)
  const key = keyColumns(table)
  const left = key.map(({ name, isText }) => `t.${identifier(name)}${isText ? '::text' : ''}`).join(', ')
  const right = key.map(({ type }, i) => `v.k${i}::${type}`).join(', ')
  const arrays = values.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const names = values.map((_, i) => `k${i}`).join(', ')
  return { condition: `(${left}) IN (SELECT ${right} FROM unnest(${arrays}) AS v (${names}))`, values }
}

const NOWHERE: Position = position(0, 0, 0)

function changeOf(table: Table, row: Row): RowChange {
  const reference = row[REFERENCE.name] ?? null
  return {
    op: 'r',
    table,
    reference: reference as string | null,
    before: null,
    after: row,
    position: NOWHERE,
    lsn: 0,
    committedAt: 0,
    txId: 0,
    partition: 0,
    offset: -1,
    streamedTo: NOWHERE,
    lastInTransaction: true,
    bytes: 0,
  }
}
