/**
 * The analytics sink: change history, temporal and current shapes of the unified entities in DuckDB and parquet.
 *
 * `<directory>/store.duckdb` belongs to this sink alone; analysts open `<directory>/incidents.duckdb`, which is swapped
 * at a transaction's end. Writing and publishing have a connection each and wait for one another's statements alone.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { PipelineError } from '../core/error.ts'
import { ENTITIES, type Entity, type IncidentChange } from '../core/incident.ts'
import type { PlacedSink } from '../core/place.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { apply } from './analytics-apply.ts'
import { openStore, sinkError, type Store } from './analytics-database.ts'
import { writeDefinitions } from './analytics-definitions.ts'
import { deleteUnlistedFiles } from './analytics-files.ts'
import { incomplete } from './analytics-incomplete.ts'
import { latestRows } from './analytics-latest.ts'
import { prepareLayout } from './analytics-layout.ts'
import { reached } from './analytics-places.ts'
import { readRows, type AnalyticsRow } from './analytics-published.ts'
import { publisher, type Published } from './analytics-publisher.ts'
import { staging } from './analytics-staging.ts'

export interface AnalyticsOptions {
  readonly directory: string
  /** Those of the output `analytics`. */
  readonly projections: Projections
  /** Which rules and policy make the rows; each row carries it. */
  readonly rulesVersion: string
  /** How long after a change it is published at the latest, when nothing fails. */
  readonly publish: { readonly intervalMs: number }
  /** Hears of each copy once analysts can open it. */
  readonly onPublished?: (copy: Published) => void
  /** DuckDB's bound for what it holds in memory; beyond it spills into the directory. 192MB unless given. */
  readonly memoryLimit?: string
  /** How many changes of an entity stay in the store before they become a parquet file. 200,000 unless given. */
  readonly recentChanges?: number
}

export interface AnalyticsSink extends PlacedSink<IncidentChange> {
  /** The newest published copy of this process. */
  published(): Published
  /** Publishes what is committed now; resolves when analysts can open it. */
  publish(): Promise<void>
  /** The committed rows of both models as they are in the store. */
  currentRows(entity: Entity): AsyncIterable<AnalyticsRow>
}

/** After so many rows other work gets its turn. */
const ROWS_AT_ONCE = 2_000

/**
 * Opens or makes the store and publishes what it holds. SINK when another writer has the directory, SINK_FOREIGN when
 * it holds what this sink cannot continue, DISK_FULL when there is no space.
 */
export async function analytics(options: AnalyticsOptions): Promise<AnalyticsSink> {
  const store = await openStore(options.directory, options.memoryLimit ?? '192MB')
  const opened: { closeSync(): void }[] = []
  try {
    return await openSink(store, options, opened)
  } catch (error) {
    // DuckDB holds its file as long as any of these is open, and would write to it once more when the last one goes.
    for (const each of opened.toReversed()) each.closeSync()
    store.close()
    throw sinkError(error, store.directory)
  }
}

/** Names in `opened` what is to be closed, in reverse order, should it reject. */
async function openSink(
  store: Store,
  options: AnalyticsOptions,
  opened: { closeSync(): void }[],
): Promise<AnalyticsSink> {
  const { directory, instance } = store
  const { projections } = options
  const writing = await store.connect()
  const publishing = await store.connect()
  opened.push(publishing, writing)
  await writing.run("SET GLOBAL TimeZone = 'UTC'")
  await prepareLayout(writing, directory, projections)
  await deleteUnlistedFiles(writing, directory, projections)
  writeDefinitions(directory, projections)

  const staged = await staging(writing, projections, await nextSeq(writing, projections))
  opened.push({ closeSync: () => staged.close() })
  const applyEntity = await apply(writing, directory, projections, options.rulesVersion)
  const places = await reached(writing)
  const gaps = await incomplete(writing)
  const copies = publisher(publishing, { ...options, directory, recentChanges: options.recentChanges ?? 200_000 })
  await copies.publish()

  let open = false
  let closed = false
  /** Partitions whose first pieces went with a failed transaction: they are to be read again from their place. */
  const lost = new Set<number>()
  let queue: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work)
    queue = turn.catch(() => {})
    return turn
  }

  async function write(items: readonly IncidentChange[]): Promise<void> {
    const earlier = places.uncommitted
    if (!open) copies.throwFailure()
    refuseLost(items)
    try {
      if (!open) await writing.run('BEGIN')
      open = true
      await stage(items)
      const counts = staged.flush()
      for (const entity of counts.keys()) await applyEntity(entity)
      copies.changed(counts)
      await staged.clear()
      if (places.midway.size > 0) return
      await gaps.save()
      await places.save()
      await writing.run('COMMIT')
      open = false
      places.commit()
      copies.committed()
    } catch (error) {
      await rollback()
      for (const partition of earlier) lost.add(partition)
      throw sinkError(error, directory)
    }
  }

  async function stage(items: readonly IncidentChange[]): Promise<void> {
    let untilPause = ROWS_AT_ONCE
    for (const { change, rows, refusal, absence } of items) {
      if (!places.take(change) || change.op === 'm') continue
      gaps.note(change, absence === null ? refusal : null)
      for (const row of rows) staged.add(change, row)
      untilPause -= rows.length
      if (untilPause > 0) continue
      untilPause = ROWS_AT_ONCE
      await breathe()
    }
  }

  function refuseLost(items: readonly IncidentChange[]): void {
    if (lost.size === 0 || !items.some(({ change }) => lost.has(change.partition))) return
    throw new PipelineError(
      'SINK',
      `The first pieces of a large transaction were lost with a failed write to ${directory}.`,
      'Read the partition again from the place that the sink gives.',
    )
  }

  async function rollback(): Promise<void> {
    if (open) await writing.run('ROLLBACK').catch(() => {})
    open = false
    places.rollback()
    await staged.abandon().catch(() => {})
    await gaps.reload().catch(() => {})
  }

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    try {
      if (open) await rollback()
      await copies.close()
    } catch (error) {
      throw sinkError(error, directory)
    } finally {
      staged.close()
      writing.closeSync()
      publishing.closeSync()
      store.close()
    }
  }

  return {
    write: (items) => inTurn(() => write(items)),
    async places(partitions) {
      for (const partition of partitions) lost.delete(partition)
      return places.committed(partitions)
    },
    close: () => inTurn(close),
    published: () => copies.published(),
    publish: () => copies.publish(),
    async *currentRows(entity) {
      const reading = await instance.connect()
      try {
        yield* readRows(reading, projections[entity], await latestRows(reading, directory, projections[entity]))
      } finally {
        reading.closeSync()
      }
    },
  }
}

/** Behind every change that the store or one of its files holds. */
async function nextSeq(connection: DuckDBConnection, projections: Projections): Promise<bigint> {
  const tables = ENTITIES.map((entity) => `SELECT max(seq) AS seq FROM history_${projections[entity].table}`)
  const rows = await connection.runAndReadAll(
    `SELECT coalesce(max(seq), 0) + 1 FROM (${tables.join(' UNION ALL ')} UNION ALL SELECT max(last_seq) FROM file)`,
  )
  return rows.getRows()[0]![0] as bigint
}
