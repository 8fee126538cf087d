/** The tables of the analytics store: what they are called, their columns, and whether a store is ours. */
import { createHash } from 'node:crypto'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { FieldType } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { foreign } from './analytics-database.ts'

/** Raised whenever a store of before cannot be continued. */
export const LAYOUT = 1

export interface Column {
  readonly name: string
  readonly type: string
  readonly doc: string
}

/**
 * Ids stay text: they join as text everywhere else, Glue has no UUID, and parquet's is raw bytes to many readers.
 * The price is 35 ms a write with three million rows (65 instead of 30).
 */
const SQL_TYPES: Readonly<Record<FieldType, string>> = {
  uuid: 'VARCHAR',
  string: 'VARCHAR',
  int: 'INTEGER',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  localTimestamp: 'TIMESTAMP',
}

export function fieldColumns(projection: Projection): Column[] {
  return projection.fields.map(({ column, type, doc }) => ({ name: column, type: SQL_TYPES[type], doc }))
}

/** Which change made a row, wherever the row is shown. */
export const LINEAGE: readonly Column[] = [
  {
    name: 'position',
    type: 'VARCHAR',
    doc: 'Where the change sits in the source’s history; text order is history order.',
  },
  { name: 'lsn', type: 'BIGINT', doc: 'The WAL position of the row’s own record.' },
  { name: 'committed_at', type: 'TIMESTAMPTZ', doc: 'When the source committed the change.' },
  { name: 'rules_version', type: 'VARCHAR', doc: 'The rules and policy that made the row.' },
]

/** What the history has beside the fields and the lineage. */
export const HISTORY: readonly Column[] = [
  { name: 'op', type: 'VARCHAR', doc: 'c insert, u update, d delete, r read outside the stream.' },
  { name: 'deleted', type: 'BOOLEAN', doc: 'True when the change removed the row; the fields are its last state.' },
  { name: 'tx_id', type: 'BIGINT', doc: 'The source’s transaction; 0 outside the stream.' },
  { name: 'topic_partition', type: 'INTEGER', doc: 'The raw topic’s partition.' },
  { name: 'topic_offset', type: 'BIGINT', doc: 'The raw topic’s offset.' },
  { name: 'seq', type: 'BIGINT', doc: 'The order in which this store took the changes.' },
]

export function historyColumns(projection: Projection): Column[] {
  return [...fieldColumns(projection), ...LINEAGE, ...HISTORY]
}

export function rowColumns(projection: Projection): Column[] {
  return [...fieldColumns(projection), ...LINEAGE]
}

/** A quoted list of names, each behind `prefix`. */
export function names(columns: readonly Pick<Column, 'name'>[], prefix = ''): string {
  return columns.map(({ name }) => `${prefix}"${name}"`).join(', ')
}

/** A text as SQL writes it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Makes the tables of a new store; SINK_FOREIGN when an old one was made by another layout, contract or pseudonym key. */
export async function prepareLayout(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
): Promise<void> {
  const found = await connection.runAndReadAll(
    `SELECT table_name FROM information_schema.tables WHERE table_catalog = 'store' AND table_schema = 'main'`,
  )
  const tables = new Set(found.getRows().map(([name]) => String(name)))
  if (tables.size === 0) return makeTables(connection, projections)
  if (!tables.has('layout')) throw foreign(directory, 'store.duckdb holds tables that this pipeline did not make')
  const { version, contract, pseudonyms } = await readLayout(connection)
  if (version !== LAYOUT) throw foreign(directory, `its layout is ${version}, this version needs ${LAYOUT}`)
  if (contract !== contractDigest(projections)) throw foreign(directory, 'it was made for other entity contracts')
  if (pseudonyms !== pseudonymProbe(projections)) throw foreign(directory, 'its pseudonyms were made with another key')
}

async function readLayout(connection: DuckDBConnection) {
  const rows = await connection.runAndReadAll('SELECT version, contract, pseudonyms FROM layout')
  const [version, contract, pseudonyms] = rows.getRows()[0] ?? []
  return { version: Number(version), contract, pseudonyms }
}

async function makeTables(connection: DuckDBConnection, projections: Projections): Promise<void> {
  await connection.run('BEGIN')
  for (const entity of ENTITIES) {
    const projection = projections[entity]
    await connection.run(`CREATE TABLE history_${projection.table} (${definitions(historyColumns(projection))})`)
    // Of every row ever seen, deleted ones too: the guard. Its columns are few, because each change rewrites them.
    await connection.run(`CREATE TABLE newest_${projection.table} (id VARCHAR, position VARCHAR, deleted BOOLEAN)`)
  }
  await connection.run(`
    CREATE TABLE place (topic_partition INTEGER PRIMARY KEY, next_offset BIGINT, height VARCHAR,
                        passed VARCHAR, passed_at TIMESTAMPTZ);
    CREATE TABLE incomplete (source_table VARCHAR, source_key VARCHAR, reference VARCHAR, code VARCHAR,
                             position VARCHAR, healed BOOLEAN);
    CREATE TABLE file (path VARCHAR, table_name VARCHAR, kind VARCHAR, first_seq BIGINT, last_seq BIGINT,
                       row_count BIGINT, replaced_at TIMESTAMPTZ);
    CREATE TABLE layout (version INTEGER, contract VARCHAR, pseudonyms VARCHAR);
    INSERT INTO layout VALUES (${LAYOUT}, ${literal(contractDigest(projections))},
                               ${literal(pseudonymProbe(projections))});
    COMMIT`)
}

/** Columns as CREATE TABLE has them. */
export function definitions(columns: readonly Column[]): string {
  return columns.map(({ name, type }) => `"${name}" ${type}`).join(', ')
}

function contractDigest(projections: Projections): string {
  const shape = ENTITIES.map((entity) => [
    projections[entity].table,
    fieldColumns(projections[entity]).map(nameAndType),
  ])
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 16)
}

function nameAndType({ name, type }: Column): string {
  return `${name} ${type}`
}

/** What a known text becomes: a store with pseudonyms of two keys would count one person twice. */
function pseudonymProbe(projections: Projections): string {
  const report = projections.Report
  const at = report.fields.findIndex(({ column }) => column === 'reported_by_pseudonym')
  return String(report.project({ reportedBy: 'probe' })[at] ?? '')
}
