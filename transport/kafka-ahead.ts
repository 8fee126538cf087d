/** Fetching ahead of a reader, within a bound in bytes: one loop for each broker that leads some of the partitions. */
import { bell, type Bell } from './bell.ts'
import { fetchFrom } from './kafka-fetch.ts'
import { leaderOf } from './kafka-producer.ts'
import { passes, typeOf } from './kafka-retry.ts'
import type { Cluster } from './kafkajs.ts'
import type { Received } from './topic.ts'

/** Compressed bytes of one fetch; a record batch comes whole, whatever its size. */
const MOST_FETCHED = 1 << 20
const LEAST_FETCHED = 64 << 10
/** What a record costs beside its bytes. */
const RECORD_BYTES = 64
const AGAIN_MS = 100
const LOOK_MS = 1000

export interface FetchAheadOptions {
  readonly cluster: Cluster
  readonly topic: string
  /** Where to begin, by partition. */
  readonly starts: ReadonlyMap<number, number>
  readonly aheadBytes: number
  readonly patienceMs: number
  /** Rung when records have arrived, or the fetching has failed. */
  readonly arrived: Bell
  /** Where to go on when a broker says that it does not have these offsets. */
  outOfRange(positions: ReadonlyMap<number, number>): Promise<ReadonlyMap<number, number>>
}

export interface FetchAhead {
  /** Everything that has arrived; throws what the fetching has failed with. */
  take(): readonly Received[]
  isEmpty(): boolean
  isFull(): boolean
  /** Forgets what has arrived and fetches no more. */
  stop(): Promise<void>
}

export function fetchAhead(options: FetchAheadOptions): FetchAhead {
  const { cluster, topic, aheadBytes, arrived } = options
  const positions = new Map(options.starts)
  const stopping = new AbortController()
  const { signal } = stopping
  const room = bell()
  const maxBytes = Math.max(LEAST_FETCHED, Math.min(MOST_FETCHED, Math.floor(aheadBytes / 4)))
  let queue: (readonly Received[])[] = []
  let bytes = 0
  let failure: { readonly error: unknown } | null = null

  /** A partition whose leader has moved is fetched from its new one. */
  async function fetchAll(): Promise<void> {
    let until = performance.now() + options.patienceMs
    while (!signal.aborted) {
      const byLeader = Map.groupBy(positions.keys(), (partition) => leaderOf(cluster, topic, partition))
      const round = { ended: false, fetched: false }
      const ends = await Promise.allSettled(
        byLeader.entries().map(([nodeId, partitions]) =>
          fetchFromLeader(nodeId, partitions, round).finally(() => {
            round.ended = true
            room.ring()
          }),
        ),
      )
      if (round.fetched) until = performance.now() + options.patienceMs
      for (const each of ends) if (each.status === 'rejected') await mend(each.reason, until)
      await room.heard(AGAIN_MS, signal)
      await cluster.refreshMetadata().catch(() => {})
    }
  }

  async function mend(error: unknown, until: number): Promise<void> {
    if (signal.aborted) return
    if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') {
      for (const [partition, next] of await options.outOfRange(positions)) positions.set(partition, next)
    } else if (!passes(error) || performance.now() > until) throw error
  }

  async function fetchFromLeader(
    nodeId: number,
    partitions: readonly number[],
    round: { ended: boolean; fetched: boolean },
  ): Promise<void> {
    for (let first = 0; !round.ended && !signal.aborted;) {
      if (bytes >= aheadBytes) {
        await room.heard(LOOK_MS, signal)
        continue
      }
      // A broker fills its answer from the front: everybody is at the front in turn.
      const order = [...partitions.slice(first), ...partitions.slice(0, first)]
      first = (first + 1) % partitions.length
      const asked = order.map((partition) => [partition, positions.get(partition)!] as const)
      const fetched = await fetchFrom(cluster, topic, nodeId, asked, maxBytes)
      if (signal.aborted) return
      round.fetched = true
      for (const { partition, records, next } of fetched) {
        positions.set(partition, next)
        if (records.length > 0) push(records)
      }
    }
  }

  function push(records: readonly Received[]): void {
    for (const { key, value } of records) bytes += RECORD_BYTES + key.length + (value?.length ?? 0)
    queue.push(records)
    arrived.ring()
  }

  const running = fetchAll().catch((error: unknown) => {
    failure = { error }
    arrived.ring()
  })

  return {
    take: () => {
      if (failure !== null) throw (failure as { error: unknown }).error
      const items = queue.length === 1 ? queue[0]! : queue.flat()
      queue = []
      bytes = 0
      room.ring()
      return items
    },
    isEmpty: () => queue.length === 0 && failure === null,
    isFull: () => bytes >= aheadBytes || failure !== null,
    stop: async () => {
      queue = []
      stopping.abort()
      await running
    },
  }
}
