/** Reading partitions from their leaders, without a consumer group. */
import { decodeFetch, decodeRecords } from './kafka-fetched.ts'
import { leaderOf } from './kafka-producer.ts'
import { retrying, type Patience } from './kafka-retry.ts'
import type { Cluster } from './kafkajs.ts'
import { errorOf, sendFetch } from './kafkajs-requests.ts'
import type { Received } from './topic.ts'

/** A fetch that finds nothing waits this long at the broker. */
const WAIT_MS = 250
const EARLIEST = -2
const LATEST = -1
const READ_COMMITTED = 1
const TAIL_FETCH_BYTES = 1 << 20

export interface Fetched {
  readonly partition: number
  readonly records: readonly Received[]
  /** Where to go on. */
  readonly next: number
}

/** One fetch from one leader; partitions are served in the order in which they are given. */
export async function fetchFrom(
  cluster: Cluster,
  topic: string,
  nodeId: number,
  positions: readonly (readonly [partition: number, next: number])[],
  maxBytes: number,
): Promise<Fetched[]> {
  const broker = await cluster.findBroker({ nodeId })
  const partitions = positions.map(([partition, next]) => ({ partition, fetchOffset: String(next), maxBytes }))
  const payload = await sendFetch(broker, {
    maxWaitTime: WAIT_MS,
    minBytes: 1,
    maxBytes,
    topics: [{ topic, partitions }],
  })
  const fetched: Fetched[] = []
  const from = new Map(positions)
  for (const each of decodeFetch(payload)) {
    const error = errorOf(each.errorCode)
    if (error !== null) throw error
    const { records, next } = await decodeRecords(each, from.get(each.partition)!)
    fetched.push({ partition: each.partition, records, next })
  }
  return fetched
}

export interface Bounds {
  readonly low: number
  readonly high: number
}

/** By partition: the first offset kept, and the end of what is committed. */
export function fetchBounds(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
  patience: Patience,
): Promise<Bounds[]> {
  return retrying(
    async () => {
      const [low, high] = await Promise.all([
        listOffsets(cluster, topic, partitions, EARLIEST),
        listOffsets(cluster, topic, partitions, LATEST),
      ])
      return partitions.map((partition) => ({ low: low.get(partition)!, high: high.get(partition)! }))
    },
    { ...patience, mend: () => cluster.refreshMetadata() },
  )
}

async function listOffsets(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
  timestamp: number,
): Promise<Map<number, number>> {
  const byLeader = Map.groupBy(partitions, (partition) => leaderOf(cluster, topic, partition))
  const answers = await Promise.all(
    byLeader.entries().map(async ([nodeId, mine]) => {
      const broker = await cluster.findBroker({ nodeId })
      const { responses } = await broker.listOffsets({
        isolationLevel: READ_COMMITTED,
        topics: [{ topic, partitions: mine.map((partition) => ({ partition, timestamp })) }],
      })
      return responses.flatMap((each) => each.partitions)
    }),
  )
  return new Map(answers.flat().map(({ partition, offset }) => [partition, Number(offset)]))
}

/**
 * The last `count` records of a partition, oldest first. Offsets have gaps (compaction, ends of transactions), so it
 * looks back further until there are enough.
 */
export async function fetchTail(
  cluster: Cluster,
  topic: string,
  partition: number,
  count: number,
  patience: Patience,
): Promise<Received[]> {
  const [bounds] = await fetchBounds(cluster, topic, [partition], patience)
  const { low, high } = bounds!
  let found: Received[] = []
  let upper = high
  for (let window = count + 1; found.length < count && upper > low; window *= 4) {
    const lower = Math.max(low, upper - window)
    const older = await fetchRange(cluster, topic, partition, lower, upper, patience)
    found = [...older, ...found].slice(-count)
    upper = lower
  }
  return found
}

/** What one fetch brings of a partition's records below `to`; `next` is where to go on. */
export async function fetchPage(
  cluster: Cluster,
  topic: string,
  partition: number,
  from: number,
  to: number,
  patience: Patience,
): Promise<{ records: Received[]; next: number }> {
  const [bounds] = await fetchBounds(cluster, topic, [partition], patience)
  const start = Math.max(from, bounds!.low)
  if (start >= Math.min(to, bounds!.high)) return { records: [], next: to }
  const [fetched] = await retrying(
    () => fetchFrom(cluster, topic, leaderOf(cluster, topic, partition), [[partition, start]], TAIL_FETCH_BYTES),
    { ...patience, mend: () => cluster.refreshMetadata() },
  )
  const { records, next } = fetched ?? { records: [], next: start }
  return { records: records.filter(({ offset }) => offset >= start && offset < to), next: Math.min(next, to) }
}

async function fetchRange(
  cluster: Cluster,
  topic: string,
  partition: number,
  from: number,
  to: number,
  patience: Patience,
): Promise<Received[]> {
  const found: Received[] = []
  for (let next = from; next < to;) {
    const fetched = await retrying(
      () => fetchFrom(cluster, topic, leaderOf(cluster, topic, partition), [[partition, next]], TAIL_FETCH_BYTES),
      { ...patience, mend: () => cluster.refreshMetadata() },
    )
    for (const { records, next: after } of fetched) {
      for (const record of records) if (record.offset < to) found.push(record)
      next = after
    }
    patience.signal?.throwIfAborted()
  }
  return found
}
