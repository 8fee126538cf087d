/**
 * What must be true of the source before capture may start. Each finding is one sentence, and its remedy is SQL that can
 * be run as it stands by the owner of the tables or a superuser; what is not SQL in it is a comment.
 */
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
  const role = await checkRole(client)
  await ensurePublication(client, publication)
  await checkTables(client, publication, role)
}

async function one(client: pg.Client, sql: string, values: unknown[] = []): Promise<Record<string, string | null>> {
  return (await client.query(sql, values)).rows[0] ?? {}
}

/** SOURCE_VERSION, WAL_LEVEL. */
export async function checkServer(client: pg.Client): Promise<void> {
  const found = await one(
    client,
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version, current_setting('wal_level') AS wal`,
  )
  checkVersion(Number(found['number']), found['version'] ?? 'unknown')
  if (found['wal'] !== 'logical') {
    throw new PipelineError(
      'WAL_LEVEL',
      `the source has wal_level = ${found['wal']}, logical is needed`,
      `ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server (on RDS: set rds.logical_replication = 1 and reboot)`,
    )
  }
}

/** SOURCE_VERSION below PostgreSQL 15. `number` is the server's `server_version_num`. */
export function checkVersion(number: number, version: string): void {
  if (number >= 150_000) return
  throw new PipelineError(
    'SOURCE_VERSION',
    `the source runs PostgreSQL ${version}, at least 15 is needed`,
    'Upgrade the server, or name another one in DATABASE_URL.',
  )
}

/** The role's name, quoted. GRANT_MISSING when it may not replicate. */
export async function checkRole(client: pg.Client): Promise<string> {
  const found = await one(
    client,
    `SELECT quote_ident(rolname) AS name, (rolreplication OR rolsuper OR COALESCE((
       SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = 'rds_replication'), false))::text AS replicates
     FROM pg_roles WHERE rolname = current_user`,
  )
  const name = found['name'] ?? 'CURRENT_USER'
  if (found['replicates'] === 'true') return name
  throw new PipelineError(
    'GRANT_MISSING',
    `role ${name} may not replicate, the attribute REPLICATION is needed`,
    `ALTER ROLE ${name} REPLICATION; -- on RDS: GRANT rds_replication TO ${name};`,
  )
}

const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const

async function ensurePublication(client: pg.Client, publication: string): Promise<void> {
  const missing = await checkPublication(client, publication)
  if (missing === null) return
  if (!missing.owned) throw missing.error
  try {
    await client.query(missing.error.remedy)
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : ''
    const found = `publication ${publication} cannot be made: ${said}`
    throw new PipelineError('GRANT_MISSING', found, missing.error.remedy, { cause })
  }
}

/**
 * PUBLICATION when it leaves an operation out. One that is not there at all is given back instead, and whether the role
 * owns the tables and may therefore make it.
 */
export async function checkPublication(
  client: pg.Client,
  publication: string,
): Promise<{ readonly error: PipelineError; readonly owned: boolean } | null> {
  const found = await one(
    client,
    `SELECT pubinsert::text AS insert, pubupdate::text AS update, pubdelete::text AS delete, pubtruncate::text AS truncate
     FROM pg_publication WHERE pubname = $1`,
    [publication],
  )
  if (Object.keys(found).length > 0) {
    const silent = OPERATIONS.filter((operation) => found[operation] !== 'true')
    if (silent.length === 0) return null
    throw new PipelineError(
      'PUBLICATION',
      `publication ${publication} does not publish ${silent.join(', ')}: every operation is needed`,
      `ALTER PUBLICATION "${publication}" SET (publish = '${OPERATIONS.join(', ')}');`,
    )
  }
  const tables = await incidentTables(client)
  return {
    owned: tables.every((table) => table.owned === 'true'),
    error: new PipelineError(
      'PUBLICATION',
      `publication ${publication} does not exist, and only the owner of the tables may make it`,
      `CREATE PUBLICATION "${publication}" FOR TABLE ${tables.map(quoted).join(', ')};`,
    ),
  }
}

interface FoundTable {
  readonly schema: string
  readonly name: string
}

/** Those of the captured tables that the database has; SOURCE_SCHEMA when it has none. */
async function incidentTables(client: pg.Client): Promise<readonly (FoundTable & { readonly owned: string })[]> {
  const { rows } = await client.query<FoundTable & { owned: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_has_role(c.relowner, 'USAGE')::text AS owned
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY ($1::text[]) ORDER BY 1, 2`,
    [[...CAPTURED_TABLES]],
  )
  if (rows.length > 0) return rows
  throw new PipelineError(
    'SOURCE_SCHEMA',
    'the database has none of the incident tables',
    'Run `incidents source init` on an empty database, or name the incident database in DATABASE_URL.',
  )
}

/** PUBLICATION when it has no table; GRANT_MISSING, REPLICA_IDENTITY. `role` is quoted. */
export async function checkTables(client: pg.Client, publication: string, role: string): Promise<void> {
  const { rows } = await client.query<FoundTable & { identity: string; entered: string; readable: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, c.relreplident AS identity,
            has_schema_privilege(n.oid, 'USAGE')::text AS entered, has_table_privilege(c.oid, 'SELECT')::text AS readable
     FROM pg_publication_tables p
     JOIN pg_namespace n ON n.nspname = p.schemaname
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
     WHERE p.pubname = $1 ORDER BY 1, 2`,
    [publication],
  )
  if (rows.length === 0) {
    const tables = await incidentTables(client)
    throw new PipelineError(
      'PUBLICATION',
      `publication ${publication} has no table`,
      `ALTER PUBLICATION "${publication}" ADD TABLE ${tables.map(quoted).join(', ')};`,
    )
  }
  const closed = [...new Set(rows.filter((row) => row.entered !== 'true').map((row) => row.schema))]
  const unreadable = rows.filter((row) => row.readable !== 'true')
  if (closed.length + unreadable.length > 0) {
    const grants = [
      ...(closed.length === 0 ? [] : [`GRANT USAGE ON SCHEMA ${closed.map(quotedName).join(', ')} TO ${role};`]),
      ...(unreadable.length === 0 ? [] : [`GRANT SELECT ON ${unreadable.map(quoted).join(', ')} TO ${role};`]),
    ]
    const what = unreadable.length > 0 ? names(unreadable) : `schema ${closed.join(', ')}`
    throw new PipelineError('GRANT_MISSING', `role ${role} may not read ${what}`, grants.join(' '))
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

function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function names(tables: readonly FoundTable[]): string {
  const shown = tables.slice(0, 3).map((table) => `${table.schema}.${table.name}`)
  const more = tables.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
