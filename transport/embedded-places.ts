/** How far each group is in each embedded topic. */
import { placeNote, placeOf, type Place, type Places } from '../core/place.ts'
import { BEGINNING } from '../core/position.ts'
import type { TopicFile } from './embedded-file.ts'

/** How long an acknowledgement may wait for a transaction that takes it along. */
const FLUSH_MS = 100

export interface GroupPlaces {
  committed(topic: string, group: string): Places
  /** Notes how far a group is. Written soon; what a crash takes of it is only read again. */
  ack(topic: string, group: string, partition: number, next: number): void
  /** Inside a transaction. */
  put(topic: string, group: string, partition: number, place: Place): void
  /** Inside a transaction that is made anyway: writes what was acknowledged. `done` when it is through. */
  take(): { done(): void }
  /** Writes what was acknowledged now. */
  flush(): void
  /** The place of the group that is furthest behind; null when no group reads the topic. */
  hindmost(topic: string, partition: number): { readonly group: string; readonly next: number } | null
  close(): void
}

interface Acked {
  readonly topic: string
  readonly group: string
  readonly partition: number
  readonly next: number
}

export function openPlaces(file: TopicFile): GroupPlaces {
  const { db } = file
  const find = db.prepare('SELECT partition, next, height FROM place WHERE topic = ? AND reader = ?')
  const upsert = db.prepare(
    `INSERT INTO place (topic, reader, partition, next, height) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET next = excluded.next, height = excluded.height`,
  )
  // A group that has a place in some partition reads them all: where it has none it is at the start.
  const slowest = db.prepare(
    `SELECT g.reader, coalesce(p.next, 0) AS next FROM (SELECT DISTINCT reader FROM place WHERE topic = ?1) g
     LEFT JOIN place p ON p.topic = ?1 AND p.reader = g.reader AND p.partition = ?2 ORDER BY 2 LIMIT 1`,
  )
  let acked = new Map<string, Acked>()
  let timer: NodeJS.Timeout | null = null

  function take(): { done(): void } {
    const taken = acked
    for (const { topic, group, partition, next } of taken.values()) {
      upsert.run(topic, group, partition, next, BEGINNING)
    }
    return {
      done: () => {
        acked = new Map()
      },
    }
  }

  function flush(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (acked.size === 0) return
    file.transaction(take).done()
  }

  return {
    committed: (topic, group) => {
      const places = new Map<number, Place>()
      for (const row of file.guard(() => find.all(topic, group))) {
        places.set(row['partition'] as number, placeOf(row['next'] as number, row['height'] as string))
      }
      for (const each of acked.values()) {
        if (each.topic === topic && each.group === group) {
          places.set(each.partition, { next: each.next, height: BEGINNING })
        }
      }
      return places
    },
    ack: (topic, group, partition, next) => {
      acked.set(`${partition}/${group}/${topic}`, { topic, group, partition, next })
      timer ??= setTimeout(() => {
        timer = null
        try {
          flush()
        } catch {
          // The next transaction takes it along, and reports what is wrong to somebody who waits for it.
        }
      }, FLUSH_MS).unref()
    },
    put: (topic, group, partition, place) => {
      acked.delete(`${partition}/${group}/${topic}`)
      upsert.run(topic, group, partition, place.next, placeNote(place))
    },
    take,
    flush,
    hindmost: (topic, partition) => {
      const found = file.guard(() => slowest.get(topic, partition))
      return found === undefined ? null : { group: String(found['reader']), next: Number(found['next']) }
    },
    close: () => {
      if (timer !== null) clearTimeout(timer)
    },
  }
}
