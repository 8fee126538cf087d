/** What the parts of the capture benchmark run on: a captured table, a raw topic, and ways to see how far it is. */
import { join } from 'node:path'
import pg from 'pg'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { lsnOf, parseLsn } from '../core/position.ts'
import { logger, metrics } from '../observability.ts'
import { kafkaRuntime, type Runtime } from '../runtime.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic } from '../transport/topic.ts'
import { cpuOf, pidOf } from './cpu.ts'
import { makeOrders } from './orders.ts'
import { startMeasured, type Measured } from './process.ts'
import { startServices, type Services } from './services.ts'
import { pause } from '../core/pause.ts'

export interface Target {
  readonly services: Services
  readonly client: pg.Client
  readonly runtime: Runtime
  readonly namespace: string
  start(): Measured
  /** Runs capture until it holds all that is committed now. */
  untilCaptured(): Promise<void>
  close(): Promise<void>
}

/** A source with the table `bench.orders`; capture has not run yet. */
export async function captureTarget(): Promise<Target> {
  const services = await startServices()
  const namespace = `bench_${process.pid}`
  const environment = {
    DATABASE_URL: services.databaseUrl,
    KAFKA_BROKERS: services.brokers,
    SCHEMA_REGISTRY_URL: services.registryUrl,
    NAMESPACE: namespace,
    STATE_DIR: join(services.directory, 'state'),
  }
  const client = new pg.Client({ connectionString: services.databaseUrl })
  await client.connect()
  await initSource(services.databaseUrl, { publication: namespace })
  await makeOrders(client, namespace)
  const runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
  const decoder = rawDecoder(runtime.registry)
  return {
    services,
    client,
    runtime,
    namespace,
    start: () => startMeasured(['capture'], environment),
    untilCaptured: async () => {
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      const lsn = parseLsn(rows[0]!.lsn)
      const passed = async (): Promise<boolean> =>
        (await readTails(runtime.raw, decoder)).every(
          ({ marker }) => marker !== null && marker.snapshotDone && lsnOf(marker.position) >= lsn,
        )
      while (!(await passed())) await pause(50)
    },
    close: async () => {
      await runtime.transport.close()
      await client.end()
      await services.stop()
    },
  }
}

/** Records that were ever written to the topic. */
export async function recordsOf(topic: Topic): Promise<number> {
  return (await topic.bounds()).reduce((total, { high }) => total + high, 0)
}

export interface Filled {
  readonly seconds: number
  readonly cpuMicros: number
  readonly cpuByProcess: Readonly<Record<string, number>>
}

export interface Filling {
  readonly client: pg.Client
  readonly topic: Topic
  readonly stage: Measured
  /** That the stage reads. */
  readonly slot: string
  readonly before: number
  readonly rows: number
}

/** From the first record after `before` until the topic has `rows` more: the start of the process is not in it. */
export async function filled({ client, topic, stage, slot, before, rows }: Filling): Promise<Filled> {
  let seen = before
  while (seen <= before) {
    await pause(10)
    seen = await recordsOf(topic)
  }
  const begun = performance.now()
  const cpu = stage.cpuMicros()
  const others = { broker: pidOf(/^java .* kafka\.Kafka /), walsender: await walsenderOf(client, slot) }
  const was = Object.entries(others).map(([name, pid]) => [name, pid, pid === null ? 0 : cpuOf(pid)] as const)
  const wanted = before + rows
  while (seen < wanted) {
    await pause(20)
    seen = await recordsOf(topic)
  }
  const cpuMicros = stage.cpuMicros() - cpu
  const cpuByProcess = Object.fromEntries(
    was.map(([name, pid, then]) => [name, pid === null ? 0 : Math.round(((cpuOf(pid) - then) / rows) * 100) / 100]),
  )
  return { seconds: (performance.now() - begun) / 1000, cpuMicros, cpuByProcess }
}

async function walsenderOf(client: pg.Client, slot: string): Promise<number | null> {
  const { rows } = await client.query<{ pid: number | null }>(
    'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return rows[0]?.pid ?? null
}
