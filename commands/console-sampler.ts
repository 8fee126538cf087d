/** How every hop stands, taken again and again by a process that keeps its connections. */
import pg from 'pg'
import type { Hop, HopSample, Sample, SlotSample, TableReading } from '../console/operations.ts'
import { lsnOf, lsnText } from '../core/position.ts'
import type { Places } from '../core/place.ts'
import { operationalUrl, SINKS, topicsOf, type Runtime } from '../pipeline.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic } from '../transport/topic.ts'
import { readCaptureState } from './console-capture.ts'

export interface SamplerOptions {
  readonly runtime: Runtime
  /** `http://127.0.0.1:8080` */
  readonly apiUrl: string
  /** The stages run in this process, so that its metrics count rows. */
  readonly stagesHere: boolean
}

export interface Sampler {
  /** Never rejects: what does not answer is told. */
  sample(): Promise<Sample>
  /** Rows that transactions wrote a second, by table, over the last minute; none before two samples. */
  tableRates(): ReadonlyMap<string, number>
  /** The reading outside the stream, with rate and time left, by table. */
  readings(): ReadonlyMap<string, TableReading>
  close(): Promise<void>
}

type Reader = 'unify' | (typeof SINKS)[number]
const READERS: readonly Reader[] = ['unify', ...SINKS]

/** What does not answer for so long is away. */
const ANSWER_MS = 4_000
/** A reader that has something to do and does not move for so long is stalled, or three times what it may wait. */
const STALLED_MS = 15_000
const MINUTE = 60_000

interface Source {
  readonly slot: (Omit<SlotSample, 'secondsToLoss'> & { readonly confirmedLsn: string }) | null
  readonly wal: number
  readonly lsn: string
  readonly now: number
  readonly written: ReadonlyMap<string, number>
}

interface Log {
  readonly rawHigh: number
  readonly governedHigh: number
  readonly deadLetters: number
  readonly capturedTo: { readonly lsn: number; readonly at: number } | null
  readonly snapshotDone: boolean
  readonly readers: ReadonlyMap<
    Reader,
    { readonly passed: number; readonly behind: number; readonly oldest: number | null; readonly lsn: number | null }
  >
}

interface Store {
  readonly asOf: number | null
  readonly lsn: string | null
}

