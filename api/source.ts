/** How the API writes: ordinary transactions on the incident database, which the pipeline then carries on. */
import type pg from 'pg'
import { openPool } from './pool.ts'

/** A pool that writes. Who waits a second for a row that another transaction holds gives up. */
export function openSource(url: string, connections = 10): pg.Pool {
  return openPool(url, {
    name: 'incidents api writes',
    connections,
    settings: '-c lock_timeout=1000 -c timezone=Europe/London',
  })
}

/** Rows of a statement; one with a name is planned once a connection. */
export type Sql = <R extends pg.QueryResultRow = pg.QueryResultRow>(
  text: string,
  values?: readonly unknown[],
  name?: string,
) => Promise<R[]>

/** How often a transaction that lost a deadlock begins again. */
const TRIES = 3

/** One transaction: all of it or nothing. One that PostgreSQL ends to break a deadlock begins again. */
export async function inTransaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await once(pool, work)
    } catch (error) {
      const { code } = error as { code?: string }
      if ((code !== '40P01' && code !== '40001') || tries === TRIES) throw error
    }
  }
}

async function once<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const sql: Sql = async (text, values, name) =>
    (await client.query({ text, values: [...(values ?? [])], ...(name === undefined ? {} : { name }) })).rows
  try {
    await client.query('BEGIN')
    const result = await work(sql)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => (broken = failure))
    throw error
  } finally {
    client.release(broken)
  }
}
