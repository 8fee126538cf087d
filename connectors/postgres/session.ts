/** Connections to the source: every session prints values alike, so that snapshot and stream give the same bytes. */
import pg from 'pg'
import { PipelineError } from '../../core/error.ts'

/** What decides how a value is printed. https://www.postgresql.org/docs/18/runtime-config-client.html */
export const SESSION_OPTIONS =
  '-c datestyle=ISO,YMD -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=3 -c bytea_output=hex ' +
  '-c xmlbinary=base64 -c lc_monetary=C -c statement_timeout=0 -c idle_in_transaction_session_timeout=0'

/** Values stay PostgreSQL's text. */
const TEXT_ONLY = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** How long a server may take to answer; well below what makes a stage one that has worked. */
export const CONNECT_MS = 5_000

/** An ordinary connection. SOURCE_UNREACHABLE names host, port and database, never the password. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    options: SESSION_OPTIONS,
    types: TEXT_ONLY,
    application_name: 'incidents',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
  })
  client.on('error', () => {}) // told to whoever awaits a query
  try {
    await client.connect()
  } catch (cause) {
    throw unreachable(url, cause)
  }
  return client
}

/** How long a farewell may take before the socket is cut. */
const FAREWELL_MS = 1_000

/** Ends a session, whatever has become of its network. */
export async function disconnect(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), FAREWELL_MS)
  await client.end().catch(() => {})
  clearTimeout(timer)
}

/** SOURCE_UNREACHABLE: whether nobody answers or the server refuses. */
export function unreachable(url: string, cause: unknown): PipelineError {
  const { hostname, port, pathname } = new URL(url)
  const where = `the source database ${decodeURIComponent(pathname.slice(1))} at ${hostname}:${port || 5432}`
  const refused = cause instanceof pg.DatabaseError
  const said =
    cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : 'no reason given'
  return new PipelineError(
    'SOURCE_UNREACHABLE',
    `${where} ${refused ? 'refuses' : 'does not answer'}: ${said}`,
    refused
      ? 'Check user, password and database in DATABASE_URL, and the server; the pipeline goes on where it was.'
      : 'Check host and port in DATABASE_URL, that the server runs and that this host may connect; the pipeline goes on where it was.',
    { cause },
  )
}

const INSUFFICIENT_PRIVILEGE = '42501'
/** Connection, resources, intervention by an operator, system: what passes without a change of ours. */
const PASSING_CLASSES = ['08', '53', '57', '58']

/** What went wrong with a session in its midst, as the pipeline's own: SOURCE_UNREACHABLE, GRANT_MISSING; others stay. */
export function sourceError(url: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PipelineError) return error
  if (!(error instanceof pg.DatabaseError)) return isBroken(error) ? unreachable(url, error) : error
  if (PASSING_CLASSES.includes(error.code?.slice(0, 2) ?? '')) return unreachable(url, error)
  if (error.code !== INSUFFICIENT_PRIVILEGE) return error
  return new PipelineError(
    'GRANT_MISSING',
    `the source refuses: ${error.message}`,
    'Start again: what is missing is then found and its SQL is printed.',
    { cause: error },
  )
}

/** pg's own sentences carry no code; those of the network do. */
function isBroken(error: Error): boolean {
  const { syscall } = error as NodeJS.ErrnoException
  return (
    ['read', 'write', 'connect'].includes(syscall ?? '') ||
    /^(Connection terminated|Client (was|has) )/.test(error.message)
  )
}
