/**
 * From the staged rows into the history, in bulk.
 *
 * Which change is a row's newest is guarded by its position; what the row holds is in the history. The history takes every change once, in whatever order the
 * partitions bring them: what is newer than the row's stored position cannot be there yet; what is older (the row
 * moved between incidents, or was read outside the stream) is looked up.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { listedFiles } from './analytics-latest.ts'
import { historyColumns, literal, names, type Column } from './analytics-layout.ts'

export interface Apply {
  /** Applies the staged rows of one entity within the connection's open transaction. */
  (entity: Entity): Promise<void>
}

export async function apply(
  connection: DuckDBConnection,
  directory: string,
  projections: Projections,
  rulesVersion: string,
): Promise<Apply> {
  await connection.run('CREATE TEMP TABLE known (id VARCHAR, position VARCHAR, stored BIGINT)')
  const statements = new Map(ENTITIES.map((entity) => [entity, compile(projections[entity], rulesVersion)]))

  return async (entity) => {
    const { know, record, older, replace } = statements.get(entity)!
    await connection.run(know)
    await connection.run(record)
    const [count] = (await connection.runAndReadAll(older)).getRows()[0] ?? []
    if (count !== 0n) await recordOlder(connection, directory, projections[entity], rulesVersion)
    await connection.run(replace)
  }
}

function compile(projection: Projection, rulesVersion: string) {
  const { table } = projection
  const staged = `temp.staged_${table}`
  return {
    know: `
      INSERT INTO temp.known
      SELECT id, position, rowid FROM newest_${table} WHERE id IN (SELECT id FROM ${staged})`,
    record: `
      INSERT INTO history_${table} (${names(historyColumns(projection))})
      SELECT ${selected(projection, rulesVersion)} FROM ${staged} s LEFT JOIN temp.known k USING (id)
      WHERE k.position IS NULL OR s.position > k.position
      QUALIFY row_number() OVER (PARTITION BY s.id, s.position ORDER BY seq DESC) = 1`,
    older: `SELECT count(*) FROM ${staged} s JOIN temp.known k USING (id) WHERE s.position < k.position`,
    replace: `
      DELETE FROM newest_${table} WHERE rowid IN (
        SELECT k.stored FROM temp.known k JOIN ${staged} s USING (id) WHERE s.position > k.position);
      INSERT INTO newest_${table}
      SELECT s.id, max(s.position), arg_max(s.deleted, s.position)
      FROM ${staged} s LEFT JOIN temp.known k USING (id)
      WHERE k.position IS NULL OR s.position > k.position
      GROUP BY s.id;
      TRUNCATE temp.known`,
  }
}

/** Rare, so it may read the files: a change that is older than its row's newest state. */
async function recordOlder(
  connection: DuckDBConnection,
  directory: string,
  projection: Projection,
  rulesVersion: string,
): Promise<void> {
  const { table } = projection
  const files = await listedFiles(connection, directory, projection)
  const stored = [
    `SELECT id, position FROM history_${table}`,
    ...files.history.map((path) => `SELECT id, position FROM read_parquet(${literal(path)})`),
  ]
  await connection.run(`
    INSERT INTO history_${table} (${names(historyColumns(projection))})
    SELECT ${selected(projection, rulesVersion)} FROM temp.staged_${table} s JOIN temp.known k USING (id)
    WHERE s.position < k.position AND (s.id, s.position) NOT IN (${stored.join(' UNION ALL ')})
    QUALIFY row_number() OVER (PARTITION BY s.id, s.position ORDER BY seq DESC) = 1`)
}

/** The history's columns out of the staged ones, as their types. */
function selected(projection: Projection, rulesVersion: string): string {
  return historyColumns(projection)
    .map((column) => `${expression(column, rulesVersion)} AS "${column.name}"`)
    .join(', ')
}

function expression({ name, type }: Column, rulesVersion: string): string {
  if (name === 'rules_version') return literal(rulesVersion)
  if (name === 'committed_at') return 'make_timestamptz(s.committed_at)'
  return /^(DATE|TIMESTAMP)/.test(type) ? `CAST(s."${name}" AS ${type})` : `s."${name}"`
}
