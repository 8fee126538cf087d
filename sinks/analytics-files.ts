/**
 * Older history lies in immutable parquet files, so that the store and what is published stay small. Which files count
 * is a table in the store: a file is written aside, made durable and named first, and listed in the transaction that
 * takes its rows out of the store. A file that is not listed is the rest of a crash.
 *
 * With each history file goes one with the newest rows as they then were: the published current rows are these, but for
 * the rows whose newest change is in the store (analytics-latest.ts).
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { latestRows } from './analytics-latest.ts'
import { literal } from './analytics-layout.ts'
import { makeDurable } from './analytics-durable.ts'

const FOLDERS = ['history', 'latest'] as const
/** How long a file outlives its successor, for readers of an earlier published copy. */
const KEPT_FOR = `INTERVAL 1 HOUR`
/** A row is some thirty columns wide; a row group is what the writer holds in memory. */
const PARQUET = '(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 32768)'

/** Moves an entity's history out of the store into files; reads and writes beside the sink's own connection. */
export async function moveToFiles(
  connection: DuckDBConnection,
  directory: string,
  projection: Projection,
): Promise<void> {
  const { table } = projection
  await connection.run('BEGIN')
  const [first, last, count] = (
    await connection.runAndReadAll(`SELECT min(seq), max(seq), count(*) FROM history_${table}`)
  ).getRows()[0] as [bigint, bigint, bigint]
  const history = join(directory, 'history', table, `${first}-${last}.parquet`)
  const latest = join(directory, 'latest', table, `${last}.parquet`)
  await copy(connection, `SELECT * FROM history_${table}`, history)
  await copy(connection, await latestRows(connection, projection), latest)
  await connection.run('COMMIT')
  await publishFile(history)
  await publishFile(latest)
  await connection.run(`
    BEGIN;
    UPDATE file SET replaced_at = now()
      WHERE table_name = ${literal(table)} AND kind = 'latest' AND replaced_at IS NULL;
    INSERT INTO file VALUES
      (${literal(history)}, ${literal(table)}, 'history', ${first}, ${last}, ${count}, NULL),
      (${literal(latest)}, ${literal(table)}, 'latest', NULL, ${last}, NULL, NULL);
    DELETE FROM history_${table} WHERE seq <= ${last};
    COMMIT`)
}

/** Forgets and deletes the files that have been replaced for long enough. */
export async function dropReplacedFiles(connection: DuckDBConnection): Promise<void> {
  const old = `replaced_at < now() - ${KEPT_FOR}`
  const paths = (await connection.runAndReadAll(`SELECT path FROM file WHERE ${old}`)).getRows().map(String)
  if (paths.length === 0) return
  await connection.run(`DELETE FROM file WHERE path IN (${paths.map(literal).join(', ')})`)
  for (const path of paths) rmSync(path, { force: true })
}

/** At start: what is not listed was never part of a committed state. Resolves to the listed files that are missing. */
export async function deleteUnlistedFiles(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
): Promise<string[]> {
  const rows = await connection.runAndReadAll('SELECT path FROM file')
  const listed = new Set(rows.getRows().map(([path]) => String(path)))
  for (const folder of FOLDERS) {
    for (const entity of ENTITIES) {
      const within = join(directory, folder, projections[entity].table)
      if (!existsSync(within)) continue
      for (const name of readdirSync(within)) {
        if (!listed.has(join(within, name))) rmSync(join(within, name))
      }
    }
  }
  return [...listed].filter((path) => !existsSync(path))
}

async function copy(connection: DuckDBConnection, query: string, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  await connection.run(`COPY (${query}) TO ${literal(`${path}.next`)} ${PARQUET}`)
}

async function publishFile(path: string): Promise<void> {
  await makeDurable(`${path}.next`)
  renameSync(`${path}.next`, path)
  await makeDurable(dirname(path))
}
