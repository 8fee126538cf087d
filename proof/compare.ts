/** Comparing places by key and content. */
import type { Place, Rows } from './place.ts'

export interface Comparison {
  readonly place: string
  readonly entity: string
  /** Rows that the place holds. */
  readonly rows: number
  /** Keys that are missing, extra, or have other values. */
  readonly differing: number
  /** The first of them. */
  readonly keys: readonly string[]
}

const KEYS_SHOWN = 5

/** One line for each entity that is expected, and for each that the place holds beyond. */
export function compare(expected: Place, actual: Place): Comparison[] {
  const entities = new Set([...expected.entities.keys(), ...actual.entities.keys()])
  return [...entities].map((entity) => {
    const want: Rows = expected.entities.get(entity) ?? new Map()
    const have: Rows = actual.entities.get(entity) ?? new Map()
    const keys: string[] = []
    let differing = 0
    const note = (key: string): void => {
      differing += 1
      if (keys.length < KEYS_SHOWN) keys.push(key)
    }
    for (const [key, text] of want) if (have.get(key) !== text) note(key)
    for (const key of have.keys()) if (!want.has(key)) note(key)
    return { place: actual.name, entity, rows: have.size, differing, keys }
  })
}
