/**
 * What analysts open while the pipeline runs: `incidents.duckdb`, a file of its own with views over the parquet files
 * and the recent rows as tables. It is made aside and swapped in by a rename, from one snapshot of the store between
 * two of its transactions, so nobody sees half of one.
 */
import { renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { contentOf, continued, fileState, INCOMPLETE, recentTables, type Content } from './analytics-continued.ts'
import { makeDurable } from './analytics-durable.ts'
import { latestOf, listedFiles } from './analytics-latest.ts'
import { historyColumns, LAYOUT, literal, names, rowColumns } from './analytics-layout.ts'
import { POPULATION_FILE, publishReports } from './analytics-reports.ts'

export const PUBLISHED_FILE = 'incidents.duckdb'

/** A copy as it was swapped in. */
export interface Copy {
  readonly bytes: number
  /** What its rows were made of. */
  readonly content: Content
  /** The states of the copy's file and of the population's. */
  readonly files: string
}

/**
 * Makes and swaps in a copy of the store's committed state: out of the copy `before` where that can go on, else anew. What
 * somebody wrote into it is gone either way.
 */
export async function publishCopy(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
  before: Copy | null,
): Promise<Copy> {
  const path = join(directory, PUBLISHED_FILE)
  const next = `${path}.next`
  rmSync(next, { force: true })
  try {
    const population = fileState(join(directory, POPULATION_FILE))
    const filesNow = (): string => `${fileState(path)} ${population}`
    const isAsLeft = (): boolean => before?.files === filesNow()
    const continues =
      before && (await continued(connection, projections, { path, content: before.content, isAsLeft }, next))
    const content = continues ?? (await makeCopy(connection, directory, projections, next))
    await makeDurable(next)
    // An analyst who opened the old copy for writing leaves a log beside it, which would not fit the new one.
    rmSync(`${path}.wal`, { force: true })
    renameSync(next, path)
    await makeDurable(directory)
    return { bytes: statSync(path).size, content, files: filesNow() }
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
}

/** Makes the copy anew; resolves to its content. */
async function makeCopy(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
  next: string,
): Promise<Content> {
  rmSync(next, { force: true })
  // Without a log: the copy is written once, by its checkpoint, and is nothing before that.
  await connection.run(`ATTACH ${literal(next)} AS publication (RECOVERY_MODE NO_WAL_WRITES)`)
  try {
    await connection.run('USE publication; BEGIN')
    const found = await contentOf(connection, projections)
    await publishReports(connection, directory, projections)
    for (const entity of ENTITIES) await copyEntity(connection, directory, projections[entity])
    await connection.run(describe(projections))
    await connection.run('COMMIT; CHECKPOINT publication; USE store; DETACH publication')
    return { ...found, base: found.newest }
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    await connection.run('USE store; DETACH publication').catch(() => {})
    throw error
  }
}

async function copyEntity(connection: DuckDBConnection, directory: string, projection: Projection): Promise<void> {
  const { table } = projection
  const files = await listedFiles(connection, directory, projection)
  const recent = [`recent_tail_${table}`, `recent_history_${table}`]
  await connection.run(recentTables(projection))
  const changes = names(historyColumns(projection))
  const older =
    files.history.length === 0 ? '' : `UNION ALL SELECT ${changes} FROM read_parquet(${list(files.history)})`
  await connection.run(`
    CREATE VIEW history_${table} AS ${recent.map((part) => `SELECT ${changes} FROM ${part}`).join(' UNION ALL ')} ${older};
    COMMENT ON VIEW history_${table} IS 'Every change of both models, once.';
    CREATE VIEW latest_${table} AS ${latestOf(projection, recent, files)};
    COMMENT ON VIEW latest_${table} IS 'The newest state of every row that exists, of both models.';
    ${currentView(projection)};
    COMMENT ON VIEW current_${table} IS
      'The newest state of every row that exists; where an incident has a DPS report, the DPS rows only.';
    ${temporalView(projection)};
    COMMENT ON VIEW temporal_${table} IS
      'Every state of every row with the time it held (UTC): mojap_start_datetime <= t AND mojap_end_datetime > t.';
    CREATE MACRO ${table}_as_of(moment) AS TABLE
      SELECT * FROM temporal_${table} WHERE mojap_start_datetime <= moment AND mojap_end_datetime > moment`)
}

/** The Report comes first in ENTITIES, so that the others may name its view. What belongs to no incident is as it is. */
function currentView({ table, fields }: Projection): string {
  const all = `CREATE VIEW current_${table} AS SELECT * FROM latest_${table}`
  if (!fields.some(({ name }) => name === 'reference')) return all
  return `
    ${all} WHERE source = 'DPS' OR reference NOT IN (SELECT reference FROM latest_report WHERE source = 'DPS')`
}

/**
 * Commit times may step back where positions rise, so a state starts no earlier than those before it; states that one
 * transaction replaced held for no time and are left out.
 */
function temporalView(projection: Projection): string {
  const { table } = projection
  return `
    CREATE VIEW temporal_${table} AS
    SELECT ${names(rowColumns(projection))},
      started AS mojap_start_datetime,
      coalesce(ended, TIMESTAMPTZ '2999-01-01 00:00:00+00') AS mojap_end_datetime,
      ended IS NULL AS mojap_current_record
    FROM (
      SELECT *, lead(started) OVER (PARTITION BY id ORDER BY position) AS ended
      FROM (
        SELECT *, max(committed_at) OVER (PARTITION BY id ORDER BY position ROWS UNBOUNDED PRECEDING) AS started
        FROM history_${table}))
    WHERE NOT deleted AND (ended IS NULL OR started < ended)`
}

/** What the copy says of itself. */
function describe(projections: Projections): string {
  const dictionary = ENTITIES.flatMap((entity) =>
    rowColumns(projections[entity]).map(
      ({ name, type, doc }) =>
        `(${literal(projections[entity].table)}, ${literal(name)}, ${literal(type)}, ${literal(doc)})`,
    ),
  )
  return `
    CREATE TABLE place AS FROM store.place;
    CREATE TABLE incomplete AS ${INCOMPLETE};
    CREATE TABLE publication AS SELECT now() AS published_at, now() AS made_at, ${LAYOUT} AS layout;
    COMMENT ON COLUMN publication.made_at IS 'When its views were made; its tables are as of published_at.';
    CREATE TABLE dictionary (entity VARCHAR, column_name VARCHAR, column_type VARCHAR, description VARCHAR);
    INSERT INTO dictionary VALUES ${dictionary.join(', ')}`
}

function list(paths: readonly string[]): string {
  return `[${paths.map(literal).join(', ')}]`
}
