/** Logs, and what each hop has done. Table, position and counts; never a cell. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import pino, { type Logger } from 'pino'
import type { Change } from './core/change.ts'
import type { Feed } from './core/feed.ts'
import { PipelineError } from './core/error.ts'
import { lsnOf } from './core/position.ts'

export type { Logger }

/** JSON lines on stderr. */
export function logger(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  )
}

/** What a log line says of an error: code, sentence and remedy; of an unexpected one also where it was thrown. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (error instanceof PipelineError) return { code: error.code, remedy: error.remedy }
  return { code: 'UNEXPECTED', stack: error instanceof Error ? error.stack : undefined }
}

export interface Metrics {
  readonly registry: Registry
  /** Counts what passes a hop and remembers the newest position. */
  observed<T>(hop: string, feed: Feed<T>, changeOf: (item: T) => Change<unknown>): Feed<T>
  /** Takes the time of an answer of the API. Its route is as registered, without values. */
  answered(answer: { method: string; route: string; status: number; seconds: number }): void
  /** Changes that a hop has seen in this process, markers left out. */
  passed(hop: string): number
  /** How many columns of a table are withheld from every output because nobody has classified them. */
  unclassified(table: string, columns: number): void
  /** When the copy that analysts open was made, in milliseconds since the Unix epoch. */
  analyticsPublished(at: number): void
  /** How the pipeline stands, as the console's first page shows it at the same moment. */
  sampled(sample: SampledPipeline): void
}

/** Null where nobody knows: the metric is then absent. */
export interface SampledPipeline {
  readonly hops: Readonly<
    Record<
      string,
      {
        readonly state: string
        readonly rowsPerSecond: number | null
        readonly lagRows: number | null
        readonly lagSeconds: number | null
      }
    >
  >
  readonly slot: {
    readonly heldBytes: number
    readonly leftBytes: number | null
    readonly secondsToLoss: number | null
  } | null
  readonly behindSeconds: number | null
  readonly deadLetters: number | null
}

export function metrics(): Metrics {
  const registry = new Registry()
  const changes = new Counter({
    name: 'incidents_changes_total',
    help: 'Changes that passed a hop, markers left out.',
    labelNames: ['hop', 'op'],
    registers: [registry],
  })
  const lsn = new Gauge({
    name: 'incidents_lsn_bytes',
    help: 'The commit LSN of the newest change or marker that a hop has passed on, as a number.',
    labelNames: ['hop'],
    registers: [registry],
  })
  const committed = new Gauge({
    name: 'incidents_committed_timestamp_seconds',
    help: 'The commit time of the newest change or marker that a hop has passed on.',
    labelNames: ['hop'],
    registers: [registry],
  })
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long the API took for an answer, by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  })
  const withheld = new Gauge({
    name: 'incidents_unclassified_columns',
    help: 'Columns of a source table that are withheld from every output because nobody has classified them.',
    labelNames: ['table'],
    registers: [registry],
  })
  const published = new Gauge({
    name: 'incidents_analytics_published_timestamp_seconds',
    help: 'When the copy that analysts open was made; absent where this process publishes none.',
    registers: [],
  })
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `incidents_${name}`, help, labelNames, registers: [registry] })
  const hopUp = gauge('hop_up', 'Whether a hop runs: 1, or 0 when it is stalled, down or unknown.', ['hop'])
  const hopRate = gauge('hop_rows_per_second', 'Rows that passed a hop a second, between the last two samples.', [
    'hop',
  ])
  const hopRows = gauge('hop_lag_rows', 'Records of the raw topic that a hop has not taken, markers among them.', [
    'hop',
  ])
  const hopSeconds = gauge('hop_lag_seconds', 'Age of the newest state of the source that a hop has whole.', ['hop'])
  const behind = gauge('data_behind_seconds', 'Age of the state of the source that the API answers with.')
  const held = gauge('slot_held_bytes', "WAL that the slot holds on the source's disk.")
  const left = gauge(
    'slot_left_bytes',
    'WAL that may still be written before the slot is lost; absent without a limit.',
  )
  const toLoss = gauge('slot_seconds_to_loss', 'Time to the loss of the slot at the rate of the last minute.')
  const letters = gauge('dead_letters', 'Records of the dead letter topic.')
  const put = (into: Gauge, value: number | null | undefined, labels: Record<string, string> = {}): void =>
    value === null || value === undefined ? into.remove(labels) : into.set(labels, value)
  const counts = new Map<string, number>()

  async function* observed<T>(hop: string, feed: Feed<T>, changeOf: (item: T) => Change<unknown>): Feed<T> {
    for await (const batch of feed) {
      yield batch
      const ops: Record<string, number> = {}
      for (const item of batch.items) {
        const { op } = changeOf(item)
        if (op !== 'm') ops[op] = (ops[op] ?? 0) + 1
      }
      for (const [op, n] of Object.entries(ops)) {
        changes.inc({ hop, op }, n)
        counts.set(hop, (counts.get(hop) ?? 0) + n)
      }
      const last = batch.items.at(-1)
      if (last === undefined) continue
      lsn.set({ hop }, lsnOf(changeOf(last).position))
      committed.set({ hop }, changeOf(last).committedAt / 1e6)
    }
  }

  const answered: Metrics['answered'] = ({ method, route, status, seconds }) =>
    requests.observe({ method, route, status }, seconds)

  return {
    registry,
    observed,
    answered,
    passed: (hop) => counts.get(hop) ?? 0,
    analyticsPublished(at) {
      registry.registerMetric(published)
      published.set(at / 1000)
    },
    unclassified: (table, columns) => withheld.set({ table }, columns),
    sampled: ({ hops, slot, behindSeconds, deadLetters }) => {
      for (const [hop, { state, rowsPerSecond, lagRows, lagSeconds }] of Object.entries(hops)) {
        put(hopUp, state === 'running' || state === 'reading' ? 1 : 0, { hop })
        put(hopRate, rowsPerSecond, { hop })
        put(hopRows, lagRows, { hop })
        put(hopSeconds, lagSeconds, { hop })
      }
      put(behind, behindSeconds)
      put(held, slot?.heldBytes)
      put(left, slot?.leftBytes)
      put(toLoss, slot?.secondsToLoss)
      put(letters, deadLetters)
    },
  }
}