export function pipelineSampler({ runtime, apiUrl, stagesHere }: SamplerOptions): Sampler {
  const { config, transport, registry, raw, metrics } = runtime
  const decoder = rawDecoder(registry)
  const database = pool(config.DATABASE_URL)
  const store = pool(operationalUrl(config))
  const names = topicsOf(config)
  const opened: Promise<readonly Topic[]> = Promise.all([
    transport.topic(names.unified),
    transport.topic(names.events),
    transport.topic(names.deadLetters),
  ])
  opened.catch(() => {})
  const passedBefore = new Map<Hop, { at: number; passed: number }>()
  const moved = new Map<Reader, { passed: number; at: number }>()
  const history: { at: number; wal: number; written: ReadonlyMap<string, number> }[] = []
  const readings = new Map<string, { readonly at: number; readonly reading: TableReading }>()
  const waits: Readonly<Record<Reader, number>> = {
    unify: STALLED_MS,
    operational: STALLED_MS,
    'dpr-raw': Math.max(STALLED_MS, 3 * config.DPR_FLUSH_MS),
    analytics: Math.max(STALLED_MS, 3 * config.ANALYTICS_PUBLISH_MS),
  }

  async function readLog(): Promise<Log> {
    const [unified, events, letters] = await opened
    const bounds = await raw.bounds()
    const [unifiedBounds, eventBounds, letterBounds] = await Promise.all(
      [unified!, events!, letters!].map((topic) => topic.bounds()),
    )
    const tails = await readTails(raw, decoder)
    const markers = tails.flatMap(({ marker }) => (marker === null ? [] : [marker]))
    const oldest = markers.toSorted((a, b) => (a.position < b.position ? -1 : 1))[0]
    const readers = await Promise.all(
      READERS.map(async (reader) => {
        const places = await transport.committed(`${config.NAMESPACE}.${reader}`, raw)
        return [reader, await readerOf(raw, bounds, places)] as const
      }),
    )
    return {
      rawHigh: sum(bounds.map(({ high }) => high)),
      governedHigh: sum([...unifiedBounds!, ...eventBounds!].map(({ high }) => high)),
      deadLetters: sum(letterBounds!.map(({ low, high }) => high - low)),
      capturedTo:
        oldest === undefined || markers.length < tails.length
          ? null
          : { lsn: lsnOf(oldest.position), at: oldest.committedAt / 1000 },
      snapshotDone: markers.length === tails.length && markers.every(({ snapshotDone }) => snapshotDone),
      readers: new Map(readers),
    }
  }

  async function readSource(): Promise<Source> {
    if (database === null) throw new Error('no source is configured')
    const [row] = (await database.query<SourceRow>(SOURCE, [config.NAMESPACE])).rows
    const { rows: tables } = await database.query<{ name: string; written: number }>(WRITTEN, [config.NAMESPACE])
    const { name, active, wal_status: walStatus, confirmed, held, left_: leftBytes, wal, lsn, now_: now } = row!
    return {
      slot:
        name === null
          ? null
          : {
              name,
              active: active === true,
              walStatus: walStatus ?? 'unknown',
              confirmedLsn: confirmed ?? '0/0',
              heldBytes: held ?? 0,
              leftBytes,
            },
      wal,
      lsn,
      now,
      written: new Map(tables.map((table) => [table.name, table.written])),
    }
  }

  async function readStore(): Promise<Store> {
    const answer = await fetch(new URL('/health/ping', apiUrl), { signal: AbortSignal.timeout(ANSWER_MS) })
    if (!answer.ok) throw new Error(`the API answered ${answer.status}`)
    const [row] = (await store!.query<{ at: number | null; marker: string | null }>(FRESHNESS)).rows
    const marker = row?.marker ?? ''
    return { asOf: row?.at ?? null, lsn: marker === '' ? null : lsnText(lsnOf(marker as never)) }
  }

  /** Since the sample before; null when there is none, or the count began anew. */
  function rate(hop: Hop, at: number, passed: number | null): number | null {
    const before = passedBefore.get(hop)
    if (passed === null) return null
    passedBefore.set(hop, { at, passed })
    if (before === undefined || passed < before.passed || at <= before.at) return null
    return ((passed - before.passed) * 1000) / (at - before.at)
  }

  async function answersGiven(): Promise<number | null> {
    const metric = metrics.registry.getSingleMetric('http_request_duration_seconds')
    if (!stagesHere || metric === undefined) return null
    const { values } = (await metric.get()) as { values: { metricName?: string; value: number }[] }
    return sum(values.flatMap(({ metricName, value }) => (metricName?.endsWith('_count') === true ? [value] : [])))
  }

  function stalls(reader: Reader, { passed, behind }: { passed: number; behind: number }, at: number): boolean {
    const before = moved.get(reader)
    if (before === undefined || before.passed !== passed || behind === 0) {
      moved.set(reader, { passed, at })
      return false
    }
    return at - before.at > waits[reader]
  }

  async function sample(): Promise<Sample> {
    const at = Date.now()
    const [source, log, answer, answered] = await Promise.all([
      inTime(readSource()),
      inTime(readLog()),
      inTime(readStore()),
      answersGiven(),
    ])
    const counted = (hop: Hop, records: number | undefined): number | null =>
      stagesHere ? metrics.passed(hop === 'raw' ? 'capture' : hop) : (records ?? null)
    if (source !== null) {
      history.push({ at, wal: source.wal, written: source.written })
      while (history.length > 0 && at - history[0]!.at > MINUTE) history.shift()
    }
    readCapture(at)
    const captured = log?.capturedTo ?? null
    const hop = (name: Hop, passed: number | null, rest: Omit<HopSample, 'rowsPerSecond'>): HopSample => ({
      ...rest,
      rowsPerSecond: rate(name, at, passed),
    })
    const age = (moment: number | null): number | null => (moment === null ? null : Math.max(0, at - moment) / 1000)
    const readerHop = (name: Reader): HopSample => {
      const found = log?.readers.get(name)
      if (found === undefined) return hop(name, null, { ...away(UNASKED), lagRows: null, lagSeconds: null, lsn: null })
      const stalled = stalls(name, found, at)
      const upTo = found.oldest ?? captured?.at ?? null
      return hop(name, counted(name, found.passed), {
        state: stalled ? 'stalled' : 'running',
        says: stalled ? 'It takes nothing although there is something to take.' : null,
        lagRows: found.behind,
        lagSeconds: age(upTo === null ? null : Math.min(upTo, captured?.at ?? upTo)),
        lsn: found.behind === 0 && captured !== null ? lsnText(captured.lsn) : textOf(found.lsn),
      })
    }
    const unify = readerHop('unify')
    const hops: Record<Hop, HopSample> = {
      source: hop('source', source === null ? null : sum([...source.written.values()]), {
        ...(source === null ? down('It does not answer.') : running),
        lagRows: null,
        lagSeconds: null,
        lsn: source?.lsn ?? null,
      }),
      capture: hop('capture', counted('capture', log?.rawHigh), {
        ...captureState(source, log),
        lagRows: null,
        lagSeconds: age(captured?.at ?? null),
        lsn: textOf(captured?.lsn ?? null),
      }),
      raw: hop('raw', counted('raw', log?.rawHigh), {
        ...(log === null ? down('It cannot be read.') : running),
        lagRows: null,
        lagSeconds: age(captured?.at ?? null),
        lsn: textOf(captured?.lsn ?? null),
      }),
      unify,
      governed: hop('governed', log?.governedHigh ?? null, {
        ...(log === null ? down('They cannot be read.') : running),
        lagRows: unify.lagRows,
        lagSeconds: unify.lagSeconds,
        lsn: unify.lsn,
      }),
      'dpr-raw': readerHop('dpr-raw'),
      operational: readerHop('operational'),
      analytics: readerHop('analytics'),
      api: hop('api', answered, {
        ...(answer === null ? down('It, or its store, does not answer.') : running),
        lagRows: null,
        lagSeconds: age(answer?.asOf ?? null),
        lsn: answer?.lsn ?? null,
      }),
    }
    return {
      at,
      hops,
      slot: source?.slot == null ? null : { ...source.slot, secondsToLoss: timeToLoss(source.slot.leftBytes) },
      behindSeconds: hops.api.lagSeconds,
      deadLetters: log?.deadLetters ?? null,
    }
  }

  function timeToLoss(leftBytes: number | null): number | null {
    const [first, last] = [history[0], history.at(-1)]
    if (leftBytes === null || first === undefined || last === undefined || last.at === first.at) return null
    const perSecond = ((last.wal - first.wal) * 1000) / (last.at - first.at)
    return perSecond <= 0 ? null : Math.round(leftBytes / perSecond)
  }

  function readCapture(at: number): void {
    for (const reading of readCaptureState(config.STATE_DIR)?.readings ?? []) {
      const before = readings.get(reading.table)
      const same = before !== undefined && before.reading.rows <= reading.rows && reading.outcome === 'reading'
      const perSecond = same && at > before.at ? ((reading.rows - before.reading.rows) * 1000) / (at - before.at) : null
      const left = Math.max(0, reading.expected - reading.rows)
      readings.set(reading.table, {
        at,
        reading: {
          ...reading,
          rowsPerSecond: perSecond,
          secondsLeft: perSecond === null || perSecond === 0 ? null : left / perSecond,
        },
      })
    }
  }

  return {
    sample,
    tableRates: () => {
      const [first, last] = [history[0], history.at(-1)]
      if (first === undefined || last === undefined || first.at === last.at) return new Map()
      return new Map(
        [...last.written].map(([table, rows]) => [
          table,
          Math.max(0, ((rows - (first.written.get(table) ?? rows)) * 1000) / (last.at - first.at)),
        ]),
      )
    },
    readings: () => new Map([...readings].map(([table, { reading }]) => [table, reading])),
    close: async () => {
      await Promise.all([database?.end(), store?.end()])
    },
  }
}

