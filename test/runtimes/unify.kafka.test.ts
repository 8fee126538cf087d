/**
 * Unify as processes that share the partitions, under load: one joins, one stands still and comes back as a zombie, one
 * dies, a broker dies, one is replaced. Whatever happens, a read-committed reader has each streamed change once, in
 * order, and waits for none longer than it takes to notice that a process is gone.
 */
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../../observability.ts'
import { capture } from '../../pipeline.ts'
import { kafkaRuntime, openRegistry } from '../../runtime.ts'
import { embeddedTransport } from '../../transport/embedded.ts'
import { topics } from '../../transport/topics.ts'
import { bulkChanges } from '../../workload/bulk.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { startCommand, type RunningCommand } from '../support/command.ts'
import { untilRead } from '../support/events.ts'
import { expectedEvents, expectedRows, readGoverned, watchGroup } from '../support/governed-reader.ts'
import { until } from '../support/kafka-records.ts'
import { describeOwnBroker, describeOwnCluster, needKafka, ownBroker, ownCluster } from '../support/kafka.ts'
import { testDatabase } from '../support/postgres.ts'
import { editsOf, recordsFrom, writeAtRate, type RawEdit } from '../support/raw-load.ts'

const PARTITIONS = 6
const PER_SECOND = 100
/** Of every kind, then rows in bulk: a load for as long as a scenario may take at all. */
const TRANSACTIONS = 300
const ROWS = 60_000
const SCENARIO_MS = 600_000
/** A dead process is noticed after ten seconds; the others then share its partitions. */
const LONGEST_WAIT_MS = 25_000

let edits: readonly RawEdit[]
let directory: Awaited<ReturnType<typeof temporaryDirectory>>

beforeAll(async () => {
  directory = await temporaryDirectory()
  const database = await testDatabase()
  const config = parseConfig({
    DATABASE_URL: database.url,
    NAMESPACE: database.name,
    STATE_DIR: directory.path,
    SCHEMA_REGISTRY_URL: needKafka().registryUrl,
    KAFKA_PARTITIONS: String(PARTITIONS),
  })
  const transport = await embeddedTransport({ directory: directory.path, partitions: PARTITIONS, maxBytes: 1e12 })
  const raw = await transport.topic(topics(config.NAMESPACE).raw)
  const registry = openRegistry(config)
  const runtime = { config, transport, registry, raw, log: logger('silent'), metrics: metrics() }
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await initSource(database.url, { publication: database.name })
  await seedReports(client, { seed: 1, reports: 40 })
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  const stop = new AbortController()
  const captured = capture(runtime, stop.signal)
  captured.catch(() => stop.abort())
  await untilRead(runtime, database, [])
  await runTransactions(pool, { seed: 1, transactions: TRANSACTIONS })
  await bulkChanges(client, { seed: 1, rows: ROWS, inTransaction: 10 })
  await untilRead(runtime, database, [])
  edits = await editsOf(
    await recordsFrom(
      raw,
      Array.from({ length: PARTITIONS }, () => 0),
    ),
    registry,
  )
  stop.abort()
  await captured
  await transport.close()
  await pool.end()
  await client.end()
  await database.drop()
}, 300_000)

afterAll(() => directory.remove())

for (const [nodes, describeThem] of [
  [1, describeOwnBroker],
  [3, describeOwnCluster],
] as const) {
  describeThem(`several unify, with as many brokers as ${nodes}`, () => {
    test('lose, double and reorder nothing, whatever ends or comes', { timeout: SCENARIO_MS }, async () => {
      const { rows, events, expected, longestWaits } = await scenario(nodes)
      expect(rows).toEqual(expected.rows)
      expect(events).toEqual(expected.events)
      expect(events.flat()).toHaveLength(new Set(events.flat()).size)
      expect(longestWaits.ofProcesses).toBeLessThan(LONGEST_WAIT_MS)
      expect(longestWaits.ofBroker).toBeLessThan(LONGEST_WAIT_MS)
    })
  })
}

interface Outcome {
  /** By partition, in the order in which they were read. */
  readonly rows: readonly string[][]
  readonly events: readonly string[][]
  readonly expected: { readonly rows: readonly string[][]; readonly events: readonly string[][] }
  /** In milliseconds. */
  readonly longestWaits: Waits
}

