/**
 * Many small history files become one. As with a move out of the store, the merged file is made aside, durable and named
 * before one transaction lists it in the place of its parts; the parts stay on disk for readers of an earlier copy. A crash
 * anywhere leaves the old list or the new one, and a file that is in neither is deleted at the next start.
 */
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Projection } from '../schemas/policy/projection.ts'
import { takeName, writeAside } from './analytics-files.ts'
import { historyColumns, literal, names } from './analytics-layout.ts'

/** So many files of one size class become one of the next; each change is then written anew a few times in its life. */
export const FILES_AT_ONCE = 8

interface HistoryFile {
  readonly path: string
  readonly first: bigint
  readonly last: bigint
  readonly rows: number
}

/** Merges one run of neighbouring files if there is one. True when it did, and another may be due. */
export async function mergeFiles(
  connection: DuckDBConnection,
  directory: string,
  projection: Projection,
): Promise<boolean> {
  const { table } = projection
  const rows = await connection.runAndReadAll(`
    SELECT path, first_seq, last_seq, row_count FROM file
    WHERE table_name = ${literal(table)} AND kind = 'history' AND replaced_at IS NULL ORDER BY first_seq`)
  const files = (rows.getRows() as [string, bigint, bigint, bigint][]).map(([path, first, last, count]) => ({
    path,
    first,
    last,
    rows: Number(count),
  }))
  const parts = due(files)
  if (parts === null) return false
  const first = parts[0]!.first
  const last = parts.at(-1)!.last
  const merged = join('history', table, `${first}-${last}.parquet`)
  const paths = parts.map(({ path }) => literal(join(directory, path))).join(', ')
  const columns = names(historyColumns(projection))
  await writeAside(connection, `SELECT ${columns} FROM read_parquet([${paths}])`, join(directory, merged))
  await takeName(join(directory, merged))
  const count = parts.reduce((sum, part) => sum + part.rows, 0)
  await connection.run(`
    BEGIN;
    UPDATE file SET replaced_at = now() WHERE path IN (${parts.map(({ path }) => literal(path)).join(', ')});
    INSERT INTO file VALUES
      (${literal(merged)}, ${literal(table)}, 'history', ${first}, ${last}, ${count}, NULL);
    COMMIT`)
  return true
}

/** The first run of neighbours of one size class that is long enough. A class is a power of {@link FILES_AT_ONCE}. */
function due(files: readonly HistoryFile[]): readonly HistoryFile[] | null {
  const smallest = Math.min(...files.map(({ rows }) => rows))
  const size = ({ rows }: HistoryFile) => Math.floor(Math.log(rows / smallest + 0.5) / Math.log(FILES_AT_ONCE))
  for (let start = 0; start + FILES_AT_ONCE <= files.length; start += 1) {
    const run = files.slice(start, start + FILES_AT_ONCE)
    if (run.every((file) => size(file) <= size(run[0]!))) return run
  }
  return null
}
