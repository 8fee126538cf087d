/** When to publish: behind a commit, at most once an interval, never two at a time, and once more at the end. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { sinkError } from './analytics-database.ts'
import { mergeFiles } from './analytics-compaction.ts'
import { dropReplacedFiles, moveToFiles } from './analytics-files.ts'
import { publishCopy, type Copy } from './analytics-publication.ts'

export interface Published {
  /** When the copy was swapped in, in milliseconds since the Unix epoch; 0 before the first. */
  readonly at: number
  readonly tookMs: number
  readonly bytes: number
  /** How many copies this process has published. */
  readonly count: number
}

export interface PublisherOptions {
  readonly directory: string
  readonly projections: Projections
  readonly publish: { readonly intervalMs: number }
  readonly recentChanges: number
  readonly onPublished?: (copy: Published) => void
}

export interface Publisher {
  /** Counts the changes that lie in the store. */
  changed(counts: ReadonlyMap<Entity, number>): void
  /** Something was committed that is not published yet. */
  committed(): void
  publish(): Promise<void>
  published(): Published
  /** Throws the error of a publication that ran by itself, once. */
  throwFailure(): void
  close(): Promise<void>
}

export function publisher(connection: DuckDBConnection, options: PublisherOptions): Publisher {
  const { directory, projections } = options
  const inStore = new Map<Entity, number>()
  let newest: Published = { at: 0, tookMs: 0, bytes: 0, count: 0 }
  let copy: Copy | null = null
  let stale = true
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | null = null
  let failure: { readonly error: unknown } | null = null

  async function publishNow(): Promise<void> {
    const began = performance.now()
    stale = false
    try {
      for (const entity of ENTITIES) await moveWhenMany(entity)
      await dropReplacedFiles(connection, directory)
      copy = await publishCopy(connection, directory, projections, copy)
      newest = { at: Date.now(), tookMs: performance.now() - began, bytes: copy.bytes, count: newest.count + 1 }
      options.onPublished?.(newest)
    } catch (error) {
      stale = true
      await connection.run('ROLLBACK').catch(() => {})
      throw sinkError(error, directory)
    }
  }

  /** Each file comes with one of all the newest rows, so the larger the entity, the rarer the files. */
  async function moveWhenMany(entity: Entity): Promise<void> {
    if ((inStore.get(entity) ?? Infinity) < options.recentChanges) return
    const { table } = projections[entity]
    const [changes = 0n, rows = 0n] = (
      await connection.runAndReadAll(
        `SELECT (SELECT count(*) FROM history_${table}), (SELECT count(*) FROM newest_${table})`,
      )
    ).getRows()[0] as bigint[]
    inStore.set(entity, Number(changes))
    if (Number(changes) < Math.max(options.recentChanges, Number(rows) / 8)) return
    await moveToFiles(connection, directory, projections[entity])
    inStore.set(entity, 0)
    while (await mergeFiles(connection, directory, projections[entity]));
  }

  function publish(): Promise<void> {
    const turn = running.then(publishNow)
    running = turn.catch(() => {})
    return turn
  }

  function schedule(): void {
    if (timer !== null) return
    const wait = Math.max(0, newest.at + options.publish.intervalMs - Date.now())
    timer = setTimeout(() => {
      void publish()
        .catch((error: unknown) => (failure = { error }))
        .finally(() => {
          timer = null
          if (stale && failure === null) schedule()
        })
    }, wait)
    timer.unref()
  }

  return {
    changed(counts) {
      for (const [entity, count] of counts) inStore.set(entity, (inStore.get(entity) ?? 0) + count)
    },
    committed() {
      stale = true
      schedule()
    },
    publish,
    published: () => newest,
    throwFailure() {
      const found = failure
      failure = null
      if (found !== null) throw found.error
    },
    async close() {
      if (timer !== null) clearTimeout(timer)
      await running
      if (stale) await publish()
    },
  }
}
