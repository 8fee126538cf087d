/**
 * Capture alone, from the slot to Kafka with acks=all and an idempotent producer, a registry beside it.
 *
 *   catch-up     changes that are committed already (the default)
 *   live         changes while they are committed
 *   snapshot     rows that are there before the slot
 *   transaction  one transaction of all rows: what it costs in memory
 *   latency      commit → readable, at a thousand transactions a second
 *   start        `kill -9` → first new row, at a thousand transactions a second
 *   start-busy   the same under all the load that the database makes
 *   stalled      the broker stands still while a thousand changes a second are committed: what capture holds
 */
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { pause } from '../core/pause.ts'
import { stalled } from './capture-stalled.ts'
import { captureTarget, filled, recordsOf, type Filled, type Target } from './capture-target.ts'
import { latency, restart, type Times } from './capture-times.ts'
import { startDebezium } from './debezium.ts'
import { changeOrders, insertOrders, IN_TRANSACTION, ORDERS } from './orders.ts'
import type { Measured } from './process.ts'
import type { BenchOptions } from './result.ts'

const WHATS = ['catch-up', 'live', 'snapshot', 'transaction', 'latency', 'start', 'start-busy', 'stalled'] as const
type What = (typeof WHATS)[number]

interface CaptureResult {
  readonly name: 'capture'
  readonly what: string
  readonly rows: number
  readonly seconds: number
  readonly rowsPerSecond: number
  readonly spread: readonly number[]
  readonly cpuMicrosPerRow: number
  /** Microseconds a row, of the servers. */
  readonly cpuByProcess: Readonly<Record<string, number>>
  readonly peakRssMiB: number
}

export async function captureBench(options: BenchOptions): Promise<readonly object[]> {
  const what = WHATS.find((each) => each === (options.what ?? 'catch-up'))
  if (what === undefined) throw new Error(`--what is one of ${WHATS.join(', ')}`)
  const target = await captureTarget()
  try {
    if (what === 'latency' || what === 'start' || what === 'start-busy') return [await times(target, what, options)]
    if (what === 'stalled') {
      await once(target)
      return [{ name: 'capture', what, ...(await stalled(target, options)) }]
    }
    if (options.against === 'debezium') return await against(target, options)
    const runs: Run[] = []
    if (what !== 'snapshot') await once(target)
    for (let run = 0; run < options.runs; run++) runs.push(await PARTS[what](target, options.rows, run))
    return [resultOf(what, runs)]
  } finally {
    await target.close()
  }
}

interface Run extends Filled {
  readonly rows: number
  readonly peakRssMiB: number
}

const PARTS: Readonly<Record<Exclude<What, 'latency' | 'start' | 'start-busy' | 'stalled'>, typeof catchUp>> = {
  'catch-up': catchUp,
  live: async (target, rows, run) => {
    const before = await recordsOf(target.runtime.raw)
    const stage = target.start()
    await pause(5_000) // it has started, and waits
    const load = changeOrders(target.client, rows, firstOf(run, rows))
    const found = await ended(target, stage, before + markersOf(target), rows)
    await load
    return found
  },
  snapshot: async (target, rows, run) => {
    if (run > 0) throw new Error('a snapshot is taken once: run it again for another')
    await insertOrders(target.client, rows, 1)
    await target.client.query('VACUUM ANALYZE bench.orders')
    const stage = target.start()
    return ended(target, stage, 0, rows)
  },
  transaction: async (target, rows, run) => {
    await insertOrders(target.client, rows, firstOf(run, rows))
    const before = await recordsOf(target.runtime.raw)
    return ended(target, target.start(), before + markersOf(target), rows)
  },
}

async function catchUp(target: Target, rows: number, run: number): Promise<Run> {
  await changeOrders(target.client, rows, firstOf(run, rows))
  const before = await recordsOf(target.runtime.raw)
  return ended(target, target.start(), before + markersOf(target), rows)
}

