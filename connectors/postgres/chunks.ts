/**
 * A table in pieces. Rows are read by where they lie (ctid), not by key: a scan of pages needs neither key nor index, reads
 * each page once in order, and can be cut without looking at a row. What an update moves to another page while the pieces
 * are read was in the stream, whole.
 */
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { tableName, type Column, type Table, type Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { catalog, quoted } from './catalog.ts'
import { copyReader } from './copy.ts'
import type { Chunk } from './request-store.ts'
import { ROUTES, snapshotOrder } from './routes.ts'

/** Which rows of a table: what to lock, and the rest of `SELECT columns FROM …`. */
export interface Selection {
  readonly leaf: string
  readonly from: string
}

/** A published table, and what of it is published. */
export interface Published {
  readonly table: Table
  /** The publication's row filter. */
  readonly filter: string | null
  /** Its rows are its partitions'. */
  readonly partitioned: boolean
}

/** By `schema.table`, parents before children. */
export async function publishedTables(client: pg.Client, publication: string): Promise<Map<string, Published>> {
  const tables = await catalog(client).published(publication)
  const { rows } = await client.query<{ name: string; filter: string | null; partitioned: string }>(
    `SELECT p.schemaname || '.' || p.tablename AS name, p.rowfilter AS filter, c.relkind = 'p' AS partitioned
     FROM pg_publication_tables p JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', p.schemaname, p.tablename))
     WHERE p.pubname = $1`,
    [publication],
  )
  const known = new Map(rows.map((row) => [row.name, row]))
  const ordered = tables.toSorted((a, b) => snapshotOrder(tableName(a)) - snapshotOrder(tableName(b)))
  return new Map(
    ordered.map((table) => {
      const { filter = null, partitioned = 'f' } = known.get(tableName(table)) ?? {}
      return [tableName(table), { table, filter, partitioned: partitioned === 't' }]
    }),
  )
}

export interface Plan {
  readonly chunks: readonly Chunk[]
  /** About how many rows there are. */
  readonly expected: number
}

/** What a table takes on disk that is read at once; what lies in memory for a chunk, about. */
export const CHUNK_BYTES = 8 << 20

const LEAVES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS leaf, pg_relation_filenode(t.relid)::text AS filenode,
         ceil(pg_relation_size(t.relid) / current_setting('block_size')::numeric)::int8 AS pages,
         pg_table_size(t.relid) AS bytes, greatest(c.reltuples, 0)::int8 AS rows
  FROM (SELECT coalesce(p.relid, $1::regclass) AS relid, coalesce(p.isleaf, true) AS isleaf
        FROM (SELECT 1) one LEFT JOIN pg_partition_tree($1::regclass) p ON true) t
  JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE t.isleaf AND c.relkind = 'r'
  ORDER BY 1`

/** Cuts a table, with its partitions where it has some. SOURCE_SCHEMA when it is not there any more. */
export async function planTable(client: pg.Client, table: Table, chunkBytes: number): Promise<Plan> {
  const { rows } = await tableErrors(table, () =>
    client.query<Record<'leaf' | 'filenode' | 'pages' | 'bytes' | 'rows', string>>(LEAVES, [quoted(table)]),
  )
  const chunks: Chunk[] = []
  let expected = 0
  for (const row of rows) {
    const pages = Number(row.pages)
    expected += Number(row.rows)
    const step = Math.max(1, Math.floor((pages * chunkBytes) / Math.max(1, Number(row.bytes))))
    for (let first = 0; first < pages; first += step) {
      chunks.push({ leaf: row.leaf, filenode: row.filenode, first, last: Math.min(pages, first + step) })
    }
  }
  return { chunks, expected }
}

/** The rows of a chunk; of those, the ones that the publication's row filter lets through. */
export function chunkSelection({ leaf, first, last }: Chunk, filter: string | null): Selection {
  const range = `ctid >= '(${first},0)' AND ctid < '(${last},0)'`
  return { leaf, from: `ONLY ${leaf} WHERE ${range}${only(filter)}` }
}

/** Rows by primary key. The table has one. */
export function keySelection(published: Published, keys: readonly (readonly string[])[]): Selection {
  const { table } = published
  const columns = keyColumns(table)
  const tuples = keys.map((key) => `(${key.map(literal).join(',')})`).join(',')
  const joined = columns
    .map(({ name, type }, i) => (type === null ? `t.${name}::text = k.c${i}` : `t.${name} = k.c${i}::${type}`))
    .join(' AND ')
  const names = columns.map((_, i) => `c${i}`).join(', ')
  const from = `${source(published)} AS t WHERE EXISTS (SELECT FROM (VALUES ${tuples}) k(${names}) WHERE ${joined})`
  return { leaf: quoted(table), from: `${from}${only(published.filter)}` }
}

/** Every row of these incidents; null for a table that belongs to none. */
export function incidentSelection(
  published: Published,
  references: readonly string[],
  tables: ReadonlyMap<string, Published>,
): Selection | null {
  const where = ofIncidents(published, references, tables)
  if (where === null) return null
  return { leaf: quoted(published.table), from: `${source(published)} WHERE ${where}${only(published.filter)}` }
}

function ofIncidents(
  { table }: Published,
  references: readonly string[],
  tables: ReadonlyMap<string, Published>,
): string | null {
  const route = ROUTES.get(tableName(table))
  if (route === undefined) return null
  if (route.reference !== undefined) {
    const column = table.columns.find(({ name }) => name === route.reference)
    if (column === undefined) return null
    const fitting = references.filter((reference) => fits(column, reference))
    return fitting.length === 0 ? 'false' : `${identifier(column.name)} IN (${fitting.map(literal).join(', ')})`
  }
  const parent = tables.get(route.parent ?? '')
  const key = ROUTES.get(route.parent ?? '')?.key
  if (route.via === undefined || parent === undefined || key === undefined) return null
  const above = ofIncidents(parent, references, tables)
  if (above === null) return null
  return `${identifier(route.via)} IN (SELECT ${identifier(key)} FROM ${source(parent)} WHERE ${above})`
}

const DIGITS: Readonly<Record<number, number>> = { 20: 18, 21: 4, 23: 9 }

/** A reference that an integer column cannot hold names none of its rows. */
function fits({ oid }: Column, reference: string): boolean {
  const digits = DIGITS[oid]
  return digits === undefined || (/^\d+$/.test(reference) && reference.length <= digits)
}

/** A partitioned table's rows are its partitions'; the tables that inherit from another are tables of their own. */
function source({ table, partitioned }: Published): string {
  return `${partitioned ? '' : 'ONLY '}${quoted(table)}`
}

function only(filter: string | null): string {
  return filter === null ? '' : ` AND (${filter})`
}

/** The rows of a selection, a piece of the network after the other. */
export async function* copyRows(client: pg.Client, table: Table, { from }: Selection): AsyncGenerator<Tuple[]> {
  const columns = table.columns.map(({ name }) => identifier(name)).join(', ')
  const stream = client.query(copyTo(`COPY (SELECT ${columns} FROM ${from}) TO STDOUT`))
  const reader = copyReader(table.columns.length)
  for await (const piece of stream as AsyncIterable<Buffer>) {
    const rows = reader.push(piece)
    if (rows.length > 0) yield rows
  }
}

/** What a transaction that reads sees: which transactions were running, and whether the table is still the planned one. */
export interface Seen {
  readonly snapshot: string
  /** The file of the locked table; '' for a partitioned one. */
  readonly filenode: string
  /** Its columns and their types. */
  readonly shape: string
}

/**
 * Begins a transaction that sees one moment. The lock comes before the snapshot: a table that was rewritten behind an
 * older snapshot would look empty in it. SOURCE_SCHEMA when the table is not there any more.
 */
export async function beginReading(client: pg.Client, table: Table, leaf: string): Promise<Seen> {
  return tableErrors(table, async () => {
    await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE ${leaf} IN ACCESS SHARE MODE`)
    const { rows } = await client.query<{ snapshot: string; filenode: string | null; shape: string }>(
      `SELECT pg_current_snapshot()::text AS snapshot, pg_relation_filenode($1::regclass)::text AS filenode,
              (SELECT string_agg(a.attname || ' ' || a.atttypid || ' ' || a.atttypmod, ',' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = $2::regclass AND a.attnum > 0 AND NOT a.attisdropped) AS shape`,
      [leaf, quoted(table)],
    )
    const [row] = rows
    return { snapshot: row!.snapshot, filenode: row!.filenode ?? '', shape: row!.shape }
  })
}

