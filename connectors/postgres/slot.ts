/** The replication slot: made once, waited for, taken over, and never believed without proof. */
import type pg from 'pg'
import { PipelineError } from '../../core/error.ts'
import { epochOf, lsnOf, lsnText, parseLsn, type Lsn, type Position } from '../../core/position.ts'
import type { Tail } from '../../core/tail.ts'
import { lost, takenOver } from './replication-errors.ts'
import type { ReplicationConnection } from './replication.ts'

export interface SourceIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
  /** The end of the source's flushed WAL. */
  readonly flushedTo: Lsn
  readonly database: string
}

export interface Slot {
  readonly name: string
  /** Where the stream begins: everything before is confirmed, or was there before the slot. */
  readonly confirmed: Lsn
  /** The snapshot that ends where the stream begins, as long as the connection that made the slot does nothing else. */
  readonly exported: string | null
}

/** How long a slot that another process reads is waited for before its walsender is ended. */
const TAKEOVER_MS = 5_000
const TERMINATIONS = 4
const TERMINATION_MS = 1_000

export async function identify(replication: ReplicationConnection): Promise<SourceIdentity> {
  const [row] = await replication.query('IDENTIFY_SYSTEM')
  return {
    systemIdentifier: row?.['systemid'] ?? '',
    timeline: Number(row?.['timeline'] ?? 0),
    flushedTo: parseLsn(row?.['xlogpos'] ?? '0/0'),
    database: row?.['dbname'] ?? '',
  }
}

/**
 * Resolves when nobody reads the slot, or there is none: another process is waited for, then its walsender is ended. What
 * the raw topic ends with is only then worth reading. SLOT_IN_USE, SLOT_LOST.
 */
export async function claimSlot(client: pg.Client, name: string, warn: (sentence: string) => void): Promise<void> {
  const reader = async (): Promise<string | null> => (await readSlot(client, name))?.['active_pid'] ?? null
  let pid = await reader()
  if (pid === null) return
  warn(`slot ${name} is read by server process ${pid}: waiting for it`)
  const deadline = performance.now() + TAKEOVER_MS
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    pid = await reader()
    if (pid === null) return
  }
  warn(`slot ${name} is still read by server process ${pid}: ending it and taking over`)
  try {
    // The first signal may leave the walsender writing its farewell to a client that reads nothing; the next ends that too.
    for (let i = 0; i < TERMINATIONS && pid !== null; i++) {
      await client.query('SELECT pg_terminate_backend($1::int, $2::int8)', [pid, TERMINATION_MS])
      pid = await reader()
    }
  } catch (cause) {
    throw inUse(name, pid, cause)
  }
  if (pid !== null) throw inUse(name, pid, undefined)
}

/** The slot, made when neither it nor anything in the raw topic is there. IDENTITY, SLOT_LOST, SLOT_IN_USE, SLOT_LIMIT. */
export async function ensureSlot(
  client: pg.Client,
  replication: ReplicationConnection,
  name: string,
  tails: readonly Tail[],
): Promise<Slot> {
  const found = await readSlot(client, name)
  if (found !== null) return { name, confirmed: parseLsn(found['confirmed'] ?? '0/0'), exported: null }
  if (!isAdopted(tails) && tails.some((tail) => !tail.empty)) {
    throw doubt(`slot ${name} does not exist although the raw topic has changes from it: changes may be missing`)
  }
  return createSlot(replication, name)
}

async function readSlot(client: pg.Client, name: string): Promise<Record<string, string | null> | null> {
  const { rows } = await client.query<Record<string, string | null>>(
    `SELECT active_pid::text, wal_status, confirmed_flush_lsn::text AS confirmed, plugin, database,
            database = current_database() AS here
     FROM pg_replication_slots WHERE slot_name = $1`,
    [name],
  )
  const [slot] = rows
  if (slot === undefined) return null
  if (slot['here'] !== 't' || slot['plugin'] !== 'pgoutput') {
    const owner =
      slot['database'] == null
        ? 'is one for physical replication'
        : `is of database ${slot['database']} and plugin ${slot['plugin']}`
    throw new PipelineError(
      'SLOT_IN_USE',
      `slot ${name} ${owner}, one of this database and plugin pgoutput is needed`,
      `Choose another NAMESPACE, or, if nobody needs the slot: SELECT pg_drop_replication_slot('${name}');`,
    )
  }
  if (slot['wal_status'] === 'lost') throw lost(`the server removed WAL that slot ${name} still needed`)
  return slot
}