/** A start writes a marker to each partition before anything else. */
function markersOf({ runtime }: Target): number {
  return runtime.raw.partitions
}

async function ended(target: Target, stage: Measured, before: number, rows: number): Promise<Run> {
  const found = await filled({
    client: target.client,
    topic: target.runtime.raw,
    stage,
    slot: target.namespace,
    before,
    rows: rows - IN_TRANSACTION,
  })
  await target.untilCaptured()
  const peakRssMiB = stage.peakRssMiB()
  await stage.stop()
  return { ...found, rows, peakRssMiB }
}

/** Makes the slot. */
async function once(target: Target): Promise<void> {
  const stage = target.start()
  await target.untilCaptured()
  await stage.stop()
}

/** Ids that no other run uses. */
function firstOf(run: number, rows: number): number {
  return 1 + run * (rows + 1_000)
}

/** Both read the same changes, one after the other, each from a slot of its own. */
async function against(target: Target, { rows, runs }: BenchOptions): Promise<readonly object[]> {
  const { client, services, runtime } = target
  const name = 'debezium'
  await once(target)
  await client.query(`CREATE PUBLICATION ${name} FOR TABLE ${ORDERS}`)
  const topicName = `${name}.${ORDERS}`
  const admin = new Kafka({ brokers: services.brokers.split(','), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: topicName, numPartitions: runtime.raw.partitions }] })
  await admin.disconnect()
  const topic = await runtime.transport.topic({ name: topicName, cleanup: 'delete', keptMs: 1e9, maxMessageBytes: 1e7 })
  const ours: Run[] = []
  const theirs: Run[] = []
  for (let run = 0; run < runs; run++) {
    await client.query(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`)
    ours.push(await catchUp(target, rows, run))
    const before = await recordsOf(topic)
    const stage = await startDebezium({
      directory: join(services.directory, `connect-${run}`),
      databaseUrl: services.databaseUrl,
      brokers: services.brokers,
      registryUrl: services.registryUrl,
      name,
      table: ORDERS,
    })
    const found = await filled({ client, topic, stage, slot: name, before, rows: rows - IN_TRANSACTION })
    theirs.push({ ...found, rows, peakRssMiB: stage.peakRssMiB() })
    await stage.stop()
    await client.query(`SELECT pg_drop_replication_slot('${name}')`)
  }
  const [us, them] = [resultOf('catch-up', ours), { ...resultOf('catch-up', theirs), name: 'debezium' }]
  return [
    us,
    them,
    {
      name: 'ratio',
      what: 'catch-up',
      rowsPerSecond: Math.round((us.rowsPerSecond / them.rowsPerSecond) * 10) / 10,
      cpuMicrosPerRow: Math.round((us.cpuMicrosPerRow / them.cpuMicrosPerRow) * 1000) / 1000,
    },
  ]
}

async function times(target: Target, what: 'latency' | 'start' | 'start-busy', { runs, rows }: BenchOptions) {
  await once(target)
  const found: Times =
    what === 'latency' ? await latency(target) : await restart(target, { runs, busy: what === 'start-busy', rows })
  return { name: 'capture', what, ...found }
}

/** The run with the median rate. */
function resultOf(what: string, runs: readonly Run[]): CaptureResult {
  const rate = ({ rows, seconds }: Run): number => Math.round(rows / seconds)
  const sorted = runs.toSorted((a, b) => rate(a) - rate(b))
  const median = sorted[Math.floor(sorted.length / 2)]!
  return {
    name: 'capture',
    what,
    rows: median.rows,
    seconds: Math.round(median.seconds * 100) / 100,
    rowsPerSecond: rate(median),
    spread: [rate(sorted[0]!), rate(sorted.at(-1)!)],
    cpuMicrosPerRow: Math.round((median.cpuMicros / median.rows) * 100) / 100,
    cpuByProcess: median.cpuByProcess,
    peakRssMiB: Math.max(...runs.map((run) => run.peakRssMiB)),
  }
}