const UNASKED = 'The raw topic cannot be read.'
const running = { state: 'running', says: null } as const

function down(says: string): { state: 'down'; says: string } {
  return { state: 'down', says }
}

function away(says: string): { state: 'unknown'; says: string } {
  return { state: 'unknown', says }
}

function captureState(source: Source | null, log: Log | null): Pick<HopSample, 'state' | 'says'> {
  if (source === null) return away('The source cannot be asked.')
  if (source.slot === null) return down('There is no slot: nothing has been captured yet, or the slot was dropped.')
  if (source.slot.walStatus === 'lost') return down('The slot is lost: the source removed WAL that it needed.')
  if (!source.slot.active) return down('Nobody reads the slot.')
  if (log?.snapshotDone === false) return { state: 'reading', says: 'The first snapshot is not whole.' }
  return running
}

async function readerOf(raw: Topic, bounds: Awaited<ReturnType<Topic['bounds']>>, places: Places) {
  const next = bounds.map(({ low }, partition) => Math.max(low, places.get(partition)?.next ?? 0))
  const behind = bounds.map(({ high }, partition) => Math.max(0, high - next[partition]!))
  const oldest = await Promise.all(
    behind.map(async (records, partition) => {
      if (records === 0) return null
      const page = await raw.page(partition, next[partition]!, next[partition]! + 1)
      return page.records[0]?.timestampMs ?? null
    }),
  )
  const known = oldest.filter((moment) => moment !== null)
  const heights = [...places.values()].map(({ height }) => height).filter((height) => height !== '')
  return {
    passed: sum([...places.values()].map((place) => place.next)),
    behind: sum(behind),
    oldest: known.length === 0 ? null : Math.min(...known),
    lsn: heights.length === 0 ? null : lsnOf(heights.toSorted().at(-1)!),
  }
}

