import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watch } from '../../proof/watch.ts'
import { rowKey } from '../../proof/source-keys.ts'
import type { SourceReader, SourceRow } from '../../proof/source-rows.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A source whose rows of one table all have the same version; null where it has none. */
function sourceOf(now: () => string | null) {
  let looks = 0
  const source = {
    rows: async (keys: ReadonlyMap<number, ReadonlySet<string>>) => {
      looks += 1
      const version = now()
      const found = version === null ? [] : [...keys.get(0)!].map((key) => [rowKey(0, key), { version }] as const)
      return new Map(found) as unknown as ReadonlyMap<string, SourceRow>
    },
    lsn: async () => 7,
  } as unknown as SourceReader
  return { source, looks: () => looks }
}

const keysOf = (count: number) => new Map([[0, new Set(Array.from({ length: count }, (_, i) => `${i}`))]])
const FIRST = { table: 0, key: '0' }

test('tells what a row was from the first look to the last, each version once', async () => {
  let version: string | null = 'a'
  const { source } = sourceOf(() => version)
  const versions = await watch(source, keysOf(2))
  expect(versions.lsn).toBe(7)
  for (const next of ['b', 'b', null, 'c']) {
    version = next
    await vi.advanceTimersByTimeAsync(600)
  }
  version = 'd'
  await versions.end()
  expect(versions.of(FIRST).map((row) => row?.version ?? null)).toEqual(['a', 'b', null, 'c', 'd'])
  expect(versions.of(null)).toEqual([null])
})

test.each([
  { what: 'few rows twice a second', rows: 1, looksIn5s: 12 },
  { what: 'many rows at the beginning and the end alone', rows: 1_001, looksIn5s: 2 },
])('looks at $what, and has one version of a row that nobody wrote', async ({ rows, looksIn5s }) => {
  const { source, looks } = sourceOf(() => 'a')
  const versions = await watch(source, keysOf(rows))
  await vi.advanceTimersByTimeAsync(5_000)
  await versions.end()
  expect(looks()).toBe(looksIn5s)
  expect(versions.of(FIRST)).toHaveLength(1)
})

test('fails at its end when the source failed meanwhile', async () => {
  const { source } = sourceOf(() => {
    if (Date.now() - begun >= 500) throw new Error('gone')
    return 'a'
  })
  const begun = Date.now()
  const versions = await watch(source, keysOf(1))
  await vi.advanceTimersByTimeAsync(1_000)
  await expect(versions.end()).rejects.toThrow('gone')
})
