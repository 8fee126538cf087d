/**
 * Unify as processes that share the partitions, under load: one joins, one stands still and comes back as a zombie, one
 * dies, a broker dies, one is replaced. Whatever happens, a read-committed reader has each streamed change once, in
 * order, and waits for none longer than it takes to notice that a process is gone.
 */
import { join } from 'node:path'
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import type { Change } from '../../core/change.ts'
import type { IncidentEvent } from '../../core/event.ts'
import type { Place, Places } from '../../core/place.ts'
import { BEGINNING } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { capture } from '../../pipeline.ts'
import { kafkaRuntime, openRegistry, topicsOf, type Runtime } from '../../runtime.ts'
import { eventDecoder } from '../../schemas/events.ts'
import { governedDecoder } from '../../schemas/governed-decoder.ts'
import { eventFold } from '../../transforms/event.ts'
import { unify } from '../../transforms/unify.ts'
import { embeddedTransport } from '../../transport/embedded.ts'
import { topics } from '../../transport/topics.ts'
import type { Received } from '../../transport/topic.ts'
import { bulkChanges } from '../../workload/bulk.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { startCommand, type RunningCommand } from '../support/command.ts'
import { untilRead } from '../support/events.ts'
import { until } from '../support/kafka-records.ts'
import { describeOwnBroker, describeOwnCluster, needKafka, ownBroker, ownCluster } from '../support/kafka.ts'
import { testDatabase } from '../support/postgres.ts'
import { editsOf, recordsFrom, writeAtRate, type RawEdit } from '../support/raw-load.ts'

const PARTITIONS = 6
const PER_SECOND = 100
/** Of every kind, then rows in bulk: more than the longest scenario takes. */
const TRANSACTIONS = 300
const ROWS = 6_000
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

describeOwnBroker('several unify on one broker', () => {
  test('lose, double and reorder nothing, whatever ends or comes', () => scenario(1), 200_000)
})

describeOwnCluster('several unify on three brokers', () => {
  test('lose, double and reorder nothing, whatever ends or comes', () => scenario(3), 240_000)
})

async function scenario(nodes: number): Promise<void> {
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
      await until(() => reader.rows.length > before + PER_SECOND)
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

    start()
    third.signal('SIGTERM')
    expect((await third.ended).code, third.stderr()).toBe(0)
    await group.shared([3, 3])
    await goesOn()

    await writer.stop()
    const written = edits.slice(0, writer.written())
    expect(written.length, 'there was a load to the end').toBeLessThan(edits.length)
    const expected = expectedRows(written)
    await until(() => reader.rows.length >= expected.flat().length)
    const events = expectedEvents(written)
    await until(async () => (await reader.events()).flat().length >= events.flat().length)

    const found = await reader.decoded()
    expect(found).toEqual(expected)
    expect(await reader.events()).toEqual(events)
    expect(events.flat()).toHaveLength(new Set(events.flat()).size)
    expect(longestWait(reader.seenAt(), writtenAt, { away, back })).toBeLessThan(LONGEST_WAIT_MS)
    await reader.stop()
  } catch (cause) {
    throw new Error(processes.map((each, i) => `${i}: ${each.stderr()}`).join('\n'), { cause })
  } finally {
    for (const each of processes) each.signal('SIGKILL')
    await group.close()
    await runtime.transport.close()
    await own.stop()
  }
}

