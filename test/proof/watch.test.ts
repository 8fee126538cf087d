import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watch } from '../../proof/watch.ts'
import { rowKey } from '../../proof/source-keys.ts'
import type { SourceRow } from '../../proof/source-by-key.ts'
import type { SourceReader } from '../../proof/source-rows.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A source whose rows of one table all have the same version; null where it has none. */
function sourceOf(now: () => string | null) {
  const looks = { rows: 0, stamps: 0 }
  const found = <T>(keys: ReadonlyMap<number, ReadonlySet<string>>, make: (version: string) => T) => {
    const version = now()
    return new Map(version === null ? [] : [...keys.get(0)!].map((key) => [rowKey(0, key), make(version)] as const))
  }
  const source: Pick<SourceReader, 'rows' | 'stamps' | 'lsn'> = {
    rows: async (keys) => {
      looks.rows += 1
      return found(keys, (version) => ({ version: `${version} 1` }) as SourceRow)
    },
    stamps: async (keys) => {
      looks.stamps += 1
      return found(keys, (version) => version)
    },
    lsn: async () => 7,
  }
  return { source: source as SourceReader, looks }
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
  await versions.end(() => keysOf(1))
  expect(versions.of(FIRST).map((row) => row?.version ?? null)).toEqual(['a 1', 'b 1', null, 'c 1', 'd 1'])
  expect(versions.of(null)).toEqual([null])
})

test.each([
  { what: 'a row twice a second', rows: 1, stamps: 10 },
  { what: 'ten thousand rows every one and a half', rows: 10_000, stamps: 3 },
])('looks whether somebody has written $what, and reads again only what somebody has', async ({ rows, stamps }) => {
  let version = 'a'
  const { source, looks } = sourceOf(() => version)
  const versions = await watch(source, keysOf(rows))
  await vi.advanceTimersByTimeAsync(5_000)
  expect(looks).toEqual({ rows: 1, stamps })
  expect(versions.of(FIRST)).toHaveLength(1)
  version = 'b'
  await vi.advanceTimersByTimeAsync(1_600)
  expect(looks.rows).toBe(2)
  expect(versions.of(FIRST)).toHaveLength(2)
  await versions.end(() => new Map())
  expect(looks.rows).toBe(2)
})

test('fails at its end when the source failed meanwhile', async () => {
  const { source } = sourceOf(() => {
    if (Date.now() - begun >= 500) throw new Error('gone')
    return 'a'
  })
  const begun = Date.now()
  const versions = await watch(source, keysOf(1))
  await vi.advanceTimersByTimeAsync(1_000)
  await expect(versions.end(() => keysOf(1))).rejects.toThrow('gone')
})
