/** What must be true of the source before capture may start: each finding is one sentence with the SQL that mends it. */
import type pg from 'pg'
import { PipelineError } from '../../core/error.ts'
import { quoted } from './catalog.ts'
import { CAPTURED_TABLES } from './routes.ts'

/**
 * Checks version, `wal_level`, grants, publication and replica identity; makes the publication when it is missing and
 * the role owns the tables. Rejects with the first finding: SOURCE_VERSION, WAL_LEVEL, GRANT_MISSING, SOURCE_SCHEMA,
 * PUBLICATION or REPLICA_IDENTITY.
 */
export async function preflight(client: pg.Client, publication: string): Promise<void> {
  await checkServer(client)
  await checkRole(client)
  await ensurePublication(client, publication)
  await checkTables(client, publication)
}

async function one(client: pg.Client, sql: string, values: unknown[] = []): Promise<Record<string, string | null>> {
  return (await client.query(sql, values)).rows[0] ?? {}
}

async function checkServer(client: pg.Client): Promise<void> {
  const found = await one(
    client,
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version, current_setting('wal_level') AS wal`,
  )
  if (Number(found['number']) < 150_000) {
    throw new PipelineError(
      'SOURCE_VERSION',
      `the source runs PostgreSQL ${found['version']}, at least 15 is needed`,
      'Upgrade the server, or name another one in DATABASE_URL.',
    )
  }
  if (found['wal'] !== 'logical') {
    throw new PipelineError(
      'WAL_LEVEL',
      `the source has wal_level = ${found['wal']}, logical is needed`,
      `ALTER SYSTEM SET wal_level = 'logical'; then restart the server (on RDS: rds.logical_replication = 1).`,
    )
  }
}

async function checkRole(client: pg.Client): Promise<void> {
  const found = await one(
    client,
    `SELECT rolname AS name, (rolreplication OR rolsuper OR COALESCE((
       SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = 'rds_replication'), false))::text AS replicates
     FROM pg_roles WHERE rolname = current_user`,
  )
  if (found['replicates'] !== 'true') {
    throw new PipelineError(
      'GRANT_MISSING',
      `role ${found['name']} may not replicate`,
      `ALTER ROLE "${found['name']}" REPLICATION; (on RDS: GRANT rds_replication TO "${found['name']}";)`,
    )
  }
}

async function ensurePublication(client: pg.Client, publication: string): Promise<void> {
  const found = await one(
    client,
    `SELECT pubinsert::text AS i, pubupdate::text AS u, pubdelete::text AS d FROM pg_publication WHERE pubname = $1`,
    [publication],
  )
  if (Object.keys(found).length > 0) {
    if (found['i'] === 'true' && found['u'] === 'true' && found['d'] === 'true') return
    throw new PipelineError(
      'PUBLICATION',
      `publication ${publication} does not publish every insert, update and delete`,
      `ALTER PUBLICATION "${publication}" SET (publish = 'insert, update, delete, truncate');`,
    )
  }
  const { rows } = await client.query<{ schema: string; name: string; owned: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_has_role(c.relowner, 'USAGE')::text AS owned
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[]) ORDER BY 1, 2`,
    [[...CAPTURED_TABLES]],
  )
  if (rows.length === 0) {
    throw new PipelineError(
      'SOURCE_SCHEMA',
      'the database has none of the incident tables',
      'Run `incidents source init` on an empty database, or name the incident database in DATABASE_URL.',
    )
  }
  const statement = `CREATE PUBLICATION "${publication}" FOR TABLE ${rows.map(quoted).join(', ')};`
  if (rows.some((row) => row.owned !== 'true')) {
    throw new PipelineError(
      'PUBLICATION',
      `publication ${publication} does not exist and the role does not own the tables`,
      statement,
    )
  }
  try {
    await client.query(statement)
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : ''
    throw new PipelineError('GRANT_MISSING', `publication ${publication} cannot be made: ${said}`, statement, { cause })
  }
}

async function checkTables(client: pg.Client, publication: string): Promise<void> {
  const { rows } = await client.query<{ schema: string; name: string; identity: string; readable: string }>(
    `SELECT p.schemaname AS schema, p.tablename AS name, c.relreplident AS identity,
            has_table_privilege(c.oid, 'SELECT')::text AS readable
     FROM pg_publication_tables p JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', p.schemaname, p.tablename))
     WHERE p.pubname = $1 ORDER BY 1, 2`,
    [publication],
  )
  const unreadable = rows.filter((row) => row.readable !== 'true')
  if (unreadable.length > 0) {
    throw new PipelineError(
      'GRANT_MISSING',
      `the role may not read ${names(unreadable)}`,
      `GRANT SELECT ON ${unreadable.map(quoted).join(', ')} TO CURRENT_USER;`,
    )
  }
  const partial = rows.filter((row) => row.identity !== 'f')
  if (partial.length > 0) {
    throw new PipelineError(
      'REPLICA_IDENTITY',
      `the replica identity of ${names(partial)} is not FULL: deletes would not name their incident`,
      partial.map((row) => `ALTER TABLE ${quoted(row)} REPLICA IDENTITY FULL;`).join(' '),
    )
  }
}

function names(tables: readonly { schema: string; name: string }[]): string {
  const shown = tables.slice(0, 3).map((table) => `${table.schema}.${table.name}`)
  const more = tables.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
