/** How far the store is in each partition: what is committed, and what the open transaction adds. */
import type pg from 'pg'
import { isStreamed, type Change } from '../core/change.ts'
import type { Place, Places } from '../core/place.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { microsIso } from '../schemas/iso-time.ts'
import { literal } from './operational-layout.ts'

interface StorePlace extends Place {
  /** The newest marker's position; '' when there is none. */
  readonly marker: Position
  /** When the source had committed everything before the marker: microseconds since the Unix epoch. */
  readonly markerAt: number
  /** Whether every row of the first snapshot lies before the marker. */
  readonly snapshotDone: boolean
  /** The tables that are no longer followed, as the marker says. */
  readonly stopped: readonly string[]
}

const START: StorePlace = {
  next: 0,
  height: BEGINNING,
  marker: BEGINNING,
  markerAt: 0,
  snapshotDone: false,
  stopped: [],
}

export interface Reached {
  /** Moves on behind this change. False when the store has it already. */
  take(change: Change): boolean
  /** Partitions whose transaction has come in part. */
  readonly midway: ReadonlySet<number>
  /** Whether anything has been taken since the last commit. */
  readonly moved: boolean
  /** Raises the stored places; '' when nothing has moved. */
  sql(): string
  /** What has been taken is committed. */
  commit(): void
  /** What has been taken of these partitions is forgotten, and their committed places are read again. */
  restart(partitions: readonly number[]): Promise<Places>
}

export async function reached(client: pg.Client): Promise<Reached> {
  const committed = new Map<number, StorePlace>()
  const pending = new Map<number, StorePlace>()
  const midway = new Set<number>()
  await read()

  async function read(): Promise<void> {
    const { rows } = await client.query<
      Record<'partition' | 'next' | 'height' | 'marker' | 'at' | 'done' | 'stopped', string>
    >(
      `SELECT "partition", next, height, marker, snapshot_done AS done, to_jsonb(stopped)::text AS stopped,
              coalesce((extract(epoch FROM marker_committed_at) * 1000000)::bigint, 0) AS at
       FROM incidents_place`,
    )
    committed.clear()
    for (const { partition, next, height, marker, at, done, stopped } of rows) {
      committed.set(Number(partition), {
        next: Number(next),
        height: height as Position,
        marker: marker as Position,
        markerAt: Number(at),
        snapshotDone: done === 't',
        stopped: JSON.parse(stopped) as string[],
      })
    }
  }

  return {
    take(change) {
      const { partition } = change
      const before = pending.get(partition) ?? committed.get(partition) ?? START
      pending.set(partition, behind(before, change))
      if (isStored(change, before)) return false
      if (ends(change)) midway.delete(partition)
      else midway.add(partition)
      return true
    },
    midway,
    get moved() {
      return pending.size > 0
    },
    sql: () => (pending.size === 0 ? '' : raise(pending)),
    commit() {
      for (const [partition, place] of pending) committed.set(partition, place)
      pending.clear()
    },
    async restart(partitions) {
      for (const partition of partitions) {
        pending.delete(partition)
        midway.delete(partition)
      }
      await read()
      const asked = partitions.map((partition) => [partition, committed.get(partition) ?? START] as const)
      return new Map(asked.flatMap(([p, { next, height }]) => (next === 0 ? [] : [[p, { next, height }] as const])))
    },
  }
}

function behind(place: StorePlace, change: Change): StorePlace {
  const next = Math.max(place.next, change.offset + 1)
  if (isStreamed(change))
    return { ...place, next, height: change.position > place.height ? change.position : place.height }
  if (change.op !== 'm' || change.position <= place.marker) return { ...place, next }
  const { position: marker, committedAt: markerAt, snapshotDone, stopped } = change
  return { ...place, next, marker, markerAt, snapshotDone, stopped }
}

/**
 * Streamed positions rise within a partition, so what is not above its height is here. A row read outside the stream
 * is here when both its offset and a marker have been passed; what was deleted since may be forgotten by now, so such
 * a row must not be looked at again.
 */
function isStored(change: Change, place: StorePlace): boolean {
  const { op, offset, position } = change
  if (op === 'm') return false
  if (isStreamed(change)) return position <= place.height
  return offset < place.next && place.snapshotDone && position <= place.marker
}

function ends(change: Change): boolean {
  return change.lastInTransaction || !isStreamed(change)
}

function raise(places: ReadonlyMap<number, StorePlace>): string {
  const rows = [...places]
    .sort(([a], [b]) => a - b)
    .map(([partition, { next, height, marker, markerAt, snapshotDone, stopped }]) => {
      const at = marker === BEGINNING ? 'NULL' : literal(`${microsIso(markerAt)}Z`)
      return `(${partition}, ${next}, ${literal(height)}, ${literal(marker)}, ${at}, ${snapshotDone}, ARRAY[${stopped.map(literal).join(', ')}]::text[])`
    })
  return `
    INSERT INTO incidents_place AS p ("partition", next, height, marker, marker_committed_at, snapshot_done, stopped)
    VALUES ${rows.join(', ')}
    ON CONFLICT ("partition") DO UPDATE SET
      next = greatest(p.next, excluded.next), height = greatest(p.height, excluded.height),
      marker = greatest(p.marker, excluded.marker),
      marker_committed_at = CASE WHEN excluded.marker > p.marker THEN excluded.marker_committed_at
                                 ELSE p.marker_committed_at END,
      snapshot_done = CASE WHEN excluded.marker > p.marker THEN excluded.snapshot_done ELSE p.snapshot_done END,
      stopped = CASE WHEN excluded.marker > p.marker THEN excluded.stopped ELSE p.stopped END`
}

/** Partitions that will be read count from now on: the store is not whole before each of them has its marker. */
export function registerPartitions(partitions: readonly number[]): string {
  const rows = partitions.toSorted((a, b) => a - b).map((partition) => `(${partition})`)
  return `INSERT INTO incidents_place ("partition") VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING`
}
