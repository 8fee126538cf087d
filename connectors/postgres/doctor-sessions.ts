/** Transactions that nobody ends: each keeps the slot's WAL from being removed. */
import type pg from 'pg'
import type { Finding } from '../../core/finding.ts'

/** `role` is quoted. */
export async function examineSessions(
  client: pg.Client,
  idleSeconds: number,
  role: string,
): Promise<readonly Finding[]> {
  return [
    ...(await sight(client, role)),
    ...(await idleSessions(client, idleSeconds)),
    ...(await prepared(client, idleSeconds)),
  ]
}

/** What other roles' sessions do is shown to few. */
async function sight(client: pg.Client, role: string): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ sees: string }>(
    `SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::text AS sees`,
  )
  if (rows[0]?.sees === 'true') return []
  return [
    {
      check: 'sessions-seen',
      severity: 'warning',
      found: `role ${role} may not see what other sessions do: one that holds the slot cannot be named`,
      mend: `GRANT pg_read_all_stats TO ${role};`,
    },
  ]
}

async function idleSessions(client: pg.Client, idleSeconds: number): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ pid: string; role: string; seconds: string; writes: string }>(
    `SELECT pid::text, quote_ident(usename) AS role, (backend_xid IS NOT NULL)::text AS writes,
            floor(extract(epoch FROM now() - xact_start))::text AS seconds
     FROM pg_stat_activity
     WHERE state IN ('idle in transaction', 'idle in transaction (aborted)') AND pid <> pg_backend_pid()
       AND backend_type = 'client backend' AND extract(epoch FROM now() - xact_start) >= $1
     ORDER BY xact_start`,
    [idleSeconds],
  )
  return rows.map(({ pid, role, seconds, writes }) => ({
    check: 'session-idle',
    severity: 'warning',
    found:
      `server process ${pid} of role ${role} has been idle in a transaction for ${seconds} s` +
      (writes === 'true' ? ': the slot cannot release WAL until it ends' : ': it keeps a new slot waiting'),
    mend: `SELECT pg_terminate_backend(${pid});`,
  }))
}

async function prepared(client: pg.Client, idleSeconds: number): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ statement: string; xid: string; seconds: string }>(
    `SELECT format('ROLLBACK PREPARED %L;', gid) AS statement, transaction::text AS xid,
            floor(extract(epoch FROM now() - prepared))::text AS seconds
     FROM pg_prepared_xacts
     WHERE database = current_database() AND extract(epoch FROM now() - prepared) >= $1 ORDER BY prepared`,
    [idleSeconds],
  )
  return rows.map(({ statement, xid, seconds }) => ({
    check: 'transaction-prepared',
    severity: 'warning',
    found: `transaction ${xid} was prepared ${seconds} s ago and neither committed nor rolled back: the slot cannot release WAL until it is`,
    mend: `${statement} -- or COMMIT PREPARED, as its owner says`,
  }))
}
