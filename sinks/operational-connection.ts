/** The store's connection, and PostgreSQL's errors as the pipeline's, without a cell's value: PostgreSQL quotes them. */
import pg from 'pg'
import { PipelineError } from '../core/error.ts'

/** A large merge takes its time, and a large transaction waits for its next piece. */
const SESSION =
  '-c datestyle=ISO,YMD -c timezone=UTC -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 ' +
  '-c lock_timeout=0 -c temp_buffers=64MB -c work_mem=64MB -c jit=off'

/** Values stay PostgreSQL's text. */
const TEXT_ONLY = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** Unqualified names are those of `schema`. SINK when the store does not answer. */
export async function connectStore(url: string, schema: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    options: `${SESSION} -c search_path=${schema}`,
    types: TEXT_ONLY,
    application_name: 'incidents operational',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  client.on('error', () => {}) // told to whoever awaits a query
  try {
    await client.connect()
    // What resolves is durable, even where the database's default says otherwise.
    await client.query(
      `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
    )
  } catch (error) {
    await client.end().catch(() => {})
    throw storeError(error, url)
  }
  return client
}

/** What PostgreSQL or the network reported. */
export function storeError(error: unknown, url: string): PipelineError {
  if (error instanceof PipelineError) return error
  const store = describe(url)
  const code = (error as { code?: unknown } | null)?.code
  if (code === '53100') {
    return new PipelineError(
      'DISK_FULL',
      `no space is left on the device of ${store}`,
      'Free space there; the sink reads on from its last commit.',
    )
  }
  if (code === '25006') {
    return new PipelineError(
      'SINK',
      `${store} takes reads only`,
      'Name the primary in OPERATIONAL_DATABASE_URL, or end its read-only mode; the sink reads on from its last commit.',
    )
  }
  if (code === '42501') {
    return new PipelineError(
      'SINK',
      `the role of ${store} may not do what the sink needs`,
      'Grant it CREATE and TEMPORARY on the database, and give it the schema prisons and its tables; then start again.',
    )
  }
  if (code === '22012') {
    return new PipelineError(
      'SINK',
      `${store} was replaced by one that was built anew`,
      'Nothing: the sink opens the new one and reads on from its places.',
    )
  }
  return new PipelineError(
    'SINK',
    `${store} does not answer or refuses: ${typeof code === 'string' ? code : 'the connection ended'}`,
    'Check OPERATIONAL_DATABASE_URL, the server and the role; the sink reads on from its last commit.',
  )
}

export function foreign(schema: string, found: string): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `the schema ${schema} of the operational store cannot be continued: ${found}`,
    'Start the version that made it, name another database, or move the tables incidents_* away: the sink fills them again from the raw topic.',
  )
}

/** What an earlier version of the pipeline made. */
export function older(schema: string, found: string): PipelineError {
  return new PipelineError(
    'SINK_FOREIGN',
    `the schema ${schema} of the operational store cannot be continued: ${found}`,
    'Run `incidents replay --rebuild --sink operational`: it fills a new store beside this one from the raw topic, and puts it in its place.',
  )
}

/** Never with the password. */
function describe(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `the operational store ${pathname.slice(1)} at ${hostname}:${port || 5432}`
}
