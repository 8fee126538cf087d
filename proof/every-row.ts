/**
 * Every row of the source and of each place. The source is read by processes of its own, the topics by this one, the
 * others by PostgreSQL and DuckDB, all at once: a row that was written meanwhile is a suspect, and settled like any other.
 */
import { availableParallelism } from 'node:os'
import { comparePlace, type StoredLines } from './compare-place.ts'
import { EXPECTED_TABLES, loadExpected, type LinesOf, type Totals } from './expected-lines.ts'
import { neededOrTold, untilPassed } from './fence.ts'
import type { ProvenPlace } from './proven-place.ts'
import type { Found, PlaceFound, Run } from './reconcile-run.ts'
import { settlePlace } from './settle-place.ts'
import type { Scratch } from './scratch.ts'
import { scanSource } from './source-scan.ts'

/**
 * A place is read once it has what the raw topic held at the beginning, so that it lacks no more than the changes of the
 * seconds in between; nothing is said of it before it has passed the fence that is taken after the source was read.
 */
export async function everyRow(run: Run): Promise<Found> {
  const { source, scratch, expected, places, options } = run
  const sizes = await source.sizes()
  const about = sizes.reduce((sum, size) => sum + size, 0)
  const told = (what: string) => (rows: number) => options.progress?.(what, rows, Math.max(about, rows))
  const start = await neededOrTold(0, options) // any marker: the first snapshot is whole
  const reading = readSource(run, sizes, told('source'))
  const stores = new Map<ProvenPlace, Promise<StoredLines>>()
  // topics are decoded in this process, one after the other
  let topics: Promise<unknown> = Promise.resolve()
  for (const place of places) {
    const read = async (): Promise<StoredLines> => {
      await untilPassed(place, start, options)
      return place.store(scratch, told(place.name))
    }
    const isTopic = place.form === 'table' || place.form === 'unified'
    const stored = isTopic ? topics.then(read) : read()
    if (isTopic) topics = stored
    stores.set(place, stored)
  }

  const found = places.map(async (place): Promise<[ProvenPlace, PlaceFound]> => {
    const stored = await stores.get(place)!
    const { needed } = await reading
    const { rows, suspects, unexamined } = await comparePlace(scratch, place.form, stored, expected)
    // suspects wait for fences of their own, which are later ones
    const [settled] = await all([settlePlace(run, place, suspects), untilPassed(place, needed, options)])
    return [place, { ...settled, unsettled: [...settled.unsettled, ...unexamined], rows }]
  })
  const [{ totals, fence }, settled] = await all([reading, all(found)])
  return { totals, fence, places: new Map(settled) }
}

/** The largest tables first, so that no process is left with one of them at the end. */
async function readSource(
  { options, source, scratch, expected }: Run,
  sizes: readonly number[],
  progress: (rows: number) => void,
) {
  const { databaseUrl, pseudonymKey, signal } = options
  const order = [...sizes.keys()].toSorted((a, b) => sizes[b]! - sizes[a]!)
  const paths = Array.from({ length: READERS }, (_, reader) => linesOf(scratch, reader))
  const scan = { databaseUrl, tables: expected.tables, pseudonymKey }
  const totals: Totals = await scanSource(scan, order, paths, { signal, progress })
  const fence = await source.lsn()
  const needed = await neededOrTold(fence, options)
  await loadExpected(scratch)
  return { totals, fence, needed }
}

/** Processes that read the source, each some tables. */
const READERS = Math.min(4, availableParallelism())

function linesOf(scratch: Scratch, reader: number): LinesOf {
  return Object.fromEntries(EXPECTED_TABLES.map((table) => [table, scratch.linesOf(table, reader)])) as LinesOf
}

/** Rejects with the first failure, once nothing works any more on what the caller is about to close. */
async function all<const T extends readonly Promise<unknown>[]>(
  work: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
