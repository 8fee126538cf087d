/** Settings of the server under which the pipeline runs today and stops one day. */
import type pg from 'pg'
import type { Finding } from '../../core/finding.ts'

const SHORTEST_TIMEOUT_MS = 5_000
const RELOAD = 'SELECT pg_reload_conf();'

type Settings = ReadonlyMap<string, number>

const NAMES = [
  'max_slot_wal_keep_size',
  'idle_replication_slot_timeout',
  'wal_sender_timeout',
  'max_wal_senders',
  'logical_decoding_work_mem',
] as const

/** Those that the server does not have are left out. */
export async function examineSettings(client: pg.Client): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])',
    [[...NAMES]],
  )
  const settings: Settings = new Map(rows.map(({ name, setting }) => [name, Number(setting)]))
  return [
    ...walLimit(settings),
    ...idleTimeout(settings),
    ...senderTimeout(settings),
    ...(await senders(client, settings)),
  ]
}

/** In megabytes, -1 is no limit. */
function walLimit(settings: Settings): readonly Finding[] {
  if (settings.get('max_slot_wal_keep_size') !== -1) return []
  return [
    {
      check: 'wal-limit',
      severity: 'warning',
      found:
        'max_slot_wal_keep_size is -1: a capture that stands still fills the disk of the source, which then stops too',
      mend: `ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; ${RELOAD} -- what the disk can spare; a lost slot costs a new snapshot`,
    },
  ]
}

/** PostgreSQL 18 and later; 0 is never. */
function idleTimeout(settings: Settings): readonly Finding[] {
  const seconds = settings.get('idle_replication_slot_timeout') ?? 0
  if (seconds === 0) return []
  return [
    {
      check: 'idle-timeout',
      severity: 'warning',
      found: `idle_replication_slot_timeout is ${seconds} s: a capture that is down for longer loses its slot`,
      mend: `ALTER SYSTEM SET idle_replication_slot_timeout = 0; ${RELOAD}`,
    },
  ]
}

function senderTimeout(settings: Settings): readonly Finding[] {
  const ms = settings.get('wal_sender_timeout') ?? 0
  if (ms === 0 || ms >= SHORTEST_TIMEOUT_MS) return []
  return [
    {
      check: 'sender-timeout',
      severity: 'warning',
      found: `wal_sender_timeout is ${ms} ms: a short pause of the network ends the stream, at least ${SHORTEST_TIMEOUT_MS} ms are needed`,
      mend: `ALTER SYSTEM SET wal_sender_timeout = '60s'; ${RELOAD}`,
    },
  ]
}

async function senders(client: pg.Client, settings: Settings): Promise<readonly Finding[]> {
  const most = settings.get('max_wal_senders') ?? 0
  const { rows } = await client.query<{ used: string }>('SELECT count(*)::text AS used FROM pg_stat_replication')
  if (Number(rows[0]?.used) < most) return []
  return [
    {
      check: 'sender-limit',
      severity: 'error',
      found: `all ${most} WAL senders of the server are in use, capture needs one`,
      mend: `ALTER SYSTEM SET max_wal_senders = ${most + 10}; -- then restart the server`,
    },
  ]
}
