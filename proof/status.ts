/** How far every hop is, and how much time the slot has. */
import { connect } from '../connectors/postgres/session.ts'
import type { Place } from '../core/place.ts'
import { lsnOf, lsnText } from '../core/position.ts'
import { columnKind } from '../schemas/policy/columns.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { publishedAge } from '../sinks/analytics-published.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import { recordCounter } from './record-count.ts'

export interface SlotStatus {
  readonly name: string
  readonly active: boolean
  /** PostgreSQL's own word: reserved, extended, unreserved or lost. */
  readonly walStatus: string
  readonly confirmedLsn: string
  /** WAL that the slot holds on the source's disk. */
  readonly heldBytes: number
  /** WAL that may still be written before the slot is lost; null when there is no limit. */
  readonly leftBytes: number | null
  /** At the rate of the last second; null when nothing limits it or nothing is written. */
  readonly secondsToLoss: number | null
}

export interface ReaderStatus {
  readonly name: string
  /** Records of the raw topic that it has not read yet. */
  readonly behindRecords: number
}

export interface Status {
  /** Null when no source is configured or the slot does not exist. */
  readonly slot: SlotStatus | null
  /** The oldest of the partitions' newest markers. */
  readonly capturedTo: { readonly lsn: string; readonly at: string } | null
  readonly snapshotDone: boolean
  /** Tables whose changes are not followed until they are repaired. */
  readonly stopped: readonly string[]
  readonly rawRecords: number
  readonly deadLetters: number
  /** Columns that nobody has classified, which no output has, by table of the publication; null without a source. */
  readonly unclassified: Readonly<Record<string, readonly string[]>> | null
  readonly readers: readonly ReaderStatus[]
  /** What analysts open: when it was made, and up to which moment of the source it is whole. Null where there is none. */
  readonly publishedCopy: { readonly at: string; readonly wholeTo: string | null } | null
}

export interface StatusOptions {
  readonly databaseUrl: string | undefined
  readonly slot: string
  readonly transport: Transport
  readonly registry: Registry
  readonly raw: Topic
  readonly deadLetters: Topic
  /** Consumer groups by the name they are shown with. */
  readonly groups: ReadonlyMap<string, string>
  /** Where the analytics sink publishes; nothing is said of it without. */
  readonly analyticsDirectory?: string
}

export async function readStatus(options: StatusOptions): Promise<Status> {
  const { raw, deadLetters, registry, transport, groups } = options
  const bounds = await raw.bounds()
  const tails = await readTails(raw, rawDecoder(registry))
  const markers = tails.flatMap((tail) => (tail.marker === null ? [] : [tail.marker]))
  const oldest = markers.toSorted((a, b) => (a.position < b.position ? -1 : 1))[0]
  const readers = await Promise.all(
    [...groups].map(async ([name, group]) => ({
      name,
      behindRecords: behind(bounds, await transport.committed(group, raw)),
    })),
  )
  return {
    slot: options.databaseUrl === undefined ? null : await slotStatus(options.databaseUrl, options.slot),
    capturedTo:
      oldest === undefined
        ? null
        : { lsn: lsnText(lsnOf(oldest.position)), at: new Date(oldest.committedAt / 1000).toISOString() },
    snapshotDone: markers.length === tails.length && markers.every((marker) => marker.snapshotDone),
    stopped: markers.toSorted((a, b) => (a.position < b.position ? 1 : -1))[0]?.stopped ?? [],
    rawRecords: sum(bounds.map(({ low, high }) => high - low)),
    deadLetters: await recordCounter(deadLetters)(),
    unclassified: options.databaseUrl === undefined ? null : await unclassified(options.databaseUrl, options.slot),
    readers,
    publishedCopy: options.analyticsDirectory === undefined ? null : await copyStatus(options.analyticsDirectory),
  }
}

async function copyStatus(directory: string): Promise<Status['publishedCopy']> {
  const age = await publishedAge(directory)
  if (age === null) return null
  return { at: age.publishedAt.toISOString(), wholeTo: age.wholeTo?.toISOString() ?? null }
}

function behind(bounds: Awaited<ReturnType<Topic['bounds']>>, places: ReadonlyMap<number, Place>): number {
  // a reader may have passed the bounds since they were read
  return sum(
    bounds.map(({ low, high }, partition) => Math.max(0, high - Math.max(low, places.get(partition)?.next ?? 0))),
  )
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}

const COLUMNS = `
  SELECT schemaname AS schema, tablename AS name, unnest(attnames)::text AS column
  FROM pg_publication_tables WHERE pubname = $1 ORDER BY 1, 2`

/** Slot and publication have one name. */
async function unclassified(url: string, publication: string): Promise<Record<string, string[]>> {
  const client = await connect(url)
  try {
    const { rows } = await client.query<{ schema: string; name: string; column: string }>(COLUMNS, [publication])
    const found: Record<string, string[]> = {}
    for (const { schema, name, column } of rows) {
      if (columnKind(schema, name, column) === undefined) (found[`${schema}.${name}`] ??= []).push(column)
    }
    return found
  } finally {
    await client.end()
  }
}

const SLOT = `
  SELECT slot_name AS name, active::text, wal_status AS "walStatus", confirmed_flush_lsn::text AS confirmed,
         pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8::text AS held, safe_wal_size::text AS left_,
         pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8::text AS now_
  FROM pg_replication_slots WHERE slot_name = $1`

async function slotStatus(url: string, name: string): Promise<SlotStatus | null> {
  const client = await connect(url)
  try {
    const sample = async (): Promise<Record<string, string | null> | undefined> =>
      (await client.query(SLOT, [name])).rows[0]
    const first = await sample()
    if (first === undefined) return null
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const second = (await sample()) ?? first
    const rate = Number(second['now_']) - Number(first['now_'])
    const left = second['left_'] == null ? null : Number(second['left_'])
    return {
      name,
      active: second['active'] === 'true',
      walStatus: second['walStatus'] ?? 'unknown',
      confirmedLsn: second['confirmed'] ?? '0/0',
      heldBytes: Number(second['held'] ?? 0),
      leftBytes: left,
      secondsToLoss: left === null || rate <= 0 ? null : Math.round(left / rate),
    }
  } finally {
    await client.end()
  }
}
