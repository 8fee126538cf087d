/** Whether the slot keeps what capture still needs, and how long it will. */
import type pg from 'pg'
import type { Finding } from '../../core/finding.ts'

/** Less time than this until the slot is lost is an error. */
const URGENT_SECONDS = 3600
/** More than this share of the limit is a warning. */
const SPENT = 0.5
/** Without a limit: so much WAL held is worth a look. */
const HELD_BYTES = 10 << 30

interface FoundSlot {
  readonly active: boolean
  readonly walStatus: string
  readonly plugin: string | null
  readonly here: boolean
  readonly invalid: string | null
  readonly held: number
  readonly left: number | null
  readonly now: number
}

export interface SlotExamination {
  readonly slot: string
  readonly sampleMs: number
}

export async function examineSlot(client: pg.Client, { slot, sampleMs }: SlotExamination): Promise<readonly Finding[]> {
  const first = await readSlot(client, slot)
  if (first === null) return freeSlots(client, slot)
  if (!first.here || first.plugin !== 'pgoutput') return [foreign(slot)]
  if (first.walStatus === 'lost') return [lost(slot, first.invalid)]
  await new Promise((resolve) => setTimeout(resolve, sampleMs))
  const second = (await readSlot(client, slot)) ?? first
  return [
    ...(second.active ? [] : [unread(slot, second)]),
    ...spent(slot, second, ((second.now - first.now) * 1000) / sampleMs),
  ]
}

async function readSlot(client: pg.Client, slot: string): Promise<FoundSlot | null> {
  const { rows } = await client.query<Record<string, string | null>>(
    `SELECT active::text, wal_status, plugin, (database = current_database())::text AS here,
            to_json(s)->>'invalidation_reason' AS invalid, safe_wal_size::text AS left_,
            pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8::text AS held,
            pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8::text AS now_
     FROM pg_replication_slots s WHERE slot_name = $1`,
    [slot],
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    active: row['active'] === 'true',
    walStatus: row['wal_status'] ?? 'unknown',
    plugin: row['plugin'] ?? null,
    here: row['here'] === 'true',
    invalid: row['invalid'] ?? null,
    held: Number(row['held'] ?? 0),
    left: row['left_'] == null ? null : Number(row['left_']),
    now: Number(row['now_'] ?? 0),
  }
}

/** Capture makes the slot by itself where there is room for one. */
async function freeSlots(client: pg.Client, slot: string): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ free: string }>(
    `SELECT (current_setting('max_replication_slots')::int - count(*))::text AS free FROM pg_replication_slots`,
  )
  if (Number(rows[0]?.free) > 0) return []
  return [
    {
      check: 'slot-limit',
      severity: 'error',
      found: `no replication slot is free for ${slot}`,
      mend: `ALTER SYSTEM SET max_replication_slots = 20; -- then restart the server; or drop one that nobody needs: SELECT slot_name FROM pg_replication_slots`,
    },
  ]
}

function foreign(slot: string): Finding {
  return {
    check: 'slot-owner',
    severity: 'error',
    found: `slot ${slot} is of another database or plugin, one of this database and plugin pgoutput is needed`,
    mend: `-- choose another NAMESPACE, or, if nobody needs the slot: SELECT pg_drop_replication_slot('${slot}')`,
  }
}

function lost(slot: string, reason: string | null): Finding {
  return {
    check: 'slot-lost',
    severity: 'error',
    found: `the server has given up slot ${slot}${reason === null ? '' : ` (${reason})`}: WAL that capture needed is gone`,
    mend: `SELECT pg_drop_replication_slot('${slot}'); -- then: incidents source adopt`,
  }
}

function unread(slot: string, { held }: FoundSlot): Finding {
  return {
    check: 'slot-active',
    severity: 'warning',
    found: `nobody reads slot ${slot}, which holds ${megabytes(held)} of WAL on the source's disk`,
    mend: `-- start capture (incidents run, or incidents capture); if it is not to come back: SELECT pg_drop_replication_slot('${slot}')`,
  }
}

function spent(slot: string, { walStatus, held, left }: FoundSlot, bytesPerSecond: number): readonly Finding[] {
  const seconds = left === null || bytesPerSecond <= 0 ? null : Math.round(left / bytesPerSecond)
  const room = left === null ? 'there is no limit' : `${megabytes(left)} are left`
  const time = seconds === null ? '' : `, ${seconds} s at the present rate`
  const found = `slot ${slot} holds ${megabytes(held)} of WAL (${walStatus}); ${room}${time}`
  const urgent = walStatus === 'unreserved' || (seconds !== null && seconds < URGENT_SECONDS)
  const worth = urgent || (left === null ? held > HELD_BYTES : held > SPENT * (held + left))
  if (!worth) return []
  const gigabytes = Math.max(2, Math.ceil((held * 4) / 2 ** 30))
  return [
    {
      check: 'slot-room',
      severity: urgent ? 'error' : 'warning',
      found,
      mend: `ALTER SYSTEM SET max_slot_wal_keep_size = '${gigabytes}GB'; SELECT pg_reload_conf(); -- and see with incidents status what capture waits for`,
    },
  ]
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
