/** How the source stands: its WAL, the slot, and what its tables were written. */
import type pg from 'pg'
import type { SlotSample } from '../console/hops.ts'

export interface SourceNow {
  readonly slot: (Omit<SlotSample, 'secondsToLoss'> & { readonly confirmedLsn: string }) | null
  readonly wal: number
  readonly lsn: string
  readonly now: number
  readonly written: ReadonlyMap<string, number>
}

/** Rejects when it does not answer. */
export async function readSource(database: pg.Pool, namespace: string): Promise<SourceNow> {
  const [row] = (await database.query<SourceRow>(SOURCE, [namespace])).rows
  const { rows: tables } = await database.query<{ name: string; written: number }>(WRITTEN, [namespace])
  const { name, active, wal_status: walStatus, confirmed, held, left_: leftBytes, wal, lsn, now_: now } = row!
  return {
    slot:
      name === null
        ? null
        : {
            name,
            active: active === true,
            walStatus: walStatus ?? 'unknown',
            confirmedLsn: confirmed ?? '0/0',
            heldBytes: held ?? 0,
            leftBytes,
          },
    wal,
    lsn,
    now,
    written: new Map(tables.map((table) => [table.name, table.written])),
  }
}

interface SourceRow {
  readonly name: string | null
  readonly active: boolean | null
  readonly wal_status: string | null
  readonly confirmed: string | null
  readonly held: number | null
  readonly left_: number | null
  readonly wal: number
  readonly lsn: string
  readonly now_: number
}

const SOURCE = `
  SELECT s.slot_name AS name, s.active, s.wal_status, s.confirmed_flush_lsn::text AS confirmed,
         pg_wal_lsn_diff(w.lsn, s.restart_lsn)::float8 AS held, s.safe_wal_size::float8 AS left_,
         pg_wal_lsn_diff(w.lsn, '0/0')::float8 AS wal, w.lsn::text AS lsn,
         (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_
  FROM (SELECT pg_current_wal_lsn() AS lsn) w LEFT JOIN pg_replication_slots s ON s.slot_name = $1`

const WRITTEN = `
  SELECT p.schemaname || '.' || p.tablename AS name, (s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::float8 AS written
  FROM pg_publication_tables p JOIN pg_stat_user_tables s ON s.schemaname = p.schemaname AND s.relname = p.tablename
  WHERE p.pubname = $1`
