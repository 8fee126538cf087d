/**
 * A group's share of a topic as a feed.
 *
 * Records are fetched ahead within a bound in bytes. An assignment is told where the reader asks for the next batch,
 * never in between: so whoever converts what it reads has nothing of it in hand at that moment.
 */
import { PipelineError } from '../core/error.ts'
import type { Batch, Feed } from '../core/feed.ts'
import type { Places } from '../core/place.ts'
import { bell } from './bell.ts'
import { fetchBounds, fetchFrom } from './kafka-fetch.ts'
import { joinGroup, type Membership } from './kafka-group.ts'
import { leaderOf } from './kafka-producer.ts'
import { brokerError, passes, typeOf } from './kafka-retry.ts'
import type { Client } from './kafkajs.ts'
import type { ReadOptions, Received } from './topic.ts'

/** A keepalive comes at least every second. */
const KEEPALIVE_MS = 800
/** Compressed bytes of one fetch; a record batch comes whole, whatever its size. */
const MOST_FETCHED = 1 << 20
const LEAST_FETCHED = 64 << 10
/** What a record costs beside its bytes. */
const RECORD_BYTES = 64
/** A new leader may not know for a moment how far the log goes. */
const IDENTITY_MS = 5000

export interface Reading {
  readonly client: Client
  readonly topic: string
  readonly options: Omit<ReadOptions, 'places'>
  readonly patienceMs: number
  /** How long after a batch with records the next one may come at the earliest. */
  readonly paceMs: number
  /** Whether `ack` commits the group's offsets. */
  readonly commits: boolean
  places(partitions: readonly number[]): Promise<Places>
}

export interface Reader {
  readonly feed: Feed<Received>
  /** Whether the partition is this reader's, and it has been told so. */
  owns(partition: number): boolean
  /** As `Membership.verify`. */
  verify(): Promise<boolean>
}

interface Waiting {
  readonly records: readonly Received[]
  readonly bytes: number
}

