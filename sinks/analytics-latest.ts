/**
 * The newest state of every row: its newest change is either in the recent history, or was folded into the file of
 * newest rows that was written when the history before it became a file.
 */
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Projection } from '../schemas/policy/projection.ts'
import { literal, names, rowColumns } from './analytics-layout.ts'

export interface Files {
  readonly history: readonly string[]
  /** The file of newest rows; null before the first. */
  readonly latest: string | null
}

/** The files of an entity that count, by absolute path. */
export async function listedFiles(
  connection: DuckDBConnection,
  directory: string,
  { table }: Projection,
): Promise<Files> {
  const rows = await connection.runAndReadAll(
    `SELECT kind, path FROM store.file WHERE table_name = ${literal(table)} AND replaced_at IS NULL ORDER BY last_seq`,
  )
  const files = rows.getRows() as [string, string][]
  const latest = files.find(([kind]) => kind === 'latest')
  return {
    history: files.filter(([kind]) => kind === 'history').map(([, path]) => join(directory, path)),
    latest: latest === undefined ? null : join(directory, latest[1]),
  }
}

/** The history in the store behind a change's number, each change with whether it is its row's newest. */
export function recentHistory({ table }: Projection, behind: bigint | string = 0n): string {
  return `
    SELECT h.*, n.id IS NOT NULL AS newest
    FROM store.history_${table} h LEFT JOIN store.newest_${table} n ON h.id = n.id AND h.position = n.position
    WHERE h.seq > ${behind}`
}

/**
 * The rows that exist, of both models, out of parts of {@link recentHistory}, the last part first, and the file. What a
 * part or the file calls newest is so unless an earlier one of the list has a newest change of the row.
 */
export function latestOf(projection: Projection, recent: readonly string[], { latest }: Files): string {
  const rows = names(rowColumns(projection))
  const notIn = (parts: readonly string[]): string =>
    parts.map((part) => ` AND id NOT IN (SELECT id FROM ${part} WHERE newest)`).join('')
  const parts = recent.map(
    (part, i) => `SELECT ${rows} FROM ${part} WHERE newest AND NOT deleted${notIn(recent.slice(0, i))}`,
  )
  if (latest !== null) parts.push(`SELECT ${rows} FROM read_parquet(${literal(latest)}) WHERE true${notIn(recent)}`)
  return parts.join(' UNION ALL ')
}

/** The query for the rows that exist, in the store. */
export async function latestRows(
  connection: DuckDBConnection,
  directory: string,
  projection: Projection,
): Promise<string> {
  const files = await listedFiles(connection, directory, projection)
  return `WITH recent AS MATERIALIZED (${recentHistory(projection)}) ${latestOf(projection, ['recent'], files)}`
}
