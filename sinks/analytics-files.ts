/**
 * Older history lies in immutable parquet files, so that the store and what is published stay small. Which files count
 * is a table in the store: a file is written aside, made durable and named first, and listed in the transaction that
 * takes its rows out of the store. A file that is not listed is the rest of a crash. Listed paths are within the
 * directory, so that it may be moved.
 *
 * With each history file goes one with the newest rows as they then were: the published current rows are these, but for
 * the rows whose newest change is in the store (analytics-latest.ts).
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { foreign } from './analytics-database.ts'
import { makeDurable } from './analytics-durable.ts'
import { latestRows } from './analytics-latest.ts'
import { literal } from './analytics-layout.ts'

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
  const range = await connection.runAndReadAll(`SELECT min(seq), max(seq), count(*) FROM history_${table}`)
  const [first, last, count] = range.getRows()[0] as [bigint, bigint, bigint]
  const history = join('history', table, `${first}-${last}.parquet`)
  const latest = join('latest', table, `${last}.parquet`)
  await writeAside(connection, `SELECT * FROM history_${table}`, join(directory, history))
  await writeAside(connection, await latestRows(connection, directory, projection), join(directory, latest))
  await connection.run('COMMIT')
  await takeName(join(directory, history))
  await takeName(join(directory, latest))
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
export async function dropReplacedFiles(connection: DuckDBConnection, directory: string): Promise<void> {
  const replaced = await connection.runAndReadAll(`SELECT path FROM file WHERE replaced_at < now() - ${KEPT_FOR}`)
  const paths = replaced.getRows().map(([path]) => String(path))
  if (paths.length === 0) return
  await connection.run(`DELETE FROM file WHERE path IN (${paths.map(literal).join(', ')})`)
  for (const path of paths) rmSync(join(directory, path), { force: true })
}

/**
 * At start: what is not listed was never part of a committed state. SINK_FOREIGN, and nothing is deleted, when a file
 * that counts is missing.
 */
export async function deleteUnlistedFiles(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
): Promise<void> {
  const rows = await connection.runAndReadAll('SELECT path, replaced_at IS NULL FROM file')
  const files = rows.getRows() as [string, boolean][]
  const missing = files.find(([path, counts]) => counts && !existsSync(join(directory, path)))
  if (missing !== undefined) throw foreign(directory, `its file ${missing[0]} is missing`)
  const listed = new Set(files.map(([path]) => path))
  for (const kind of ['history', 'latest']) {
    for (const entity of ENTITIES) {
      const folder = join(kind, projections[entity].table)
      if (!existsSync(join(directory, folder))) continue
      for (const name of readdirSync(join(directory, folder))) {
        if (!listed.has(join(folder, name))) rmSync(join(directory, folder, name))
      }
    }
  }
}

/** Writes a query's rows as `<path>.next`. */
export async function writeAside(connection: DuckDBConnection, query: string, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  try {
    await connection.run(`COPY (${query}) TO ${literal(`${path}.next`)} ${PARQUET}`)
  } catch (error) {
    rmSync(`${path}.next`, { force: true })
    throw error
  }
}

/** Gives a file that {@link writeAside} made its name, durably. */
export async function takeName(path: string): Promise<void> {
  await makeDurable(`${path}.next`)
  renameSync(`${path}.next`, path)
  await makeDurable(dirname(path))
}
