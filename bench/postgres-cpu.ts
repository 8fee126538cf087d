/** What PostgreSQL has cost so far, by who asked. */
import type pg from 'pg'
import { cpuOf } from './cpu.ts'

/** User and system time in microseconds, by application name, of every connection that is open. */
export async function postgresCpu(client: pg.ClientBase): Promise<Record<string, number>> {
  const { rows } = await client.query<{ pid: number; name: string }>(
    `SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS name FROM pg_stat_activity
     WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()`,
  )
  const found: Record<string, number> = {}
  for (const { pid, name } of rows) {
    const key = `PostgreSQL for ${name}`
    found[key] = (found[key] ?? 0) + cpuOf(pid)
  }
  return found
}