export function kafkaReader(reading: Reading): Reader {
  const { client, topic, options, patienceMs } = reading
  const { group, aheadBytes } = options
  const closing = new AbortController()
  const signal = AbortSignal.any([options.signal, closing.signal])
  let membership: Membership | null = null
  let told = 0
  let ownedNow: readonly number[] = []
  let queue: Waiting[] = []
  let queuedBytes = 0
  let failure: { readonly error: unknown } | null = null
  const arrived = bell()
  const room = bell()
  const fetching = new Set<Promise<void>>()

  const generation = (): number => membership?.current().generation ?? 0
  const fail = (error: unknown): void => {
    failure ??= { error }
    arrived.ring()
    room.ring()
  }

  function changed(): void {
    queue = []
    queuedBytes = 0
    arrived.ring()
    room.ring()
  }

  async function assign(member: Membership): Promise<void> {
    const { generation: mine, partitions } = member.current()
    const places = await reading.places(partitions)
    const starts = await startsOf(member, partitions, places)
    if (mine !== generation() || signal.aborted) return
    told = mine
    ownedNow = partitions
    options.assigned?.(places, partitions)
    if (partitions.length === 0) return
    const running = fetchAll(member, mine, starts).catch((error: unknown) => {
      if (mine === generation() && !signal.aborted) fail(brokerError(client.brokers, `read topic ${topic}`, error))
    })
    fetching.add(running)
    void running.finally(() => fetching.delete(running))
  }

  /** IDENTITY when a place lies behind the end of its partition: then it is not the topic that was read. */
  async function startsOf(
    member: Membership,
    partitions: readonly number[],
    places: Places,
  ): Promise<Map<number, number>> {
    const until = performance.now() + IDENTITY_MS
    while (true) {
      const patience = { until: performance.now() + patienceMs, signal }
      const bounds = await fetchBounds(member.cluster, topic, partitions, patience)
      const starts = new Map(
        partitions.map((partition, i) => [partition, Math.max(places.get(partition)?.next ?? 0, bounds[i]!.low)]),
      )
      const beyond = partitions.findIndex((partition, i) => starts.get(partition)! > bounds[i]!.high)
      if (beyond < 0 || signal.aborted) return starts
      if (performance.now() < until) {
        await room.heard(250, signal)
        continue
      }
      const partition = partitions[beyond]!
      throw new PipelineError(
        'IDENTITY',
        `Group ${group} has read ${topic} partition ${partition} up to offset ${starts.get(partition)}, but the partition ends at ${bounds[beyond]!.high}: it is not the topic that was read.`,
        'Connect to the brokers that the sinks were filled from, or rebuild the sink from this topic (`replay --rebuild`).',
      )
    }
  }

  /** Until the generation ends. A partition whose leader has moved is fetched from its new one. */
  async function fetchAll(member: Membership, mine: number, positions: Map<number, number>): Promise<void> {
    let until = performance.now() + patienceMs
    while (mine === generation() && !signal.aborted) {
      const byLeader = Map.groupBy(positions.keys(), (partition) => leaderOf(member.cluster, topic, partition))
      const round = { ended: false, progressed: false }
      const ends = await Promise.allSettled(
        byLeader.entries().map(async ([nodeId, partitions]) => {
          try {
            await fetchNode(member, mine, nodeId, partitions, positions, round)
          } finally {
            round.ended = true
            room.ring()
          }
        }),
      )
      if (mine !== generation() || signal.aborted) return
      if (round.progressed) until = performance.now() + patienceMs
      for (const each of ends) {
        if (each.status === 'fulfilled') continue
        const error: unknown = each.reason
        if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') {
          for (const [partition, next] of await startsOf(member, [...positions.keys()], placesOf(positions))) {
            positions.set(partition, next)
          }
          continue
        }
        if (!passes(error) || performance.now() > until) throw error
      }
      await room.heard(100, signal)
      await member.cluster.refreshMetadata().catch(() => {})
    }
  }

  async function fetchNode(
    member: Membership,
    mine: number,
    nodeId: number,
    partitions: readonly number[],
    positions: Map<number, number>,
    round: { ended: boolean; progressed: boolean },
  ): Promise<void> {
    const maxBytes = Math.max(LEAST_FETCHED, Math.min(MOST_FETCHED, Math.floor(aheadBytes / 4)))
    for (
      let first = 0;
      !round.ended && mine === generation() && !signal.aborted;
      first = (first + 1) % partitions.length
    ) {
      if (queuedBytes >= aheadBytes) {
        await room.heard(1000, signal)
        continue
      }
      const order = [...partitions.slice(first), ...partitions.slice(0, first)]
      const asked = order.map((partition) => [partition, positions.get(partition)!] as const)
      const fetched = await fetchFrom(member.cluster, topic, nodeId, asked, maxBytes)
      if (mine !== generation()) return
      round.progressed = true
      for (const { partition, records, next } of fetched) {
        positions.set(partition, next)
        if (records.length > 0) push(records)
      }
    }
  }

  function push(records: readonly Received[]): void {
    let bytes = 0
    for (const { key, value } of records) bytes += RECORD_BYTES + key.length + (value?.length ?? 0)
    queue.push({ records, bytes })
    queuedBytes += bytes
    arrived.ring()
  }

  function take(): readonly Received[] {
    const items = queue.length === 1 ? queue[0]!.records : queue.flatMap(({ records }) => records)
    queue = []
    queuedBytes = 0
    room.ring()
    return items
  }

  function acknowledger(member: Membership, mine: number, items: readonly Received[]): Batch<Received>['ack'] {
    return async () => {
      const next = new Map<number, number>()
      for (const { partition, offset } of items) next.set(partition, offset + 1)
      await member.commit(mine, next).catch((error: unknown) => {
        throw brokerError(client.brokers, `commit the offsets of group ${group}`, error)
      })
    }
  }

  async function* feed(): Feed<Received> {
    if (signal.aborted) return
    const member = joinGroup({
      client,
      group,
      topic,
      patienceMs,
      signal,
      changed,
      failed: (error) => fail(brokerError(client.brokers, `join group ${group} of topic ${topic}`, error)),
    })
    membership = member
    let lastAt = performance.now()
    let pacedUntil = 0
    try {
      while (!signal.aborted) {
        if (failure !== null) throw (failure as { error: unknown }).error
        if (told !== generation()) {
          await assign(member)
          continue
        }
        const now = performance.now()
        if (queue.length > 0 && (now >= pacedUntil || queuedBytes >= aheadBytes)) {
          const items = take()
          lastAt = performance.now()
          yield { items, ack: reading.commits ? acknowledger(member, told, items) : nothing }
          pacedUntil = lastAt + reading.paceMs
          continue
        }
        if (now - lastAt >= KEEPALIVE_MS) {
          lastAt = now
          yield { items: [], ack: nothing }
          continue
        }
        const rest = KEEPALIVE_MS - (now - lastAt)
        await arrived.heard(queue.length > 0 ? Math.min(rest, pacedUntil - now) : rest, signal)
      }
    } catch (error) {
      if (signal.aborted) return
      throw brokerError(client.brokers, `read topic ${topic}`, error)
    } finally {
      ownedNow = []
      closing.abort()
      await member.leave()
      await Promise.allSettled(fetching)
    }
  }

  return {
    feed: feed(),
    owns: (partition) => told === generation() && ownedNow.includes(partition),
    verify: async () => (await membership?.verify()) ?? false,
  }
}

const nothing = (): Promise<void> => Promise.resolve()

function placesOf(positions: ReadonlyMap<number, number>): Places {
  return new Map(positions.entries().map(([partition, next]) => [partition, { next, height: '' as never }]))
}