function textOf(lsn: number | null): string | null {
  return lsn === null ? null : lsnText(lsn)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}

function pool(url: string): pg.Pool
function pool(url: string | undefined): pg.Pool | null
function pool(url: string | undefined): pg.Pool | null {
  if (url === undefined) return null
  const opened = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: ANSWER_MS,
    application_name: 'incidents console',
  })
  opened.on('error', () => {})
  return opened
}

/** Null when it fails or does not come in time. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), ANSWER_MS + 1_000)))
  return Promise.race([work.catch(() => null), late]).finally(() => clearTimeout(timer))
}

interface SourceRow {
  readonly name: string | null
  readonly active: boolean | null
  readonly wal_status: string | null
  readonly confirmed: string | null
  readonly held: number | null
  readonly left_: number | null
  readonly wal: number
  readonly lsn: string
  readonly now_: number
}

const SOURCE = `
  SELECT s.slot_name AS name, s.active, s.wal_status, s.confirmed_flush_lsn::text AS confirmed,
         pg_wal_lsn_diff(w.lsn, s.restart_lsn)::float8 AS held, s.safe_wal_size::float8 AS left_,
         pg_wal_lsn_diff(w.lsn, '0/0')::float8 AS wal, w.lsn::text AS lsn,
         (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_
  FROM (SELECT pg_current_wal_lsn() AS lsn) w LEFT JOIN pg_replication_slots s ON s.slot_name = $1`

const WRITTEN = `
  SELECT p.schemaname || '.' || p.tablename AS name, (s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::float8 AS written
  FROM pg_publication_tables p JOIN pg_stat_user_tables s ON s.schemaname = p.schemaname AND s.relname = p.tablename
  WHERE p.pubname = $1`

const FRESHNESS = `
  SELECT min(marker) AS marker, (extract(epoch FROM min(marker_committed_at)) * 1000)::float8 AS at
  FROM prisons.incidents_place`
