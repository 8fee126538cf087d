/**
 * What an embedded topic forgets: of a compacted topic what a newer record of the same key has superseded, of the
 * others everything; both only when it is older than the topic keeps records and every group has read past it.
 */
import { setImmediate } from 'node:timers/promises'
import { LOG_SPAN, type TopicFile } from './embedded-file.ts'
import type { Log } from './embedded-log.ts'
import type { GroupPlaces } from './embedded-places.ts'
import type { TopicSettings } from './topic.ts'

/** Records in one transaction: a few milliseconds. */
const STEP = 250

export interface Pruned {
  readonly settings: TopicSettings
  readonly logs: readonly Log[]
}

export interface Pruner {
  /** Goes once through the topics in small steps; resolves with how many records went. */
  prune(topics: Iterable<Pruned>, signal: AbortSignal): Promise<number>
}

export function pruner(file: TopicFile, places: Pick<GroupPlaces, 'hindmost' | 'flush'>): Pruner {
  const { db } = file
  const scan = db.prepare(
    'SELECT id, time, key, value IS NULL AS tombstone FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?',
  )
  const times = db.prepare('SELECT id, time FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?')
  const remove = db.prepare('DELETE FROM record WHERE id = ?')
  const removeUpTo = db.prepare('DELETE FROM record WHERE id >= ? AND id <= ?')
  const clean = db.prepare('UPDATE log SET cleaned = ? WHERE id = ?')
  const latest = db.prepare('SELECT "offset" FROM latest WHERE log = ? AND key = ?')
  const note = db.prepare(
    'INSERT INTO latest (log, key, "offset") VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "offset" = excluded."offset"',
  )
  const forget = db.prepare('DELETE FROM latest WHERE log = ? AND key = ?')

  /** Where the part ends that every group has read. */
  const readByAll = (log: Log): number =>
    Math.min(log.next, places.hindmost(log.topic, log.partition)?.next ?? log.next)

  /** Takes up to STEP records into the clean part; how many were taken and how many went. */
  function compact(log: Log, olderThan: number): { taken: number; gone: number } {
    const base = log.id * LOG_SPAN
    let gone = 0
    let taken = 0
    const cleaned = file.transaction(() => {
      let cleaned = log.cleaned
      for (const row of scan.all(base + log.cleaned, base + readByAll(log), STEP)) {
        if ((row['time'] as number) > olderThan) break
        const key = row['key'] as Uint8Array
        const before = latest.get(log.id, key)
        if (before !== undefined) gone += Number(remove.run(base + (before['offset'] as number)).changes)
        cleaned = (row['id'] as number) - base + 1
        taken += 1
        if (row['tombstone'] === 0) {
          note.run(log.id, key, cleaned - 1)
          continue
        }
        forget.run(log.id, key)
        gone += Number(remove.run(row['id'] as number).changes)
      }
      if (taken > 0) clean.run(cleaned, log.id)
      return cleaned
    })
    log.cleaned = cleaned
    return { taken, gone }
  }

  function expire(log: Log, olderThan: number): { taken: number; gone: number } {
    const base = log.id * LOG_SPAN
    const rows = times.all(base, base + readByAll(log), STEP)
    const young = rows.findIndex((row) => (row['time'] as number) > olderThan)
    const taken = young === -1 ? rows.length : young
    if (taken > 0) file.transaction(() => removeUpTo.run(base, rows[taken - 1]!['id'] as number))
    return { taken, gone: taken }
  }

  return {
    prune: async (topics, signal) => {
      places.flush()
      let gone = 0
      for (const { settings, logs } of topics) {
        const step = settings.cleanup === 'compact' ? compact : expire
        for (const log of logs) {
          for (let taken = STEP; taken === STEP && !signal.aborted;) {
            const done = step(log, Date.now() - settings.keptMs)
            taken = done.taken
            gone += done.gone
            await setImmediate()
          }
        }
      }
      return gone
    },
  }
}
