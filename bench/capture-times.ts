/** How long a committed row takes to be readable, and how long a start takes. */
import pg from 'pg'
import { drain } from '../core/feed.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { pause } from '../core/pause.ts'
import { recordsOf, type Target } from './capture-target.ts'
import { changeOrders } from './orders.ts'

export interface Times {
  readonly rows: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of one core, while it ran. */
  readonly cpuShare?: number
}

const RATE = 1_000
const CONNECTIONS = 4
const WARM_MS = 5_000
const MEASURED_MS = 20_000

/** From the commit's own time in the source until a reader of the topic has the record. */
export async function latency(target: Target): Promise<Times> {
  const { raw, registry } = target.runtime
  const stage = target.start()
  const stop = new AbortController()
  const decoder = rawDecoder(registry)
  const waits: number[] = []
  let measuring = false
  const reading = drain(raw.read({ group: `${target.namespace}.latency`, signal: stop.signal, aheadBytes: 1 << 20 }), {
    write: async (records) => {
      const now = performance.timeOrigin + performance.now()
      for (const change of await decoder.decode(records)) {
        if (measuring && change.op !== 'm') waits.push(now - change.committedAt / 1000)
      }
    },
  })
  const load = inserting(target, stop.signal)
  await pause(WARM_MS)
  measuring = true
  const cpu = stage.cpuMicros()
  await pause(MEASURED_MS)
  measuring = false
  const cpuShare = Math.round((stage.cpuMicros() - cpu) / MEASURED_MS / 10) / 100
  stop.abort()
  await load
  await reading
  await stage.stop()
  return { rows: waits.length, ...percentiles(waits), cpuShare }
}

export interface RestartOptions {
  readonly runs: number
  readonly busy: boolean
  readonly rows: number
}

/** From `kill -9` until a record that was not there before is in the topic. */
export async function restart(target: Target, { runs, busy, rows }: RestartOptions): Promise<Times> {
  const { raw } = target.runtime
  const stop = new AbortController()
  const load = busy ? changeOrders(target.client, rows, 1) : inserting(target, stop.signal)
  let stage = target.start()
  await pause(WARM_MS)
  const waits: number[] = []
  for (let run = 0; run < runs; run++) {
    await stage.kill()
    const before = (await recordsOf(raw)) + raw.partitions // a marker for each comes first
    const begun = performance.now()
    stage = target.start()
    while ((await recordsOf(raw)) <= before) await pause(5)
    waits.push(performance.now() - begun)
    await pause(1_000)
  }
  stop.abort()
  await load
  await stage.stop()
  return { rows: runs, ...percentiles(waits) }
}

/** Single-row transactions at the rate, over several connections. */
async function inserting(target: Target, signal: AbortSignal): Promise<void> {
  const pool = new pg.Pool({ connectionString: target.services.databaseUrl, max: CONNECTIONS })
  await pool.query('SET synchronous_commit = on')
  const begun = performance.now()
  let id = 0
  const worker = async (): Promise<void> => {
    while (!signal.aborted) {
      const due = Math.floor(((performance.now() - begun) / 1000) * RATE)
      if (id >= due) {
        await pause(1)
        continue
      }
      id += 1
      await pool.query('INSERT INTO bench.orders SELECT r.* FROM bench.made($1) r', [1e12 + id])
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  await pool.end()
}

function percentiles(values: number[]): Pick<Times, 'p50Ms' | 'p99Ms'> {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
