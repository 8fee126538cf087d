/**
 * The walk in bulk: changes that are committed already, from the slot to Kafka and from there to each place, one process
 * at a time, each measured from its first record to its last.
 */
import pg from 'pg'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { lsnOf, parseLsn } from '../core/position.ts'
import { logger, metrics } from '../observability.ts'
import { SINKS } from '../sinks/names.ts'
import { kafkaRuntime, type Runtime } from '../runtime.ts'
import { untilPassed } from '../proof/progress.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { readTails } from '../transport/recovery.ts'
import { bulkChanges } from '../workload/bulk.ts'
import { seedReports } from '../workload/load.ts'
import { startMeasured } from './process.ts'
import { resultOf, type BenchOptions, type Result, type Run } from './result.ts'
import { environmentOf, startServices } from './services.ts'
import { pause } from '../core/pause.ts'

const POLL_MS = 20

export const HOPS = ['capture', 'unify', ...SINKS] as const
export type Hop = (typeof HOPS)[number]

const REPORTS = 1000

export async function walkBench({ what, rows, runs }: BenchOptions): Promise<Result[]> {
  const services = await startServices()
  const environment = environmentOf(services)
  const client = new pg.Client({ connectionString: services.databaseUrl })
  await client.connect()
  const measured = new Map<Hop, Run[]>(HOPS.map((hop) => [hop, []]))
  let runtime: Runtime | null = null
  try {
    await initSource(services.databaseUrl, { publication: environment.NAMESPACE })
    await seedReports(client, { seed: 1, reports: REPORTS })
    runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
    for (const hop of HOPS) await hopRun(hop, runtime, client, environment)
    for (let run = 0; run < runs; run++) {
      await bulkChanges(client, { seed: run + 2, rows })
      for (const hop of HOPS) measured.get(hop)!.push(await hopRun(hop, runtime, client, environment))
    }
  } finally {
    await runtime?.transport.close()
    await client.end()
    await services.stop()
  }
  return HOPS.filter((hop) => what === undefined || hop === what).map((hop) =>
    resultOf('walk', hop, measured.get(hop)!),
  )
}

/** Runs one stage until it has passed everything committed. The clock starts when its first record shows. */
export async function hopRun(
  hop: Hop,
  runtime: Runtime,
  client: pg.Client,
  environment: Record<string, string>,
): Promise<Run> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  const lsn = parseLsn(rows[0]!.lsn)
  const before = await progressOf(hop, runtime)
  const stage = startMeasured(hop === 'capture' || hop === 'unify' ? [hop] : ['deliver', hop], environment)
  let first = before
  while (first === before) {
    await pause(POLL_MS)
    first = await progressOf(hop, runtime)
  }
  const begun = performance.now()
  const cpu = stage.cpuMicros()
  if (hop === 'capture') await untilCaptured(runtime, lsn)
  else await untilPassed(0, { ...runtime, groups: [groupOf(hop, runtime)], signal: new AbortController().signal })
  const seconds = (performance.now() - begun) / 1000
  const cpuMicros = stage.cpuMicros() - cpu
  const peakRssMiB = stage.peakRssMiB()
  await stage.stop()
  return { rows: (await progressOf(hop, runtime)) - first, seconds, cpuMicros, peakRssMiB }
}

async function progressOf(hop: Hop, { raw, transport, config }: Runtime): Promise<number> {
  if (hop === 'capture') return sum((await raw.bounds()).map(({ high }) => high))
  return sum([...(await transport.committed(`${config.NAMESPACE}.${hop}`, raw)).values()].map(({ next }) => next))
}

function groupOf(hop: Hop, { config }: Runtime): string {
  return `${config.NAMESPACE}.${hop}`
}

async function untilCaptured({ raw, registry }: Runtime, lsn: number): Promise<void> {
  const decoder = rawDecoder(registry)
  while (true) {
    const tails = await readTails(raw, decoder)
    if (tails.every(({ marker }) => marker !== null && marker.snapshotDone && lsnOf(marker.position) >= lsn)) return
    await pause(POLL_MS)
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}
