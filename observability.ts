/** Logs, and what each hop has done. Table, position and counts; never a cell. */
import { Counter, Gauge, Registry } from 'prom-client'
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
  /** Changes that a hop has seen in this process, markers left out. */
  passed(hop: string): number
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

  return { registry, observed, passed: (hop) => counts.get(hop) ?? 0 }
}
