/**
 * Unify alone, from a raw topic that is filled already to the governed topics: rules, policy, pseudonyms, positions and
 * events included.
 *
 *   kafka     a process of its own, in Kafka transactions
 *   embedded  the topics in one SQLite file
 *   latency   what it adds to a row's way, at a thousand rows a second, by commit interval; one broker and three
 *
 * Without `--what`: kafka and embedded.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { governed } from '../pipeline.ts'
import { kafkaRuntime, type Runtime } from '../runtime.ts'
import { embeddedTransport } from '../transport/embedded.ts'
import { recordsFrom } from '../test/support/raw-load.ts'
import type { Received, Topic } from '../transport/topic.ts'
import { topics } from '../transport/topics.ts'
import { bulkChanges } from '../workload/bulk.ts'
import { seedReports } from '../workload/load.ts'
import { peakRssOf } from './cpu.ts'
import { resultOf, type BenchOptions, type Result, type Run } from './result.ts'
import { environmentOf, startServices, type Services } from './services.ts'
import { latencies, MEASURED_ROWS, type Latency } from './unify-latency.ts'
import { hopRun } from './walk.ts'

const WHATS = ['kafka', 'embedded', 'latency'] as const
type What = (typeof WHATS)[number]

const REPORTS = 1000
/** Of one transaction, where latency is measured: a few rows of one edit. */
const ROWS_OF_AN_EDIT = 10

export async function unifyBench(options: BenchOptions): Promise<readonly object[]> {
  const whats = WHATS.filter((each) => (options.what === undefined ? each !== 'latency' : each === options.what))
  if (whats.length === 0) throw new Error(`--what is one of ${WHATS.join(', ')}`)
  const services = await startServices()
  const environment = environmentOf(services)
  const client = new pg.Client({ connectionString: services.databaseUrl })
  await client.connect()
  let runtime: Runtime | null = null
  try {
    await initSource(services.databaseUrl, { publication: environment.NAMESPACE })
    await seedReports(client, { seed: 1, reports: REPORTS })
    runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
    await hopRun('capture', runtime, client, environment)
    const given: Given = { services, environment, client, runtime, options }
    const results: object[] = []
    for (const what of whats) results.push(...(await PARTS[what](given)))
    return results
  } finally {
    await runtime?.transport.close()
    await client.end()
    await services.stop()
  }
}

interface Given {
  readonly services: Services
  readonly environment: ReturnType<typeof environmentOf>
  readonly client: pg.Client
  readonly runtime: Runtime
  readonly options: BenchOptions
}

const PARTS: Readonly<Record<What, (given: Given) => Promise<readonly (Result | Latency)[]>>> = {
  kafka: async ({ environment, client, runtime, options }) => {
    await hopRun('unify', runtime, client, environment)
    const runs: Run[] = []
    for (let run = 0; run < options.runs; run++) {
      await bulkChanges(client, { seed: run + 2, rows: options.rows })
      await hopRun('capture', runtime, client, environment)
      runs.push(await hopRun('unify', runtime, client, environment))
    }
    return [resultOf('unify', 'kafka', runs)]
  },

  embedded: async ({ services, environment, client, runtime, options }) => {
    const runs: Run[] = []
    for (let run = 0; run < options.runs; run++) {
      const starts = await ends(runtime.raw)
      await bulkChanges(client, { seed: run + 1002, rows: options.rows })
      await hopRun('capture', runtime, client, environment)
      const records = await recordsFrom(runtime.raw, starts)
      runs.push(await embeddedRun(records, runtime, join(services.directory, `embedded-${run}`)))
    }
    return [resultOf('unify', 'embedded', runs)]
  },

  latency: async ({ environment, client, runtime }) => {
    const starts = await ends(runtime.raw)
    await bulkChanges(client, { seed: 2, rows: MEASURED_ROWS, inTransaction: ROWS_OF_AN_EDIT })
    await hopRun('capture', runtime, client, environment)
    return latencies(await recordsFrom(runtime.raw, starts), runtime.registry, environment)
  },
}

/** In this process, whose cost is the reading of the topic, the rules, the encoding and the writing of the topics. */
async function embeddedRun(records: readonly Received[], runtime: Runtime, directory: string): Promise<Run> {
  await mkdir(directory)
  const { config } = runtime
  const transport = await embeddedTransport({ directory, partitions: config.KAFKA_PARTITIONS, maxBytes: 1e12 })
  const raw = await transport.topic(topics(config.NAMESPACE).raw)
  for (let i = 0; i < records.length; i += 5_000) await raw.write(records.slice(i, i + 5_000))
  const stop = new AbortController()
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const running = governed({ ...runtime, config: { ...config, KAFKA_BROKERS: undefined }, transport, raw }, stop.signal)
  const done = async (): Promise<number> =>
    (await transport.committed(`${config.NAMESPACE}.unify`, raw)).values().reduce((sum, { next }) => sum + next, 0)
  while ((await done()) < records.length) {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), running])
  }
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  stop.abort()
  await running
  await transport.close()
  return { rows: records.length, seconds, cpuMicros: user + system, peakRssMiB: peakRssOf(process.pid) }
}

async function ends(topic: Topic): Promise<number[]> {
  return (await topic.bounds()).map(({ high }) => high)
}
