/**
 * What DuckDB holds of each key while it looks for its newest text cannot be spilled, so many keys are taken in passes:
 * each has a share of them, by their hash.
 */

/** At some 200 bytes a key, a quarter of a scratch's memory. */
const KEYS_AT_ONCE = 400_000

/** Conditions on a key that together hold for every row once; one where a single pass will do. */
export function passes(rows: number, key: string, keysAtOnce = KEYS_AT_ONCE): readonly string[] {
  const count = Math.max(1, Math.ceil(rows / keysAtOnce))
  return Array.from({ length: count }, (_, pass) => `hash(${key}) % ${count} = ${pass}`)
}