async function scenario(nodes: number): Promise<Outcome> {
  const own = await (nodes === 1 ? ownBroker() : ownCluster(nodes))
  const environment = {
    NAMESPACE: `unify_${nodes}`,
    STATE_DIR: join(directory.path, `state-${nodes}`),
    KAFKA_BROKERS: own.brokers.join(','),
    KAFKA_PARTITIONS: String(PARTITIONS),
    SCHEMA_REGISTRY_URL: needKafka().registryUrl,
    PSEUDONYM_KEY: 'a key for tests only',
    UNIFY_COMMIT_MS: '20', // a process that dies is then nearly always inside of a transaction
    LOG_LEVEL: 'warn',
  }
  const runtime = await kafkaRuntime({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() })
  const group = await watchGroup(runtime)
  const processes: RunningCommand[] = []
  const start = (): RunningCommand => {
    const started = startCommand(['unify'], environment)
    processes.push(started)
    return started
  }
  try {
    const [first, second] = [start(), start()]
    const reader = readGoverned(runtime)
    const writtenAt = new Map<string, number>()
    const writer = writeAtRate(runtime.raw, edits, PER_SECOND, ({ changes }) => {
      for (const { position } of changes) writtenAt.set(position, performance.now())
    })
    const goesOn = async (): Promise<void> => {
      const before = reader.rows.length
      const written = writer.written()
      await until(() => reader.rows.length > before + PER_SECOND).catch((cause: unknown) => {
        throw new Error(`${writer.written() - written} of ${edits.length - written} edits were written meanwhile`, {
          cause,
        })
      })
    }
    await group.shared([3, 3])
    await goesOn()

    const third = start()
    await group.shared([2, 2, 2])
    await goesOn()

    first.signal('SIGSTOP')
    await group.shared([3, 3])
    first.signal('SIGCONT') // with a transaction in hand that others have ended
    await group.shared([2, 2, 2])
    await goesOn()

    second.signal('SIGKILL')
    await group.shared([3, 3])
    await goesOn()

    const away = performance.now()
    await own.kill(0)
    await until(() => performance.now() > away + 1_500)
    await own.start(0)
    const back = performance.now()
    await goesOn()
    const outage = { away, back, over: performance.now() }

    start()
    third.signal('SIGTERM')
    expect((await third.ended).code, third.stderr()).toBe(0)
    await group.shared([3, 3])
    await goesOn()

    await writer.stop()
    const written = edits.slice(0, writer.written())
    expect(written.length, 'there was a load to the end').toBeLessThan(edits.length)
    const expected = { rows: expectedRows(written, PARTITIONS), events: expectedEvents(written, PARTITIONS) }
    await until(() => reader.rows.length >= expected.rows.flat().length)
    await until(() => reader.told.length >= expected.events.flat().length)
    const [rows, events] = [await reader.decoded(), await reader.events()]
    await reader.stop()
    return { rows, events, expected, longestWaits: waitsOf(reader.seenAt(), writtenAt, outage) }
  } catch (cause) {
    throw new Error(processes.map((each, i) => `${i}: ${each.stderr()}`).join('\n'), { cause })
  } finally {
    for (const each of processes) each.signal('SIGKILL')
    await group.close()
    await runtime.transport.close()
    await own.stop()
  }
}

interface Outage {
  readonly away: number
  readonly back: number
  /** When the reader had rows again. */
  readonly over: number
}

interface Waits {
  readonly ofProcesses: number
  /** From when the broker is back. */
  readonly ofBroker: number
}

/** Between a change's being durable in the raw topic and its row's being read. */
function waitsOf(
  seenAt: ReadonlyMap<string, number>,
  writtenAt: ReadonlyMap<string, number>,
  { away, back, over }: Outage,
): Waits {
  let [ofProcesses, ofBroker] = [0, 0]
  for (const [position, seen] of seenAt) {
    const written = writtenAt.get(position)!
    if (written < over && seen > away) ofBroker = Math.max(ofBroker, seen - Math.max(written, back))
    else ofProcesses = Math.max(ofProcesses, seen - written)
  }
  return { ofProcesses, ofBroker }
}
