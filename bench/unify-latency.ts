/** What unify adds between a row's being readable in the raw topic and in the governed one. */
import { parseConfig } from '../config.ts'
import { drain } from '../core/feed.ts'
import type { Received } from '../core/message.ts'
import type { Position } from '../core/position.ts'
import { logger, metrics } from '../observability.ts'
import { kafkaRuntime, topicsOf, type Runtime } from '../runtime.ts'
import { governedDecoder } from '../schemas/governed-decoder.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { startCluster } from '../test/support/kafka-cluster.ts'
import { pause } from '../core/pause.ts'
import { editsOf, writeAtRate, type RawEdit } from '../test/support/raw-load.ts'
import { cpuOf, pidsOf } from './cpu.ts'
import { percentile } from './open-loop.ts'
import { startMeasured } from './process.ts'

export interface Latency {
  readonly name: 'unify'
  readonly what: 'latency'
  readonly brokers: number
  readonly commitMs: number
  readonly rows: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of one core, while it ran. */
  readonly cpuShare: number
  /** Of one core, of all brokers together. */
  readonly brokersCpuShare: number
}

const BROKERS = [1, 3]
const COMMIT_MS = [20, 50, 100, 500]
const RATE = 1_000
const WARM_MS = 5_000
const MEASURED_MS = 20_000
/** How long the last rows may take. */
const LAST_MS = 60_000

/** How many rows a run takes. */
export const MEASURED_ROWS = (RATE * (WARM_MS + MEASURED_MS)) / 1000

/** Each number of brokers with each interval, one after the other. */
export async function latencies(
  records: readonly Received[],
  registry: Registry,
  environment: Readonly<Record<string, string>>,
): Promise<Latency[]> {
  const edits = await editsOf(records, registry)
  const found: Latency[] = []
  for (const nodes of BROKERS) {
    const cluster = await startCluster(nodes)
    try {
      for (const commitMs of COMMIT_MS) {
        const here = {
          ...environment,
          KAFKA_BROKERS: cluster.brokers.join(','),
          NAMESPACE: `${environment['NAMESPACE']}_${nodes}_${commitMs}`,
          UNIFY_COMMIT_MS: String(commitMs),
        }
        const brokers = pidsOf(new RegExp(`^java .* kafka\\.Kafka ${cluster.directory}/`))
        found.push({
          name: 'unify',
          what: 'latency',
          brokers: nodes,
          commitMs,
          ...(await measure(edits, here, brokers)),
        })
      }
    } finally {
      await cluster.stop()
    }
  }
  return found
}

type Measured = Pick<Latency, 'rows' | 'p50Ms' | 'p99Ms' | 'cpuShare' | 'brokersCpuShare'>

async function measure(
  edits: readonly RawEdit[],
  environment: Readonly<Record<string, string>>,
  brokers: readonly number[],
): Promise<Measured> {
  const runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
  const stage = startMeasured(['unify'], environment)
  const stop = new AbortController()
  const seen = new Map<Position, number>()
  /** Of all rows: this process may see a row here before it sees it in the raw topic, where others read it sooner. */
  const came = new Map<Position, number>()
  let measuring = false
  const reading = Promise.all([
    watch(runtime, stop.signal, (position, now) => {
      if (measuring) seen.set(position, now)
    }),
    watchGoverned(runtime, stop.signal, (position, now) => {
      if (!came.has(position)) came.set(position, now)
    }),
  ])
  const missing = (): number => seen.keys().reduce((sum, position) => sum + (came.has(position) ? 0 : 1), 0)
  const writing = writeAtRate(runtime.raw, edits, RATE)
  await pause(WARM_MS)
  measuring = true
  const cpuOfBrokers = (): number => brokers.reduce((sum, pid) => sum + cpuOf(pid), 0)
  const before = { stage: stage.cpuMicros(), brokers: cpuOfBrokers() }
  await pause(MEASURED_MS)
  measuring = false
  const cpuShare = share(stage.cpuMicros() - before.stage)
  const brokersCpuShare = share(cpuOfBrokers() - before.brokers)
  await writing.done
  for (const end = performance.now() + LAST_MS; missing() > 0 && performance.now() < end;) await pause(100)
  stop.abort()
  await reading
  await stage.stop()
  await runtime.transport.close()
  if (missing() > 0) throw new Error(`${missing()} rows of ${seen.size} did not come`)
  const waits = Array.from(seen, ([position, since]) => Math.max(0, came.get(position)! - since))
  return { rows: waits.length, p50Ms: percentile(waits, 50), p99Ms: percentile(waits, 99), cpuShare, brokersCpuShare }
}

type Seen = (position: Position, now: number) => void

async function watch({ raw, registry, config }: Runtime, signal: AbortSignal, told: Seen): Promise<void> {
  const decoder = rawDecoder(registry)
  await drain(raw.read({ group: `${config.NAMESPACE}.watch`, signal, aheadBytes: 1 << 20 }), {
    write: async (records) => {
      const now = performance.now()
      for (const { position } of await decoder.decode(records)) told(position, now)
    },
  })
}

async function watchGoverned({ transport, registry, config }: Runtime, signal: AbortSignal, told: Seen): Promise<void> {
  const unified = await transport.topic(topicsOf(config).unified)
  const decoder = governedDecoder(registry)
  await drain(unified.read({ group: `${config.NAMESPACE}.watch-governed`, signal, aheadBytes: 1 << 20 }), {
    write: async (records) => {
      const now = performance.now()
      for (const { state } of await decoder.rows(records)) if (state !== null) told(state.position, now)
    },
  })
}

function share(cpuMicros: number): number {
  return Math.round(cpuMicros / MEASURED_MS / 10) / 100
}
