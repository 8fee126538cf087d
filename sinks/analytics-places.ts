/** How far the sink is in each partition: what is committed, and what the open transaction adds. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { isStreamed, type Change } from '../core/change.ts'
import type { Place, Places } from '../core/place.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { literal } from './analytics-layout.ts'

export interface ReachedPlace extends Place {
  /** The newest position of any streamed change or marker: everything before it is here. '' when there is none. */
  readonly passed: Position
  /** When the source was there, in microseconds since the Unix epoch; 0 when `passed` is ''. */
  readonly passedAt: number
}

export interface Reached {
  /** Moves on behind this change. False when the sink has taken it before. */
  take(change: Change): boolean
  /** Writes the places within the connection's open transaction. */
  save(): Promise<void>
  committed(partitions: readonly number[]): Places
  /** Partitions whose transaction has come in part. */
  readonly midway: ReadonlySet<number>
  /** Partitions of which something is taken and not committed. */
  readonly uncommitted: ReadonlySet<number>
  /** The open transaction is committed. */
  commit(): void
  /** The open transaction is gone. */
  rollback(): void
}

export async function reached(connection: DuckDBConnection): Promise<Reached> {
  const committed = await readPlaces(connection)
  const pending = new Map<number, { -readonly [K in keyof ReachedPlace]: ReachedPlace[K] }>()
  const midway = new Set<number>()

  function moving(partition: number) {
    const known = pending.get(partition)
    if (known !== undefined) return known
    const place = { ...(committed.get(partition) ?? { next: 0, height: BEGINNING, passed: BEGINNING, passedAt: 0 }) }
    pending.set(partition, place)
    return place
  }

  return {
    take(change) {
      const place = moving(change.partition)
      if (change.offset < place.next) return false
      place.next = change.offset + 1
      const streamed = isStreamed(change)
      if (streamed) {
        if (change.position <= place.height) return false
        place.height = change.position
      }
      if ((streamed || change.op === 'm') && change.position > place.passed) {
        place.passed = change.position
        place.passedAt = change.committedAt
      }
      if (ends(change)) midway.delete(change.partition)
      else midway.add(change.partition)
      return true
    },
    async save() {
      if (pending.size === 0) return
      const rows = [...pending].map(
        ([partition, { next, height, passed, passedAt }]) =>
          `(${partition}, ${next}, ${literal(height)}, ${literal(passed)}, make_timestamptz(${passedAt}::BIGINT))`,
      )
      await connection.run(`INSERT OR REPLACE INTO place VALUES ${rows.join(', ')}`)
    },
    committed: (partitions) =>
      new Map(
        partitions.flatMap((partition) => {
          const place = committed.get(partition)
          return place === undefined ? [] : [[partition, { next: place.next, height: place.height }] as const]
        }),
      ),
    midway,
    get uncommitted() {
      return new Set(pending.keys())
    },
    commit() {
      for (const [partition, place] of pending) committed.set(partition, place)
      pending.clear()
    },
    rollback() {
      pending.clear()
      midway.clear()
    },
  }
}

function ends(change: Change): boolean {
  return change.lastInTransaction || !isStreamed(change)
}

/** The places as a store or a published copy holds them. */
export async function readPlaces(connection: DuckDBConnection): Promise<Map<number, ReachedPlace>> {
  const rows = await connection.runAndReadAll(
    'SELECT topic_partition, next_offset, height, passed, epoch_us(passed_at) FROM place ORDER BY topic_partition',
  )
  return new Map(
    (rows.getRows() as [number, bigint, Position, Position, bigint][]).map(
      ([partition, next, height, passed, passedAt]) => [
        partition,
        { next: Number(next), height, passed, passedAt: Number(passedAt) },
      ],
    ),
  )
}
