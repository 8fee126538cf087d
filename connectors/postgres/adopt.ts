/** Leaving a source, and accepting one whose history is not the one that the raw topic has. */
import type pg from 'pg'
import type { Marker } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { epochOf, position, type Position } from '../../core/position.ts'
import type { Tail } from '../../core/tail.ts'
import { connectReplication } from './replication.ts'
import { identify } from './slot.ts'
import { openState } from './state.ts'

/** Whether there was one. SLOT_IN_USE as long as somebody reads the slot. */
export async function dropSlot(client: pg.Client, slot: string): Promise<boolean> {
  const { rows } = await client.query<{ pid: string | null }>(
    'SELECT active_pid::text AS pid FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  const [found] = rows
  if (found === undefined) return false
  if (found.pid !== null) {
    throw new PipelineError(
      'SLOT_IN_USE',
      `slot ${slot} is read by server process ${found.pid}`,
      'Stop capture first; it would make the slot again.',
    )
  }
  await client.query('SELECT pg_drop_replication_slot($1)', [slot])
  return true
}

/** Whether there was one. */
export async function dropPublication(client: pg.Client, publication: string): Promise<boolean> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_publication WHERE pubname = $1', [publication])
  if (rowCount === 0) return false
  await client.query(`DROP PUBLICATION "${publication.replaceAll('"', '""')}"`)
  return true
}

export interface AdoptOptions {
  readonly url: string
  readonly slot: string
  readonly stateDirectory: string
  /** What each raw partition ends with. */
  readonly tails: readonly Tail[]
  /** And where. */
  readonly ends: readonly number[]
}

export interface Adoption {
  /** One a partition, in order. */
  readonly markers: readonly Marker[]
  /**
   * By partition, an offset that nobody can have read to in the topic that was there before, if this is another one or
   * shorter: up to there it is to be filled, so that no reader waits for, or skips, what it has never seen.
   */
  readonly behind: readonly number[]
}

/** How much may have been written and read since the topic's ends were noted last. */
const UNNOTED_RECORDS = 20_000

/**
 * Markers that open a new epoch in every partition, with the source's identity as it is now: positions from here on are
 * newer than all that the topic has. Capture then makes its slot anew, reads everything, and deletes what is gone.
 */
export async function adoption(options: AdoptOptions): Promise<Adoption> {
  const { url, slot, stateDirectory, tails, ends } = options
  const replication = await connectReplication({ url, aheadBytes: 1 << 20 })
  const identity = await identify(replication).finally(() => replication.close())
  const state = openState(stateDirectory)
  const known: Position[] = [state.position]
  const behind = state.ends.map((end, partition) => (end > (ends[partition] ?? 0) ? end + UNNOTED_RECORDS : 0))
  state.close()
  for (const { height, marker } of tails) known.push(height, marker?.position ?? height)
  const epoch = 1 + Math.max(1, ...known.filter((each) => each !== '').map(epochOf))
  const markers = tails.map(({ height }, partition): Marker => ({
    op: 'm',
    slot,
    systemIdentifier: identity.systemIdentifier,
    timeline: identity.timeline,
    snapshotDone: false,
    stopped: [],
    position: position(epoch, 0, 0),
    lsn: 0,
    committedAt: Date.now() * 1000,
    txId: 0,
    partition,
    offset: -1,
    streamedTo: height,
    lastInTransaction: true,
    bytes: 0,
  }))
  return { markers, behind }
}
