/** What the stream asks of the server before it starts. */
import type pg from 'pg'

export interface ServerSettings {
  /** As `server_version_num` has it: 180001. */
  readonly serverVersion: number
  /** How often to send a status, in milliseconds, so that the server keeps the connection. */
  readonly statusMs: number
}

/** Asks over a session of its own. */
export async function serverSettings(client: pg.Client): Promise<ServerSettings> {
  const { rows } = await client.query<{ version: string; ms: string }>(
    `SELECT current_setting('server_version_num') AS version,
            (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout') AS ms`,
  )
  return { serverVersion: Number(rows[0]?.version ?? 0), statusMs: statusInterval(Number(rows[0]?.ms ?? 0)) }
}

/** A third of the server's patience, ten seconds where it is endless. */
function statusInterval(walSenderTimeoutMs: number): number {
  return walSenderTimeoutMs === 0 ? 10_000 : Math.max(100, Math.min(10_000, walSenderTimeoutMs / 3))
}
