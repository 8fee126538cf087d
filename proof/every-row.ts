/**
 * Every row of the source and of each place. The source is read by a process of its own, the topics by this one, the
 * others by PostgreSQL and DuckDB, all at once: a row that was written meanwhile is a suspect, and settled like any other.
 */
import { comparePlace } from './compare-place.ts'
import { EXPECTED_TABLES, loadExpected, type LinesOf, type Totals } from './expected-lines.ts'
import { neededOrTold, untilPassed } from './fence.ts'
import type { ProvenPlace } from './proven-place.ts'
import type { Found, PlaceFound, Run } from './reconcile-run.ts'
import { settlePlace } from './settle-place.ts'
import { scanSource } from './source-scan.ts'

/**
 * A place is read once it has what the raw topic held at the beginning, so that it lacks no more than the changes of the
 * seconds in between; nothing is said of it before it has passed the fence that is taken after the source was read.
 */
export async function everyRow(run: Run): Promise<Found> {
  const { source, scratch, expected, places, options } = run
  const about = await source.expected()
  const told = (what: string) => (rows: number) => options.progress?.(what, rows, Math.max(about, rows))
  const start = await neededOrTold(0, options) // any marker: the first snapshot is whole
  const reading = readSource(run, told('source'))
  const stores = new Map<ProvenPlace, Promise<string>>()
  // topics are decoded in this process, one after the other
  let topics: Promise<unknown> = Promise.resolve()
  for (const place of places) {
    const read = async (): Promise<string> => {
      await untilPassed(place, start, options)
      return place.store(scratch, told(place.name))
    }
    const isTopic = place.form === 'table' || place.form === 'unified'
    const stored = isTopic ? topics.then(read) : read()
    if (isTopic) topics = stored
    stores.set(place, stored)
  }

  const found = places.map(async (place): Promise<[ProvenPlace, PlaceFound]> => {
    const table = await stores.get(place)!
    const { needed } = await reading
    const { rows, suspects, unexamined } = await comparePlace(scratch, place.form, table, expected)
    // suspects wait for fences of their own, which are later ones
    const [settled] = await all([settlePlace(run, place, suspects), untilPassed(place, needed, options)])
    return [place, { ...settled, unsettled: [...settled.unsettled, ...unexamined], rows }]
  })
  const [{ totals, fence }, settled] = await all([reading, all(found)])
  return { totals, fence, places: new Map(settled) }
}

async function readSource({ options, source, scratch, expected }: Run, progress: (rows: number) => void) {
  const { databaseUrl, pseudonymKey, signal } = options
  const paths = Object.fromEntries(EXPECTED_TABLES.map((table) => [table, scratch.linesOf(table)])) as LinesOf
  const totals: Totals = await scanSource(
    { databaseUrl, tables: expected.tables, pseudonymKey, paths },
    { signal, progress },
  )
  const fence = await source.lsn()
  const needed = await neededOrTold(fence, options)
  await loadExpected(scratch)
  return { totals, fence, needed }
}

/** Rejects with the first failure, once nothing works any more on what the caller is about to close. */
async function all<const T extends readonly Promise<unknown>[]>(
  work: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