/** Who has how many partitions, as the brokers say. */
async function watchGroup({ config, raw }: Runtime) {
  const kafka = new Kafka({ brokers: config.KAFKA_BROKERS!.split(','), logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const shares = async (): Promise<number[]> => {
    const { groups } = await admin.describeGroups([`${config.NAMESPACE}.unify`])
    const [group] = groups
    if (group?.state !== 'Stable') return []
    return group.members.map(({ memberAssignment }) => {
      const assigned = AssignerProtocol.MemberAssignment.decode(memberAssignment)
      return assigned?.assignment[raw.name]?.length ?? 0
    })
  }
  return {
    /** Resolves when the partitions are shared like this. */
    shared: (wanted: readonly number[]) =>
      until(async () => String((await shares().catch(() => [])).toSorted()) === String(wanted), 60_000),
    close: () => admin.disconnect(),
  }
}

/** A read-committed reader of both governed topics, from their beginning. */
function readGoverned({ config, transport, registry }: Runtime) {
  const stopping = new AbortController()
  const { signal } = stopping
  const rows: { readonly record: Received; readonly at: number }[] = []
  const told: Received[] = []
  const names = topicsOf(config)
  const read = async (name: 'unified' | 'events', take: (items: readonly Received[]) => void): Promise<void> => {
    const topic = await transport.topic(names[name])
    const group = `${config.NAMESPACE}.reader-of-${name}`
    const next = new Map<number, Place>()
    // it remembers where it is, as a reader does that keeps its place with its data
    const places = async (): Promise<Places> => next
    for await (const { items } of topic.read({ group, signal, aheadBytes: 1 << 20, places })) {
      take(items)
      for (const { partition, offset } of items) next.set(partition, { next: offset + 1, height: BEGINNING })
    }
  }
  const running = Promise.all([
    read('unified', (items) => {
      const at = performance.now()
      for (const record of items) rows.push({ record, at })
    }),
    read('events', (items) => told.push(...items)),
  ])
  running.catch(() => stopping.abort())
  const decoder = governedDecoder(registry)
  const decodeEvent = eventDecoder(registry)
  const positions = new Map<string, number>()

  return {
    rows,
    /** By partition, in order. */
    decoded: async (): Promise<string[][]> => {
      const found = byPartition()
      const decoded = await decoder.rows(rows.map(({ record }) => record))
      for (const [i, { entity, id, deleted, state }] of decoded.entries()) {
        const { record, at } = rows[i]!
        if (state !== null) positions.set(state.position, at)
        found[record.partition]!.push(rowText(state?.position ?? 'tombstone', entity, id, deleted))
      }
      return found
    },
    events: async (): Promise<string[][]> => {
      const found = byPartition()
      const decoded = await Promise.all(told.map((record) => decodeEvent.event(record)))
      for (const [i, event] of decoded.entries()) found[told[i]!.partition]!.push(eventText(event))
      return found
    },
    /** By position, of what has been decoded. */
    seenAt: (): ReadonlyMap<string, number> => positions,
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}

const byPartition = (): string[][] => Array.from({ length: PARTITIONS }, () => [])

const rowText = (position: string, entity: string, id: string, deleted: boolean): string =>
  `${position} ${deleted ? 'delete' : 'upsert'} ${entity} ${id}`

const eventText = ({ txId, eventType, additionalInformation: { source, reportReference } }: IncidentEvent): string =>
  `${txId} ${eventType} ${source} ${reportReference}`

function changesOf(written: readonly RawEdit[]): readonly Change[] {
  return written.flatMap(({ changes }) => changes)
}

/** A delete is its last known state, then a tombstone. */
function expectedRows(written: readonly RawEdit[]): string[][] {
  const found = byPartition()
  for (const change of changesOf(written)) {
    for (const { entity, id, op } of unify(change).rows) {
      found[change.partition]!.push(rowText(change.position, entity, id, op === 'delete'))
      if (op === 'delete') found[change.partition]!.push(rowText('tombstone', entity, id, true))
    }
  }
  return found
}

function expectedEvents(written: readonly RawEdit[]): string[][] {
  const folds = Array.from({ length: PARTITIONS }, () => eventFold())
  const found = byPartition()
  for (const change of changesOf(written)) {
    found[change.partition]!.push(...folds[change.partition]!.add(change).map(eventText))
  }
  return found
}

interface Outage {
  readonly away: number
  readonly back: number
}

/** Between a change's being durable in the raw topic and its row's being read; while the broker is away nobody reads. */
function longestWait(
  seenAt: ReadonlyMap<string, number>,
  writtenAt: ReadonlyMap<string, number>,
  { away, back }: Outage,
): number {
  let longest = 0
  for (const [position, seen] of seenAt) {
    const written = writtenAt.get(position)!
    const since = written < back && seen > away ? Math.max(written, back) : written
    longest = Math.max(longest, seen - since)
  }
  return longest
}
