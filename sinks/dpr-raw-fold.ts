/**
 * A folder's rows as DPR's jobs come to hold them: load files first, then the changes, the newest of each key
 * (rule dpr.order).
 */
import { literal, quoted } from './dpr-raw-columns.ts'
import { readContract } from './dpr-raw-contracts.ts'
import { openStorage, type Storage } from './dpr-raw-storage.ts'
import { tableFiles } from './dpr-raw-zone.ts'
import { onDuckDb } from './duckdb.ts'

/** A row by column name, in the folder's column order, as DuckDB writes it in JSON: int8 and timestamps are text. */
export type DprRow = Readonly<Record<string, unknown>>

/** The current rows of `<source>/<table>` in primary key order; none when the folder has no file. */
export async function readDprTable(location: string, source: string, table: string): Promise<readonly DprRow[]> {
  const storage = openStorage(location)
  try {
    const sql = await foldSql(storage, source, table)
    return sql === null ? [] : await query(sql)
  } finally {
    await storage.close()
  }
}

async function query(sql: string): Promise<readonly DprRow[]> {
  return onDuckDb(':memory:', {}, async (connection) => {
    await connection.run(`SET TimeZone = 'UTC'`)
    const reader = await connection.runAndReadAll(sql)
    return reader.getRowObjectsJson()
  })
}

/**
 * The same as a query for DuckDB, whose TimeZone must be UTC; null when the folder has no file. A load row has the empty
 * `checkpoint_col`, which sorts before every change's. The columns are those of the newest file: a contract keeps a
 * column that is gone. The query reads local files, of a bucket those that `storage` fetches: run it before that closes.
 */
export async function foldSql(storage: Storage, source: string, table: string): Promise<string | null> {
  const files = (await tableFiles(storage, source, table)).map(literal)
  const contract = files.length === 0 ? null : await readContract(storage, source, table)
  if (contract === null) return null
  const newest = files.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)).at(-1)!
  const columns = await columnsOf(newest)
  const fields = contract.fields.filter((field) => columns.has(field.name))
  const key = fields
    .filter((field) => field.key === 'primary')
    .map((field) => quoted(field.name))
    .join(', ')
  return `SELECT ${fields.map((field) => quoted(field.name)).join(', ')} FROM (
    SELECT *, row_number() OVER (PARTITION BY ${key} ORDER BY checkpoint_col DESC, _timestamp DESC) AS age
    FROM read_parquet([${files.join(', ')}], union_by_name = true)) WHERE age = 1 AND "Op" <> 'D' ORDER BY ${key}`
}

/** Files of changes come after those of the load. */
function rank(file: string): number {
  return /\/LOAD[^/]*$/.test(file) ? 0 : 1
}

async function columnsOf(file: string): Promise<ReadonlySet<string>> {
  const rows = await query(`DESCRIBE SELECT * FROM read_parquet(${file})`)
  return new Set(rows.map((row) => String(row['column_name'])))
}
