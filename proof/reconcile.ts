/**
 * Every place against the source while rows flow. Source and places are read once each, and judged behind a fence taken
 * after the source was read. Hashes that differ only make a row suspect: settle.ts looks again.
 */
import { lsnText } from '../core/position.ts'
import type { Registry } from '../schemas/registry.ts'
import type { Zone } from '../sinks/dpr-raw-zone.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import { changedRows } from './changed-rows.ts'
import { everyRow } from './every-row.ts'
import { expectations } from './expected.ts'
import type { Since } from './proven-place.ts'
import { openRun, type Found, type Run } from './reconcile-run.ts'
import { openScratch } from './scratch.ts'
import { sourceReader, sourceTables } from './source-rows.ts'
import { countOf, newestChanges, newestOf, verdict, type NamedDifference } from './verdict.ts'

export const PLACES = ['raw', 'unified', 'dpr-raw', 'operational', 'analytics'] as const
export type PlaceName = (typeof PLACES)[number]

export interface ReconcileOptions {
  readonly databaseUrl: string
  readonly publication: string
  readonly namespace: string
  readonly pseudonymKey: string
  readonly transport: Transport
  readonly registry: Registry
  readonly raw: Topic
  readonly unified: Topic
  /** DPR's raw zone, with what its jobs have archived of it. */
  readonly dpr: Pick<Zone, 'reading'>
  readonly operationalUrl: string
  readonly analyticsDirectory: string
  /** All of them when it is absent. */
  readonly places?: readonly PlaceName[]
  /** Only rows that changed since, unless they are so many that reading every row is quicker. Every row when it is absent. */
  readonly since?: Since
  /** As many changed rows of one shape are still looked at alone. 20,000 unless given. */
  readonly few?: number
  /** How long each place may take to pass a fence, and its rows to settle. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly progress?: (what: string, rows: number, expected: number) => void
}

export interface PlaceResult {
  readonly place: string
  /** A source table as `schema.table`, or a unified entity. */
  readonly entity: string
  /** Rows that the place holds; of a few that changed `since`, those that were looked at. */
  readonly rows: number
  readonly differing: number
  /** Rows that kept changing, or were too many to look at. */
  readonly unsettled: number
  readonly keys: readonly NamedDifference[]
}

export interface Reconciliation {
  readonly differing: number
  /** Source rows that could not be mapped: their incidents are incomplete. */
  readonly incomplete: number
  readonly unsettled: number
  /** Records of topics that cannot be read, as `topic/partition/offset`. */
  readonly unreadable: readonly string[]
  /** The fence: nothing was said of a place before it had passed it. */
  readonly lsn: string
  /** Of the source, and those left out as copies of DPS reports. */
  readonly rows: number
  readonly copies: number
  readonly seconds: number
  readonly places: readonly PlaceResult[]
}

/**
 * Never judges by a place that has not passed the fence: SINK names one that does not within the time. Reads only; keys
 * and hashes wait in a temporary directory, some 100 bytes a row and place.
 */
export async function reconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const begun = performance.now()
  const tables = await sourceTables(options.databaseUrl, options.publication)
  const source = await sourceReader(options.databaseUrl, tables)
  const scratch = await openScratch()
  const opened: { close(): Promise<void> }[] = [source]
  try {
    const run = await openRun({ options, source, scratch, expected: expectations(tables, options.pseudonymKey) })
    opened.push(...run.places)
    const few = options.since === undefined ? null : await changedRows(run, options.since)
    const found = few ?? (await everyRow(run))
    const results = await named(run, found.places)
    const unreadable = [...run.unreadable]
    return {
      differing: sum(results.map(({ differing }) => differing)),
      incomplete: found.totals.refused,
      unsettled: sum(results.map((each) => each.unsettled)),
      unreadable,
      lsn: lsnText(found.fence),
      rows: found.totals.rows,
      copies: found.totals.copies,
      seconds: Math.round(performance.now() - begun) / 1000,
      places: results,
    }
  } finally {
    await Promise.all(opened.map((each) => each.close()))
    scratch.close()
  }
}

/** One line for each place and entity, its keys in their order. */
async function named({ places, expected, rawPlace }: Run, found: Found['places']): Promise<PlaceResult[]> {
  const newest = await newestChanges(
    rawPlace,
    [...found.values()].flatMap((each) => each.differences),
  )
  return places.flatMap((place) => {
    const { differences, unsettled, rows } = found.get(place)!
    return expected.kinds(place.form).flatMap((entity, kind): PlaceResult | [] => {
      if (entity === null) return []
      const keys = differences
        .filter((each) => each.kind === kind)
        .toSorted((a, b) => (a.key < b.key ? -1 : 1)) // they settle in any order
        .map((each) => verdict(place.form, each, newestOf(newest, each), expected))
      const left = countOf(unsettled, kind)
      return { place: place.name, entity, rows: rows[kind] ?? 0, differing: keys.length, unsettled: left, keys }
    })
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}
