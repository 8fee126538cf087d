/** How many reports match: counted where that is quick, remembered for a moment where it is not. */
import type pg from 'pg'
import type { Query } from './database.ts'

/** Counts with a statement that gives `total`. */
export type Count = (query: Query, sql: string, values: readonly unknown[]) => Promise<number>

export const countNow: Count = async (query, sql, values) =>
  (await query<{ total: number }>(sql, values))[0]?.total ?? 0

/** A count that took less is never remembered. */
const SLOW_MS = 20
/** So long a remembered count stands; then it still does while it is made anew, up to the last. */
const FRESH_MS = 1_000
const LAST_MS = 10_000
const MOST_REMEMBERED = 200

interface Remembered {
  readonly total: number
  readonly at: number
  renewing: boolean
}

/**
 * Counts on the answer's own snapshot; but a count of very many reports costs more than all else of an answer, and a
 * pager's total need not be newer than a second. Renewed beside the answers, so that none waits for it twice.
 */
export function countRemembered(database: pg.Pool): Count {
  const remembered = new Map<string, Remembered>()

  async function count(key: string, query: Query, sql: string, values: readonly unknown[]): Promise<number> {
    const begun = performance.now()
    const total = await countNow(query, sql, values)
    remembered.delete(key)
    if (performance.now() - begun >= SLOW_MS) remembered.set(key, { total, at: performance.now(), renewing: false })
    const [oldest] = remembered.keys()
    if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest)
    return total
  }

  async function renew(key: string, sql: string, values: readonly unknown[]): Promise<void> {
    const query: Query = async (text, given) =>
      (await database.query(text, given === undefined ? undefined : [...given])).rows
    // What fails here fails aloud for the next answer that counts itself.
    await count(key, query, sql, values).catch(() => remembered.delete(key))
  }

  return async (query, sql, values) => {
    const key = JSON.stringify([sql, values])
    const known = remembered.get(key)
    const age = known === undefined ? Infinity : performance.now() - known.at
    if (known === undefined || age > LAST_MS) return count(key, query, sql, values)
    if (age > FRESH_MS && !known.renewing) {
      known.renewing = true
      void renew(key, sql, values)
    }
    return known.total
  }
}
