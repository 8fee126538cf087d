/** Which of a flush's rows are written, and as what: by what arrived before them, in this flush or in the journals. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Position } from '../core/position.ts'
import { literal, quoted } from './dpr-raw-columns.ts'
import { folderName, type DprTable } from './dpr-raw-table.ts'

/** One folder's part of a flush, in one shape: rows of before and after a change of its columns lie in two. */
export interface Staged {
  readonly table: DprTable
  /** DuckDB's name of its rows. */
  readonly rowsTable: string
  /** The same folder's parts of the same flush that were begun before. */
  readonly earlier: readonly Staged[]
  /** What its rows cost in the topic. */
  bytes: number
  rows: number
  /** The folder's highest position. */
  readonly folder: { newest: Position }
  /** Between which positions its rows lie that came behind a higher one; null when there are none. */
  doubtful: { readonly from: Position; readonly to: Position } | null
  /** How many rows came as each. */
  readonly ops: Record<StagedOp, number>
}

/** A row read outside the stream is an `L` while the first snapshot lasts, an `R` afterwards. */
export type StagedOp = 'I' | 'U' | 'D' | 'L' | 'R'

/** The primary key as one text: U+001F can be in no key that the policy calls one. */
export function keyExpression(table: DprTable): string {
  const parts = table.columns.filter((column) => column.key).map((column) => `${quoted(column.name)}::VARCHAR`)
  return parts.length === 1 ? parts[0]! : `concat_ws(chr(31), ${parts.join(', ')})`
}

/** What was published of a folder while the first snapshot lasts, as far as it tells loads and inserts from updates. */
export interface Published {
  /** The folder's load files; none afterwards: whatever the stream inserts then was in no snapshot. */
  readonly loadFiles: readonly string[]
  /** Journals of all that was published of it while the first snapshot lasts; none afterwards. */
  readonly duringLoad: readonly string[]
}

/**
 * A load row whose key was published or staged before is a row read again. A first snapshot that is broken off goes on
 * beside the stream: what the stream has brought meanwhile must not be loaded as well, since DPR takes load files first
 * and its operational store would then ignore the I (rule dpr.keys).
 */
export function demoteRepeatedLoads(staged: Staged, published: Published): string {
  const { table, rowsTable, earlier } = staged
  const key = keyExpression(table)
  const first = `SELECT min(rowid) FROM ${rowsTable} GROUP BY ${key}`
  const { duringLoad } = published
  const journaled = `SELECT key FROM read_parquet(${fileList(duringLoad)}) WHERE name = ${literal(folderName(table))}`
  const before = [
    ...loadedKeys(staged, published),
    ...(duringLoad.length === 0 ? [] : [journaled]),
    ...earlier.map((each) => `SELECT ${keyExpression(each.table)} FROM ${each.rowsTable}`),
  ].map((sql) => ` OR ${key} IN (${sql})`)
  return `UPDATE ${rowsTable} SET op = 'R' WHERE op = 'L' AND (rowid NOT IN (${first})${before.join('')})`
}

/**
 * The other way round: an insert of a row that was loaded before is an update, which DPR takes of any row
 * (rule dpr.keys).
 */
export function demoteLoadedInserts(staged: Staged, published: Published): string {
  const { table, rowsTable, earlier } = staged
  const key = keyExpression(table)
  const before = [
    `SELECT ${key} FROM ${rowsTable} WHERE op = 'L'`,
    ...loadedKeys(staged, published),
    ...earlier.map((each) => `SELECT ${keyExpression(each.table)} FROM ${each.rowsTable} WHERE op = 'L'`),
  ].map((sql) => `${key} IN (${sql})`)
  return `UPDATE ${rowsTable} SET op = 'U' WHERE op = 'I' AND (${before.join(' OR ')})`
}

function loadedKeys({ table }: Staged, { loadFiles }: Published): string[] {
  if (loadFiles.length === 0) return []
  return [`SELECT ${keyExpression(table)} FROM read_parquet(${fileList(loadFiles)}, union_by_name = true)`]
}

function fileList(files: readonly string[]): string {
  return `[${files.map(literal).join(', ')}]`
}

/** The lowest position of the rows that may be older than what arrived before them. */
export async function oldestInDoubt(connection: DuckDBConnection, staged: Staged): Promise<Position | null> {
  const streamed = staged.doubtful?.from ?? null
  if (staged.ops.L === 0 && staged.ops.R === 0) return streamed
  const rows = await connection.runAndReadAll(`SELECT min(position) FROM ${staged.rowsTable} WHERE op = 'R'`)
  const read = rows.getRows()[0]![0] as Position | null
  if (read === null || streamed === null) return read ?? streamed
  return read < streamed ? read : streamed
}

/**
 * Row by row: is there one of the same key that arrived before and is not older? Only of the keys of rows in doubt, which
 * after a catching up are a few of the flush's. Loads are exempt: DPR applies them first.
 */
export function dropStale({ table, rowsTable, earlier, doubtful }: Staged, journals: readonly string[]): string {
  const key = keyExpression(table)
  const streamed = doubtful === null ? '' : ` OR (op <> 'L' AND position <= ${literal(doubtful.to)})`
  const doubted = `IN (SELECT ${key} FROM ${rowsTable} WHERE op = 'R'${streamed})`
  const here = `SELECT ${key} AS key, position, rowid AS arrived FROM ${rowsTable} WHERE ${key} ${doubted}`
  const before = [
    ...earlier.map((each) => `SELECT ${keyExpression(each.table)} AS key, position, -1 FROM ${each.rowsTable}`),
    ...(journals.length === 0
      ? []
      : [
          `SELECT key, position, -1 FROM read_parquet(${fileList(journals)}) AS j
          WHERE name = ${literal(folderName(table))} AND key ${doubted}`,
        ]),
  ].map((sql) => ` UNION ALL ${sql}`)
  return `DELETE FROM ${rowsTable} WHERE op <> 'L' AND rowid IN (
    SELECT arrived FROM (SELECT arrived, position, max(position) OVER (
      PARTITION BY key ORDER BY arrived ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS seen
      FROM (${here}${before.join('')})) WHERE seen >= position)`
}
