/** A folder's rows as DPR's jobs come to hold them: load files first, then the changes, the newest of each key (dpr 1.4). */
import { join } from 'node:path'
import { readdir } from 'node:fs/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { literal, quoted } from './dpr-raw-columns.ts'
import { readContract } from './dpr-raw-contracts.ts'

/** A row by column name, in the folder's column order, as DuckDB writes it in JSON: int8 and timestamps are text. */
export type DprRow = Readonly<Record<string, unknown>>

/** The current rows of `<source>/<table>` in primary key order; none when the folder has no file. */
export async function readDprTable(directory: string, source: string, table: string): Promise<readonly DprRow[]> {
  const sql = await foldSql(directory, source, table)
  if (sql === null) return []
  const instance = await DuckDBInstance.create(':memory:')
  try {
    const connection = await instance.connect()
    await connection.run(`SET TimeZone = 'UTC'`)
    const reader = await connection.runAndReadAll(sql)
    return reader.getRowObjectsJson()
  } finally {
    instance.closeSync()
  }
}

/**
 * The same as a query for DuckDB, whose TimeZone must be UTC; null when the folder has no file. A load row has the empty
 * `checkpoint_col`, which sorts before every change's.
 */
export async function foldSql(directory: string, source: string, table: string): Promise<string | null> {
  const folder = join(directory, 'raw', source, table)
  const names = await readdir(folder).catch(() => [])
  const files = names
    .filter((name) => /^(LOAD.*|\d+-\d+\.)parquet$/.test(name))
    .map((name) => literal(join(folder, name)))
  if (files.length === 0) return null
  const contract = await readContract(directory, source, table)
  const columns = contract.fields.map((field) => quoted(field.name)).join(', ')
  const key = contract.fields
    .filter((field) => field.key === 'primary')
    .map((field) => quoted(field.name))
    .join(', ')
  return `SELECT ${columns} FROM (
    SELECT *, row_number() OVER (PARTITION BY ${key} ORDER BY checkpoint_col DESC, _timestamp DESC) AS age
    FROM read_parquet([${files.join(', ')}])) WHERE age = 1 AND "Op" <> 'D' ORDER BY ${key}`
}
