/**
 * The way from a child's key to its incident. What is acknowledged lies in the state directory; what is newer lies beside
 * it in memory until its position is acknowledged, and is forgotten at a restart: a replay makes it again.
 */
import type { Position } from '../../core/position.ts'
import type { CaptureState } from './state.ts'

export interface Parents {
  /** The incident of a parent row, as of the last finished transaction; undefined when it is not known. */
  find(table: string, key: string): string | undefined
  /** A parent row made (or moved) at a position; null removes it. */
  set(table: string, key: string, reference: string | null, position: Position): void
  /** Makes everything up to and including the position durable. */
  merge(position: Position): void
}

const REMEMBERED = 100_000

interface Newer {
  readonly table: string
  readonly key: string
  readonly reference: string | null
  readonly position: Position
}

export function parentIndex(state: CaptureState): Parents {
  const newer = new Map<string, Newer>()
  const queue: Newer[] = []
  const recent = new Map<string, string>()

  function remember(id: string, reference: string): void {
    if (recent.size >= REMEMBERED) recent.delete(recent.keys().next().value!)
    recent.set(id, reference)
  }

  return {
    find: (table, key) => {
      const id = `${table}/${key}`
      const pending = newer.get(id)
      if (pending !== undefined) return pending.reference ?? undefined
      const known = recent.get(id)
      if (known !== undefined) return known
      const stored = state.findParent(table, key)
      if (stored !== undefined) remember(id, stored)
      return stored
    },
    set: (table, key, reference, position) => {
      const entry = { table, key, reference, position }
      newer.set(`${table}/${key}`, entry)
      queue.push(entry)
    },
    merge: (position) => {
      // what lies before is in it already, with what is newer: it would say of itself that it is older than it is
      if (position < state.position) return
      let count = 0
      while (count < queue.length && queue[count]!.position <= position) count += 1
      const merged = queue.splice(0, count)
      state.mergeParents(
        merged.map((entry) => [entry.table, entry.key, entry.reference] as const),
        position,
      )
      for (const entry of merged) {
        const id = `${entry.table}/${entry.key}`
        if (newer.get(id) === entry) newer.delete(id)
        if (entry.reference === null) recent.delete(id)
        else remember(id, entry.reference)
      }
    },
  }
}

/** The index, telling whether what was set through it routes anybody's changes another way than before. */
export function watchedParents(parents: Parents): { readonly parents: Parents; readonly changed: boolean } {
  let changed = false
  return {
    parents: {
      ...parents,
      set: (table, key, reference, position) => {
        changed ||= (parents.find(table, key) ?? null) !== reference
        parents.set(table, key, reference, position)
      },
    },
    get changed() {
      return changed
    },
  }
}
