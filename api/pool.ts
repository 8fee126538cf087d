/** The API's connections, and what the values of their rows are in JavaScript. */
import pg from 'pg'

/** Local times are the source's wall time without a zone, as PostgreSQL prints them but for the T; numbers up to 2^53. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === pg.types.builtins.TIMESTAMP) return (text: string) => text.replace(' ', 'T')
    if (oid === pg.types.builtins.DATE) return (text: string) => text
    if (oid === pg.types.builtins.INT8) return Number
    return pg.types.getTypeParser(oid, format) as (text: string) => unknown
  }) as typeof pg.types.getTypeParser,
}

interface PoolOptions {
  readonly name: string
  readonly connections: number
  /** Queries of a connection are sent without waiting for the answers of those before. */
  readonly pipeline?: boolean
  /** As PostgreSQL's command line takes them, beside those of every connection. */
  readonly settings: string
}

/** A connection is worth keeping: a new one has everything to read and to plan again, in the middle of a busy moment. */
const IDLE_MS = 10 * 60_000

/** A query that takes longer than 20 s is cancelled, and a transaction that is left open for 30 s ended. */
export function openPool(url: string, { name, connections, settings, pipeline = false }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    pipeline,
    connectionString: url,
    max: connections,
    idleTimeoutMillis: IDLE_MS,
    connectionTimeoutMillis: 5_000,
    application_name: name,
    options: `-c statement_timeout=20000 -c idle_in_transaction_session_timeout=30000 -c datestyle=ISO,YMD -c jit=off ${settings}`,
    types: TYPES,
  })
  pool.on('error', () => {}) // an idle connection ended; the next request opens another
  return pool
}
