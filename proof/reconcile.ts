/**
 * Every place against the source while rows flow. The source is read once, in one snapshot; then a fence is taken, and
 * each place that has passed it is read once. Hashes that differ only make a row suspect: settle.ts looks again.
 */
import { tableName, type Change } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import { ENTITIES } from '../core/incident.ts'
import { lsnText, type Lsn } from '../core/position.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import { unify } from '../transforms/unify.ts'
import { comparePlace } from './compare-place.ts'
import { expectations, isTableForm, unitKey, type Expectations, type Form, type Totals } from './expected.ts'
import { groupPassed, neededFor, pause } from './fence.ts'
import { analyticsProof } from './place-analytics.ts'
import { dprEntitiesProof, dprTablesProof } from './place-dpr.ts'
import { governedRows } from './place-governed.ts'
import { operationalProof } from './place-operational.ts'
import { rawRows } from './place-raw.ts'
import { topicProof } from './place-topic.ts'
import type { Needed, ProvenPlace, RowPosition, Since } from './proven-place.ts'
import { openScratch, type Scratch } from './scratch.ts'
import { settle, type Difference, type Settled, type Suspect } from './settle.ts'
import { keyOf, sourceReader, type SourceReader } from './source-rows.ts'
import { scanTopic } from './topic-scan.ts'
import { verdict, type NamedDifference } from './verdict.ts'

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
  /** The files of `<source>/<table>` in DPR's raw zone, as DuckDB reads them. */
  readonly dprFiles: (source: string, table: string) => Promise<readonly string[]>
  readonly operationalUrl: string
  readonly analyticsDirectory: string
  /** All of them when it is absent. */
  readonly places?: readonly PlaceName[]
  /** Only rows that changed since; every row when it is absent. */
  readonly since?: Since
  /** How long each place may take to pass a fence, and its rows to settle. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly progress?: (what: string, rows: number, expected: number) => void
}

export interface PlaceResult {
  readonly place: string
  /** A source table as `schema.table`, or a unified entity. */
  readonly entity: string
  /** Rows that the place holds; with `since` the rows that were looked at. */
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
  /** The fence: every place had passed it when it was read. */
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
  const source = await sourceReader(options.databaseUrl, options.publication)
  const scratch = await openScratch()
  const opened: { close(): Promise<void> }[] = [source]
  try {
    const expected = expectations(source.tables, options.pseudonymKey)
    const run = await prepare({ options, source, scratch, expected })
    opened.push(...run.places)
    const found = options.since === undefined ? await everyRow(run) : await changedRows(run, options.since)
    const results = await named(run, found.settled)
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

interface Run {
  readonly options: ReconcileOptions
  readonly source: SourceReader
  readonly scratch: Scratch
  readonly expected: Expectations
  readonly rawPlace: ProvenPlace
  /** Those that are asked for. */
  readonly places: readonly ProvenPlace[]
  readonly unreadable: Set<string>
}

interface Found {
  readonly totals: Totals
  readonly fence: Lsn
  readonly settled: ReadonlyMap<ProvenPlace, Settled & { readonly rows: readonly number[] }>
}

type Opening = Pick<Run, 'options' | 'source' | 'scratch' | 'expected'>

async function prepare(opening: Opening): Promise<Run> {
  const { options, scratch, expected } = opening
  const { transport, namespace, raw, unified, registry } = options
  const wanted = (name: PlaceName): boolean => options.places?.includes(name) ?? true
  const unreadable = new Set<string>()
  const note = (topic: Topic) => (record: { readonly partition: number; readonly offset: number }) =>
    void unreadable.add(`${topic.name}/${record.partition}/${record.offset}`)
  const passedBy = (group: string) => (needed: Needed) => groupPassed(transport, `${namespace}.${group}`, raw, needed)
  const rawPlace = await topicProof(scratch, {
    topic: raw,
    group: `${namespace}.proof-raw`,
    form: 'table',
    passed: async () => true, // the fence itself is read from it
    rows: rawRows({ registry, tables: expected.tables, unreadable: note(raw) }),
  })
  const places: ProvenPlace[] = []
  if (wanted('raw')) places.push(rawPlace)
  if (wanted('unified')) {
    const rows = governedRows({ registry, projections: expected.projections.unified, unreadable: note(unified) })
    const group = `${namespace}.proof-unified`
    places.push(await topicProof(scratch, { topic: unified, group, form: 'unified', passed: passedBy('unify'), rows }))
  }
  if (wanted('dpr-raw')) {
    const dpr = { scratch, passed: passedBy('dpr-raw'), files: options.dprFiles }
    places.push(await dprTablesProof(expected, dpr), await dprEntitiesProof(expected.projections['dpr-raw'], dpr))
  }
  if (wanted('operational')) {
    places.push(await operationalProof(options.operationalUrl, expected.projections.operational))
  }
  if (wanted('analytics')) {
    const { analytics } = expected.projections
    places.push(await analyticsProof({ directory: options.analyticsDirectory, projections: analytics, scratch }))
  }
  return { ...opening, rawPlace, places, unreadable }
}

async function everyRow(run: Run): Promise<Found> {
  const { source, scratch, expected, places, options } = run
  const about = await source.expected()
  const totals = await expected.store(source, scratch, (rows) =>
    options.progress?.('source', rows, Math.max(about, rows)),
  )
  const fence = await source.lsn()
  const needed = await neededOrTold(run, fence)
  const settled = new Map<ProvenPlace, Settled & { rows: readonly number[] }>()
  // topics are decoded in this thread, the others hash in theirs
  const isTopic = (place: ProvenPlace): boolean => place.form === 'table' || place.form === 'unified'
  const work = async (some: readonly ProvenPlace[]): Promise<void> => {
    const later: Promise<void>[] = []
    for (const place of some) {
      await untilPassed(run, place, needed)
      const table = await place.store(scratch, (rows) => options.progress?.(place.name, rows, Math.max(about, rows)))
      const { rows, suspects, unexamined } = await comparePlace(scratch, place.form, table, expected)
      later.push(
        settleAlone(run, place, suspects).then((found) => {
          settled.set(place, { ...found, unsettled: [...found.unsettled, ...unexamined], rows })
        }),
      )
    }
    await Promise.all(later)
  }
  const both = await Promise.allSettled([work(places.filter(isTopic)), work(places.filter((each) => !isTopic(each)))])
  const failed = both.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return { totals, fence, settled: new Map(places.map((place) => [place, settled.get(place)!])) }
}

async function changedRows(run: Run, since: Since): Promise<Found> {
  const { source, expected, places, options } = run
  const fence = await source.lsn()
  const needed = await neededOrTold(run, fence)
  const changed = await changedIn(run, since)
  const settled = new Map<ProvenPlace, Settled & { rows: readonly number[] }>()
  await Promise.all(
    places.map(async (place) => {
      await untilPassed(run, place, needed)
      const suspects = new Map(changed.get(place.form))
      for (const unit of (await place.changedSince?.(since)) ?? []) {
        const key = unitKey(unit)
        if (!suspects.has(key)) suspects.set(key, { ...unit, origin: null })
      }
      const rows = expected.kinds(place.form).map((_, kind) => count([...suspects.values()], kind))
      options.progress?.(place.name, suspects.size, suspects.size)
      settled.set(place, { ...(await settleAlone(run, place, [...suspects.values()])), rows })
    }),
  )
  const totals = { rows: changed.get('table')?.size ?? 0, refused: changed.refused, copies: changed.copies }
  return { totals, fence, settled: new Map(places.map((place) => [place, settled.get(place)!])) }
}

type Changed = Map<Form, Map<string, Suspect>> & { refused: number; copies: number }

/** The rows of every form that the raw topic's changes since then are about. */
async function changedIn({ options, expected, unreadable }: Run, since: Since): Promise<Changed> {
  const { raw, registry, namespace } = options
  const names = new Map(expected.tables.map((table, i) => [tableName(table), i]))
  const changed: Changed = Object.assign(new Map<Form, Map<string, Suspect>>(), { refused: 0, copies: 0 })
  const forms: readonly Form[] = ['table', 'dpr-table', 'unified', 'dpr-raw', 'operational', 'analytics']
  for (const form of forms) changed.set(form, new Map())
  const refused = new Map<string, boolean>()
  const each = (change: Exclude<Change, { op: 'm' }>): void => {
    const isNew = 'position' in since ? change.position >= since.position : change.committedAt >= since.micros
    const table = names.get(tableName(change.table))
    if (!isNew || table === undefined || change.table.key.length === 0) return
    const origin = { table, key: keyOf(change.table, (change.after ?? change.before)!) }
    const unit = { kind: table, key: origin.key, origin }
    for (const form of ['table', 'dpr-table'] as const) {
      if (form === 'table' || expected.dprTables[table] !== null) changed.get(form)!.set(unitKey(unit), unit)
    }
    const meaning = unify(change)
    refused.set(unitKey(unit), meaning.refusal !== null)
    for (const { entity, id } of meaning.rows) {
      const suspect = { kind: ENTITIES.indexOf(entity), key: id, origin }
      for (const form of forms) if (!isTableForm(form)) changed.get(form)!.set(unitKey(suspect), suspect)
    }
  }
  const rows = rawRows({
    registry,
    tables: expected.tables,
    unreadable: ({ partition, offset }) => void unreadable.add(`${raw.name}/${partition}/${offset}`),
    each,
  })()
  await scanTopic({
    topic: raw,
    group: `${namespace}.proof-since`,
    take: async (records) => void (await rows(records)),
  })
  changed.refused = [...refused.values()].filter(Boolean).length
  return changed
}

/** With a connection of its own, so that no place waits for another's fence. */
async function settleAlone(run: Run, place: ProvenPlace, suspects: readonly Suspect[]): Promise<Settled> {
  if (suspects.length === 0) return { differences: [], unsettled: [] }
  const { options, expected } = run
  const signal = limited(options)
  const source = await sourceReader(options.databaseUrl, options.publication)
  const decoder = rawDecoder(options.registry)
  try {
    return await settle(place, suspects, {
      source,
      expected,
      ended: () => signal.aborted,
      fence: async (lsn) => {
        try {
          const needed = await neededFor(lsn, options.raw, decoder, signal)
          while (!(await place.passed(needed))) {
            if (signal.aborted) return false
            await pause(signal, POLL_MS)
          }
          return true
        } catch (error) {
          if (signal.aborted) return false
          throw error
        }
      },
    })
  } finally {
    await source.close()
  }
}

const POLL_MS = 200

/** Each wait has the time of its own: reading the rows takes as long as they are many. */
function limited({ signal, timeoutMs }: ReconcileOptions): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
}