const LIMIT_REACHED = '53400'
const EXISTS_ALREADY = '42710'

async function createSlot(replication: ReplicationConnection, name: string): Promise<Slot> {
  try {
    const [row] = await replication.query(`CREATE_REPLICATION_SLOT "${name}" LOGICAL pgoutput (SNAPSHOT 'export')`)
    return { name, confirmed: parseLsn(row?.['consistent_point'] ?? '0/0'), exported: row?.['snapshot_name'] ?? null }
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string }
    if (code === LIMIT_REACHED) {
      throw new PipelineError(
        'SLOT_LIMIT',
        `slot ${name} cannot be made: ${message}`,
        'Raise max_replication_slots and restart the server, or drop a slot that nobody needs (SELECT * FROM pg_replication_slots).',
        { cause },
      )
    }
    if (code === EXISTS_ALREADY) throw takenOver(`another process made slot ${name} at the same moment`, cause)
    throw cause
  }
}

function inUse(name: string, pid: string | null, cause: unknown): PipelineError {
  return new PipelineError(
    'SLOT_IN_USE',
    `slot ${name} is read by server process ${pid}, which cannot be ended`,
    `Stop the other capture, or: SELECT pg_terminate_backend(${pid});`,
    { cause },
  )
}

/** IDENTITY unless slot, topic and source are still those that belong together. */
export function checkIdentity(slot: Slot, source: SourceIdentity, tails: readonly Tail[]): void {
  const markers = tails.flatMap((tail) => (tail.marker === null ? [] : [tail.marker]))
  if (markers.length === 0) {
    if (tails.every((tail) => tail.empty)) return
    throw doubt('the raw topic has changes but no marker')
  }
  if (markers.length < tails.length)
    throw doubt('a partition of the raw topic has no marker: it was emptied or recreated')
  for (const marker of markers) {
    if (marker.systemIdentifier !== source.systemIdentifier) {
      throw doubt(
        `the raw topic comes from cluster ${marker.systemIdentifier}, the source is cluster ${source.systemIdentifier}`,
      )
    }
    if (marker.timeline !== source.timeline) {
      throw doubt(`the raw topic comes from timeline ${marker.timeline}, the source is on timeline ${source.timeline}`)
    }
  }
  const epoch = epochOfTails(tails)
  const newest = Math.max(...markers.map((marker) => lsnOf(marker.position)))
  if (slot.confirmed > newest && !isAdopted(tails)) {
    throw doubt(
      `slot ${slot.name} is confirmed to ${lsnText(slot.confirmed)}, beyond the newest marker ${lsnText(newest)}`,
    )
  }
  for (const tail of tails) {
    if (isOfEpoch(tail.height, epoch) && lsnOf(tail.height) > source.flushedTo) {
      throw doubt(`the raw topic reaches ${lsnText(lsnOf(tail.height))}, the source only ${lsnText(source.flushedTo)}`)
    }
  }
}

/** The epoch that positions have now; 1 for a topic that has none. */
export function epochOfTails(tails: readonly Tail[]): number {
  return Math.max(1, ...tails.map(({ marker }) => (marker === null ? 1 : epochOf(marker.position))))
}

export function isOfEpoch(height: Position, epoch: number): boolean {
  return height !== '' && epochOf(height) === epoch
}

/** Markers begin where the index stands: the slot may have forgotten how far it was, the index never goes back with it. */
export function knownTo({ confirmed }: Slot, floor: Position, epoch: number): Lsn {
  return isOfEpoch(floor, epoch) ? Math.max(confirmed, lsnOf(floor)) : confirmed
}

/**
 * Whether an operator has accepted the source as it is, and nothing has been read since: every partition's newest marker
 * opens an epoch, at LSN 0. The slot may then be made, and everything is read.
 */
export function isAdopted(tails: readonly Tail[]): boolean {
  return (
    tails.length > 0 &&
    tails.every(({ marker }) => marker !== null && lsnOf(marker.position) === 0) &&
    new Set(tails.map(({ marker }) => epochOf(marker!.position))).size === 1
  )
}

/** Never go on in doubt. */
export function doubt(found: string): PipelineError {
  return new PipelineError(
    'IDENTITY',
    found,
    'Find out what was recreated or restored; `incidents source adopt` accepts the source as it is and reads everything again.',
  )
}
