/** How the API reads the operational store: read-only, and one snapshot an answer. */
import type pg from 'pg'
import { openPool } from './pool.ts'

/** A pool of read-only connections. A query that takes longer than 20 s is cancelled. */
export function openDatabase(url: string): pg.Pool {
  return openPool(url, {
    name: 'incidents api',
    connections: 10,
    pipeline: true,
    settings: '-c default_transaction_read_only=on -c timezone=UTC',
  })
}

/** Rows of one or several statements on one snapshot; one with a name is planned once a connection. */
export type Query = <R extends pg.QueryResultRow>(
  sql: string,
  values?: readonly unknown[],
  name?: string,
) => Promise<R[]>

/**
 * Runs `first`, then `work`, on one snapshot of the store, so that an answer never shows part of a transaction and
 * is as new as `first` says. What `work` asks at once is sent with `first`, without waiting for its rows.
 */
export async function onSnapshot<R extends pg.QueryResultRow, T>(
  pool: pg.Pool,
  first: string,
  work: (query: Query) => Promise<T>,
): Promise<{ rows: R[]; result: T }> {
  const client = await pool.connect()
  const query: Query = async (text, values, name) =>
    (await client.query({ text, values: [...(values ?? [])], ...(name === undefined ? {} : { name }) })).rows
  try {
    const begun = client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${first}`) as unknown as Promise<
      pg.QueryResult<R>[]
    >
    const [results, result] = await Promise.all([begun, work(query)])
    // what was read stands, however the transaction ends: no answer waits for that
    void client.query('COMMIT').then(
      () => client.release(),
      (error: Error) => client.release(error),
    )
    return { rows: results[1]!.rows, result }
  } catch (error) {
    client.release(error as Error)
    throw error
  }
}
