/** A database of its own for a test file or a test. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

export interface TestDatabase {
  readonly url: string
  readonly name: string
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<R[]>
  /** Drops a slot once its walsender has ended, which takes a moment longer than who it sent to. */
  dropSlot(slot: string): Promise<void>
  /** Drops it with its slots and connections. */
  drop(): Promise<void>
}

export async function testDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl')
  const name = `t_${randomBytes(6).toString('hex')}`
  await once(server, `CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const pool = new pg.Pool({ connectionString: url.href, max: 4 })
  pool.on('error', () => {})
  const query: TestDatabase['query'] = async (sql, values) =>
    (await pool.query(sql, values === undefined ? undefined : [...values])).rows as never
  return {
    url: url.href,
    name,
    query,
    dropSlot: async (slot) => {
      const active = 'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active'
      while ((await query(active, [slot])).length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
      await query('SELECT pg_drop_replication_slot($1)', [slot])
    },
    drop: async () => {
      await pool.end()
      await once(
        server,
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '${name}' AND active_pid IS NOT NULL`,
      )
      for (let i = 0; i < 50; i++) {
        const left = await once(
          server,
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}' AND NOT active`,
        ).then(
          () => once(server, `SELECT 1 FROM pg_replication_slots WHERE database = '${name}'`),
          () => 1,
        )
        if (left === 0) break
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      await once(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    },
  }
}

async function once(url: string, sql: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rowCount ?? 0
  } finally {
    await client.end()
  }
}
