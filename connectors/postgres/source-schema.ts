/** The source schema: made in an empty database, checked in every other. */
import pg from 'pg'
import { PipelineError } from '../../core/error.ts'
import { CONNECT_MS, unreachable } from './session.ts'
import { MIGRATION_TABLES, SOURCE_TABLES, sourceScript, type SourceTable } from './source-tables.ts'

export type SourceInit = { readonly applied: true } | { readonly applied: false; readonly missing: readonly string[] }

export interface SourceOptions {
  /** The publication's name. */
  readonly publication: string
}

const SCRIPTS = ['dps.sql', 'dps-constants.sql', 'nomis.sql', 'migration.sql', 'replication.sql']
const OLDEST_VERSION = 150_000
const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const

/**
 * Makes schema, constants, replica identities and publication in an empty database, in one transaction. A database
 * that is not empty is never changed: `missing` says what it lacks, one sentence each, and is empty when it lacks
 * nothing. SOURCE_UNREACHABLE, SOURCE_VERSION, GRANT_MISSING.
 */
export async function initSource(url: string, options: SourceOptions): Promise<SourceInit> {
  const client = await connect(url)
  try {
    await client.query('BEGIN')
    // two at the same time: the second waits, then finds the database complete
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('incidents source init'))`)
    await checkVersion(client)
    if (!(await isEmpty(client, options))) {
      const missing = [...(await checkSourceSchema(client, options)), ...(await checkMigrationSchema(client))]
      await client.query('ROLLBACK')
      return { applied: false, missing }
    }
    for (const file of SCRIPTS) await client.query(sourceScript(file))
    await client.query(publicationSql(options))
    await client.query('COMMIT')
    return { applied: true }
  } catch (error) {
    throw refusedBy(error)
  } finally {
    await client.end()
  }
}

/** What a database lacks of the schema migration, one sentence each. SOURCE_UNREACHABLE. */
export async function migrationSchemaLacks(url: string): Promise<string[]> {
  const client = await connect(url)
  try {
    return await checkMigrationSchema(client)
  } finally {
    await client.end()
  }
}

/** What the database lacks of tables, columns, types, keys, replica identity and publication: one sentence each. */
export async function checkSourceSchema(client: pg.ClientBase, options: SourceOptions): Promise<string[]> {
  const found = await readFoundTables(client, SOURCE_TABLES)
  return [...SOURCE_TABLES.flatMap((table) => lacks(table, found)), ...(await publicationLacks(client, options, found))]
}

/**
 * What the database lacks of the schema migration: one sentence that says how to make it when there is nothing of it,
 * else one a thing. Only the API's writes and the migrator need it.
 */
async function checkMigrationSchema(client: pg.ClientBase): Promise<string[]> {
  const found = await readFoundTables(client, MIGRATION_TABLES)
  if (found.size === 0) return ['Schema migration is missing; its owner can make it with schemas/source/migration.sql.']
  return MIGRATION_TABLES.flatMap((table) => shapeLacks(table, found))
}

function lacks(table: SourceTable, found: FoundTables): string[] {
  const sentences = shapeLacks(table, found)
  const there = found.get(`${table.schema}.${table.name}`)
  if (there !== undefined && there.replicaIdentity !== 'f') {
    sentences.push(`The replica identity of ${table.schema}.${table.name} is not FULL.`)
  }
  return sentences
}

function shapeLacks(table: SourceTable, found: FoundTables): string[] {
  const name = `${table.schema}.${table.name}`
  const there = found.get(name)
  if (there === undefined) return [`Table ${name} is missing.`]
  const sentences = table.columns.flatMap((column) => {
    const type = there.types.get(column.name)
    if (type === undefined) return [`Column ${name}.${column.name} (${column.type}) is missing.`]
    if (type !== column.type) return [`Column ${name}.${column.name} is ${type}; it must be ${column.type}.`]
    return []
  })
  const key = there.key.join(', ')
  const wanted = table.key.join(', ')
  if (key === '') sentences.push(`Table ${name} has no primary key; it must be (${wanted}).`)
  else if (key !== wanted) sentences.push(`The primary key of ${name} is (${key}); it must be (${wanted}).`)
  return sentences
}

interface FoundTable {
  readonly types: ReadonlyMap<string, string>
  readonly key: readonly string[]
  /** As pg_class has it: d, n, f or i. */
  readonly replicaIdentity: string
}
type FoundTables = ReadonlyMap<string, FoundTable>

async function readFoundTables(client: pg.ClientBase, tables: readonly SourceTable[]): Promise<FoundTables> {
  const { rows } = await client.query<{
    name: string
    identity: string
    columns: string[]
    types: string[]
    key: string[] | null
  }>(
    `SELECT n.nspname || '.' || c.relname AS name, c.relreplident AS identity,
            array_agg(a.attname::text ORDER BY a.attnum) AS columns,
            array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types,
            (SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey::int2[], k.attnum))
               FROM pg_index i JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey::int2[])
              WHERE i.indrelid = c.oid AND i.indisprimary) AS key
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1)
      GROUP BY c.oid, n.nspname`,
    [[...new Set(tables.map((table) => table.schema))]],
  )
  return new Map(
    rows.map(({ name, identity, columns, types, key }) => [
      name,
      {
        types: new Map(columns.map((column, i) => [column, types[i]!])),
        key: key ?? [],
        replicaIdentity: identity,
      },
    ]),
  )
}

async function publicationLacks(
  client: pg.ClientBase,
  { publication }: SourceOptions,
  found: FoundTables,
): Promise<string[]> {
  const { rows: publications } = await client.query<Record<(typeof OPERATIONS)[number], boolean>>(
    `SELECT pubinsert AS insert, pubupdate AS update, pubdelete AS delete, pubtruncate AS truncate
       FROM pg_publication WHERE pubname = $1`,
    [publication],
  )
  const operations = publications[0]
  if (operations === undefined) return [`Publication ${publication} is missing.`]
  const silent = OPERATIONS.filter((operation) => !operations[operation])
  const { rows } = await client.query<{ name: string; columns: string[]; filtered: boolean }>(
    `SELECT schemaname || '.' || tablename AS name, attnames::text[] AS columns, rowfilter IS NOT NULL AS filtered
       FROM pg_publication_tables WHERE pubname = $1`,
    [publication],
  )
  const published = new Map(rows.map((row) => [row.name, row]))
  return [
    ...(silent.length > 0 ? [`Publication ${publication} does not publish ${silent.join(', ')}.`] : []),
    ...SOURCE_TABLES.flatMap((table) => {
      const name = `${table.schema}.${table.name}`
      const types = found.get(name)?.types
      if (types === undefined) return []
      const entry = published.get(name)
      if (entry === undefined) return [`Table ${name} is not in publication ${publication}.`]
      if (entry.filtered) return [`Publication ${publication} filters the rows of ${name}.`]
      return table.columns
        .filter((column) => types.has(column.name) && !entry.columns.includes(column.name))
        .map((column) => `Publication ${publication} leaves out column ${name}.${column.name}.`)
    }),
  ]
}

/** The statement that makes the publication: every table, every operation. */
export function publicationSql({ publication }: SourceOptions): string {
  const tables = SOURCE_TABLES.map((table) => `${table.schema}.${table.name}`)
  return `CREATE PUBLICATION ${pg.escapeIdentifier(publication)} FOR TABLE ${tables.join(', ')}`
}

/** Nothing of ours, and nothing of anybody's but extensions in the schemas that we would fill. */
async function isEmpty(client: pg.ClientBase, { publication }: SourceOptions): Promise<boolean> {
  const { rows } = await client.query<{ empty: boolean }>(
    `SELECT NOT EXISTS (
              SELECT FROM pg_class c WHERE relnamespace = to_regnamespace('public')
                 AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
                 AND relkind NOT IN ('i', 'c'))
        AND to_regnamespace('nomis') IS NULL
        AND to_regnamespace('migration') IS NULL
        AND NOT EXISTS (SELECT FROM pg_publication WHERE pubname = $1) AS empty`,
    [publication],
  )
  return rows[0]!.empty
}

async function checkVersion(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num')
  const version = Number(rows[0]!.server_version_num)
  if (version >= OLDEST_VERSION) return
  throw new PipelineError(
    'SOURCE_VERSION',
    `The source database runs PostgreSQL ${Math.floor(version / 10_000)}; PostgreSQL 15 or newer is needed.`,
    'Upgrade the server, or point DATABASE_URL to a newer one.',
  )
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS })
  client.on('error', () => {}) // a broken connection rejects the query that waits for it
  try {
    await client.connect()
    return client
  } catch (cause) {
    throw unreachable(url, cause)
  }
}

const INSUFFICIENT_PRIVILEGE = '42501'

function refusedBy(error: unknown): unknown {
  if ((error as { code?: unknown } | null)?.code !== INSUFFICIENT_PRIVILEGE) return error
  return new PipelineError(
    'GRANT_MISSING',
    'The role may not make the source schema in this database.',
    'Grant it CREATE on the database and on the schema public, or run the command as the owner of the database.',
    { cause: error },
  )
}