const UNDEFINED = ['42P01', '42703', '3F000', 'XX000']

/** SOURCE_SCHEMA for a table or column that is gone. */
export async function tableErrors<T>(table: Table, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError) || !UNDEFINED.includes(cause.code ?? '')) throw cause
    throw new PipelineError(
      'SOURCE_SCHEMA',
      `${tableName(table)} is not what it was when its rows were asked for: ${cause.message}`,
      'Ask again, if the table is still to be read.',
      { cause },
    )
  }
}

function keyColumns(table: Table): { readonly name: string; readonly type: string | null }[] {
  return table.key.map((name) => {
    const column = table.columns.find((each) => each.name === name)!
    return { name: identifier(name), type: TYPES[column.oid] ?? null }
  })
}

/** Types that an index is looked up by; a key of any other type is compared as text. */
const TYPES: Readonly<Record<number, string>> = {
  16: 'bool',
  17: 'bytea',
  20: 'int8',
  21: 'int2',
  23: 'int4',
  25: 'text',
  1042: 'bpchar',
  1043: 'varchar',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamptz',
  1700: 'numeric',
  2950: 'uuid',
}

export function identifier(name: string): string {
  return pg.escapeIdentifier(name)
}

function literal(text: string): string {
  return pg.escapeLiteral(text)
}
