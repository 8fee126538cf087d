/** Connections to the source: every session prints values alike, so that snapshot and stream give the same bytes. */
import pg from 'pg'
import { PipelineError } from '../../core/error.ts'

/** What decides how a value is printed. https://www.postgresql.org/docs/18/runtime-config-client.html */
export const SESSION_OPTIONS =
  '-c datestyle=ISO,YMD -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=3 -c bytea_output=hex ' +
  '-c xmlbinary=base64 -c lc_monetary=C -c statement_timeout=0 -c idle_in_transaction_session_timeout=0'

/** Values stay PostgreSQL's text. */
const TEXT_ONLY = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** An ordinary connection. SOURCE_UNREACHABLE names host, port and database, never the password. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    options: SESSION_OPTIONS,
    types: TEXT_ONLY,
    application_name: 'incidents',
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => {}) // told to whoever awaits a query
  try {
    await client.connect()
  } catch (cause) {
    throw unreachable(url, cause)
  }
  return client
}

export function unreachable(url: string, cause: unknown): PipelineError {
  const { hostname, port, pathname } = new URL(url)
  const said =
    cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : 'no reason given'
  return new PipelineError(
    'SOURCE_UNREACHABLE',
    `the source database ${pathname.slice(1)} at ${hostname}:${port || 5432} does not answer: ${said}`,
    'Check DATABASE_URL, that the server runs and that this host may connect; the pipeline goes on where it was.',
    { cause },
  )
}
