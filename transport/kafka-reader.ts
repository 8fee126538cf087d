/**
 * A group's share of a topic as a feed.
 *
 * An assignment is told where the reader asks for the next batch, never in between: whoever converts what it reads, a
 * batch after the other, has nothing of it in hand at that moment.
 */
import { PipelineError } from '../core/error.ts'
import type { Batch, Feed } from '../core/feed.ts'
import { startOf, type Places } from '../core/place.ts'
import { bell } from './bell.ts'
import { fetchAhead, type FetchAhead } from './kafka-ahead.ts'
import { fetchBounds } from './kafka-fetch.ts'
import { joinGroup, type Membership } from './kafka-group.ts'
import { brokerError } from './kafka-retry.ts'
import type { Client } from './kafkajs.ts'
import type { ReadOptions, Received } from './topic.ts'

/** A keepalive comes at least every second. */
const KEEPALIVE_MS = 800
/** A new leader may not know for a moment how far the log goes. */
const IDENTITY_MS = 5000
const IDENTITY_AGAIN_MS = 250

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
  /** Whether the partition is this reader's, it has been told so, and nothing has been read in vain since. */
  owns(partition: number): boolean
  /** As `Membership.verify`. */
  verify(): Promise<boolean>
  /** Something that was read has not been processed: read from the places again. */
  restart(): void
}

export function kafkaReader(reading: Reading): Reader {
  const { client, topic, options, patienceMs } = reading
  const { group, aheadBytes } = options
  const closing = new AbortController()
  const signal = AbortSignal.any([options.signal, closing.signal])
  const arrived = bell()
  let membership: Membership | null = null
  let failure: { readonly error: unknown } | null = null
  /** Rises when what has been read so far no longer counts. */
  let epoch = 0
  let told = 0
  let owned: readonly number[] = []
  let ahead: FetchAhead | null = null

  function restart(): void {
    epoch += 1
    arrived.ring()
  }

  async function assign(member: Membership): Promise<void> {
    const mine = epoch
    const { partitions } = member.current()
    await ahead?.stop()
    ahead = null
    const places = await reading.places(partitions)
    const starts = await startsOf(member, partitions, (partition) => {
      const place = places.get(partition)
      return place === undefined ? 0 : startOf(place)
    })
    if (mine !== epoch || signal.aborted) return
    told = mine
    owned = partitions
    options.assigned?.(places, partitions)
    if (partitions.length === 0) return
    ahead = fetchAhead({
      cluster: member.cluster,
      topic,
      starts,
      aheadBytes,
      patienceMs,
      arrived,
      outOfRange: (positions) => startsOf(member, [...positions.keys()], (partition) => positions.get(partition)!),
    })
  }

  /** IDENTITY when a place lies behind the end of its partition: then it is not the topic that was read. */
  async function startsOf(
    member: Membership,
    partitions: readonly number[],
    wanted: (partition: number) => number,
  ): Promise<Map<number, number>> {
    const until = performance.now() + IDENTITY_MS
    while (true) {
      const patience = { until: performance.now() + patienceMs, signal }
      const bounds = await fetchBounds(member.cluster, topic, partitions, patience)
      const beyond = partitions.findIndex((partition, i) => wanted(partition) > bounds[i]!.high)
      if (beyond < 0 || signal.aborted) {
        return new Map(partitions.map((partition, i) => [partition, Math.max(wanted(partition), bounds[i]!.low)]))
      }
      if (performance.now() > until) {
        const partition = partitions[beyond]!
        throw new PipelineError(
          'IDENTITY',
          `Group ${group} has read ${topic} partition ${partition} up to offset ${wanted(partition)}, but the partition ends at ${bounds[beyond]!.high}: it is not the topic that was read.`,
          'Connect to the brokers that the sinks were filled from, or accept the topic as it is with `incidents source adopt`.',
        )
      }
      await arrived.heard(IDENTITY_AGAIN_MS, signal)
    }
  }

  function acknowledger(member: Membership, items: readonly Received[]): Batch<Received>['ack'] {
    const { generation } = member.current()
    return async () => {
      const next = new Map<number, number>()
      for (const { partition, offset } of items) next.set(partition, offset + 1)
      await member.commit(generation, next).catch((error: unknown) => {
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
      changed: restart,
      failed: (error) => {
        failure = { error }
        arrived.ring()
      },
    })
    membership = member
    try {
      yield* batches(member)
    } catch (error) {
      if (!options.signal.aborted) throw brokerError(client.brokers, `read topic ${topic} for group ${group}`, error)
    } finally {
      owned = []
      closing.abort()
      await Promise.all([member.leave(), ahead?.stop()])
    }
  }

  async function* batches(member: Membership): Feed<Received> {
    let lastAt = performance.now()
    let pacedUntil = 0
    while (!signal.aborted) {
      if (failure !== null) throw (failure as { error: unknown }).error
      if (told !== epoch && member.isJoined()) {
        await assign(member)
        continue
      }
      const now = performance.now()
      const waiting = told === epoch && ahead?.isEmpty() === false
      if (waiting && (now >= pacedUntil || ahead!.isFull())) {
        const items = ahead!.take()
        lastAt = now
        pacedUntil = now + reading.paceMs
        yield { items, ack: reading.commits ? acknowledger(member, items) : nothing }
        continue
      }
      const rest = lastAt + KEEPALIVE_MS - now
      if (rest <= 0) {
        lastAt = now
        yield { items: [], ack: nothing }
        continue
      }
      await arrived.heard(waiting ? Math.min(rest, pacedUntil - now) : rest, signal)
    }
  }

  return {
    feed: feed(),
    owns: (partition) => told === epoch && owned.includes(partition),
    verify: async () => (await membership?.verify()) ?? false,
    restart,
  }
}

const nothing = (): Promise<void> => Promise.resolve()
