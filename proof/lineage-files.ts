/** In which file, and where in it, a row stands. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { lsnText } from '../core/position.ts'
import { PUBLISHED_FILE } from '../sinks/analytics-publication.ts'
import { openZone, type ZonePlaces } from '../sinks/dpr-raw-zone.ts'
import { onDuckDb } from '../sinks/duckdb.ts'

export interface FileRow {
  readonly file: string
  /** From 0. */
  readonly row: number
  /** The WAL position that the row itself names; null in load files, which name none. */
  readonly lsn: string | null
}

export interface HistoryRow {
  /** A parquet file, or the published DuckDB file for recent changes. */
  readonly file: string
  /** The table in it; null in a parquet file. */
  readonly table: string | null
  /** From 0: the row of the parquet file, the rowid in the table. */
  readonly row: number
  /** Of the raw topic's record that made it. */
  readonly partition: number
  readonly offset: number
}

/** By id: the newest row of each in `incidents/<table>`, as DPR's jobs take it (rule dpr.order). */
export async function dprRows(
  places: ZonePlaces,
  table: string,
  ids: readonly string[],
): Promise<Map<string, FileRow>> {
  const rows = await dprVersions(places, table, ids)
  return new Map(rows.map(({ id, ...row }) => [id, row]))
}

/** Every row with these ids, the oldest first, as DPR's jobs order them, also in files that they have archived. */
export async function dprVersions(
  places: ZonePlaces,
  table: string,
  ids: readonly string[],
): Promise<(FileRow & { readonly id: string })[]> {
  const zone = openZone(places)
  try {
    return await zone.reading('incidents', table, async (files) => {
      if (files.length === 0 || ids.length === 0) return []
      const rows = await onDuckDb(':memory:', {}, (connection) =>
        query(
          connection,
          `SELECT id, file_index, file_row_number, checkpoint_col
             FROM read_parquet(${list(files.map(({ local }) => local))}, file_row_number = true, union_by_name = true)
             WHERE id IN (${ids.map(literal).join(', ')}) ORDER BY checkpoint_col NULLS FIRST, _timestamp`,
        ),
      )
      return rows.map(([id, file, row, checkpoint]) => ({
        id: String(id),
        file: files[Number(file)]!.path,
        row: Number(row),
        lsn: lsnOfCheckpoint(checkpoint),
      }))
    })
  } finally {
    await zone.close()
  }
}

/** Its last 19 digits, in which an insert counts one more: records of the WAL begin every eight bytes. */
function lsnOfCheckpoint(checkpoint: unknown): string | null {
  const text = typeof checkpoint === 'string' ? checkpoint : ''
  const number = Number(text.slice(-19))
  return text === '' ? null : lsnText(number - (number % 8))
}

/** By `id/position`: every change of these rows, in parquet or among the recent ones of the published file. */
export async function analyticsRows(
  directory: string,
  table: string,
  ids: readonly string[],
): Promise<Map<string, HistoryRow>> {
  const found = new Map<string, HistoryRow>()
  const where = `WHERE id IN (${ids.map(literal).join(', ')})`
  const published = join(directory, PUBLISHED_FILE)
  const folder = join(directory, 'history', table)
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.parquet'))
  await onDuckDb(published, { access_mode: 'READ_ONLY' }, async (connection) => {
    if (files.length > 0) {
      const older = `SELECT id, position, topic_partition, topic_offset, filename, file_row_number
        FROM read_parquet(${list(files.map((name) => join(folder, name)))}, filename = true, file_row_number = true)`
      for (const [id, position, partition, offset, file, row] of await query(connection, `${older} ${where}`)) {
        const record = { partition: Number(partition), offset: Number(offset) }
        found.set(`${String(id)}/${String(position)}`, {
          file: String(file),
          table: null,
          row: Number(row),
          ...record,
        })
      }
    }
    for (const recent of [`recent_history_${table}`, `recent_tail_${table}`]) {
      const newer = `SELECT id, position, topic_partition, topic_offset, rowid FROM ${recent}`
      for (const [id, position, partition, offset, row] of await query(connection, `${newer} ${where}`)) {
        const record = { partition: Number(partition), offset: Number(offset) }
        found.set(`${String(id)}/${String(position)}`, { file: published, table: recent, row: Number(row), ...record })
      }
    }
  })
  return found
}

async function query(connection: DuckDBConnection, sql: string): Promise<unknown[][]> {
  return (await connection.runAndReadAll(sql)).getRows()
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function list(paths: readonly string[]): string {
  return `[${paths.map(literal).join(', ')}]`
}
