/** How the API reads the operational store: read-only, and one snapshot an answer. */
import pg from 'pg'

/** Local times are the source's wall time without a zone, as PostgreSQL prints them but for the T. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === pg.types.builtins.TIMESTAMP) return (text: string) => text.replace(' ', 'T')
    if (oid === pg.types.builtins.DATE) return (text: string) => text
    if (oid === pg.types.builtins.INT8) return Number
    return pg.types.getTypeParser(oid, format) as (text: string) => unknown
  }) as typeof pg.types.getTypeParser,
}

/** A pool of read-only connections. A query that takes longer than 20 s is cancelled. */
export function openDatabase(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 5_000,
    application_name: 'incidents api',
    options:
      '-c default_transaction_read_only=on -c statement_timeout=20000 -c idle_in_transaction_session_timeout=30000 ' +
      '-c datestyle=ISO,YMD -c timezone=UTC -c jit=off',
    types: TYPES,
  })
  pool.on('error', () => {}) // an idle connection ended; the next request opens another
  return pool
}

/** Rows of one or several statements on one snapshot. */
export type Query = <R extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]) => Promise<R[]>

/**
 * Runs `first`, then `work`, on one snapshot of the store, so that an answer never shows part of a transaction and
 * is as new as `first` says.
 */
export async function onSnapshot<R extends pg.QueryResultRow, T>(
  pool: pg.Pool,
  first: string,
  work: (rows: R[], query: Query) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    const begun = (await client.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${first}`,
    )) as unknown as pg.QueryResult<R>[]
    const query: Query = async (sql, values) =>
      (await client.query(sql, values === undefined ? undefined : [...values])).rows
    const result = await work(begun[1]!.rows, query)
    await client.query('COMMIT')
    return result
  } catch (error) {
    failure = error as Error
    throw error
  } finally {
    client.release(failure)
  }
}