async function neededOrTold({ options }: Run, fence: Lsn): Promise<Needed> {
  const signal = limited(options)
  try {
    return await neededFor(fence, options.raw, rawDecoder(options.registry), signal)
  } catch (error) {
    options.signal.throwIfAborted()
    if (signal.aborted) throw behind(options.raw.name, fence, options.timeoutMs)
    throw error
  }
}

async function untilPassed({ options }: Run, place: ProvenPlace, needed: Needed): Promise<void> {
  const signal = limited(options)
  while (!(await place.passed(needed))) {
    options.signal.throwIfAborted()
    if (signal.aborted) throw behind(place.name, null, options.timeoutMs)
    await pause(signal, POLL_MS)
  }
}

function behind(place: string, fence: Lsn | null, timeoutMs: number): PipelineError {
  return new PipelineError(
    'SINK',
    `${place} has not passed ${fence === null ? 'the fence' : lsnText(fence)} within ${timeoutMs / 1000} s, so nothing can be said of it`,
    'See `incidents status`: start what is not running, or allow more time with --timeout.',
  )
}

/** One line for each place and entity. */
async function named({ places, expected, rawPlace }: Run, settled: Found['settled']): Promise<PlaceResult[]> {
  const newest = await newestChanges(
    rawPlace,
    [...settled.values()].flatMap((each) => each.differences),
  )
  return places.flatMap((place) => {
    const { differences, unsettled, rows } = settled.get(place)!
    return expected.kinds(place.form).flatMap((entity, kind): PlaceResult | [] => {
      if (entity === null) return []
      const keys = differences
        .filter((each) => each.kind === kind)
        .map((each) => verdict(place.form, each, newestOf(newest, each), expected))
      const left = count(unsettled, kind)
      return { place: place.name, entity, rows: rows[kind] ?? 0, differing: keys.length, unsettled: left, keys }
    })
  })
}

async function newestChanges(
  rawPlace: ProvenPlace,
  differences: readonly Difference[],
): Promise<ReadonlyMap<string, RowPosition>> {
  const origins = new Map(
    differences.flatMap(({ origin }) => {
      if (origin === null) return []
      const unit = { kind: origin.table, key: origin.key }
      return [[unitKey(unit), unit] as const]
    }),
  )
  const newest = new Map<string, RowPosition>()
  if (origins.size === 0) return newest
  for await (const row of rawPlace.look([...origins.values()])) if (row.at !== null) newest.set(unitKey(row), row.at)
  return newest
}

function newestOf(newest: ReadonlyMap<string, RowPosition>, { origin }: Difference): RowPosition | null {
  return origin === null ? null : (newest.get(unitKey({ kind: origin.table, key: origin.key })) ?? null)
}

function count(units: readonly { readonly kind: number }[], kind: number): number {
  return units.reduce((total, each) => (each.kind === kind ? total + 1 : total), 0)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}
