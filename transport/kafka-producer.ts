/** Writing to topics: idempotent, all replicas, one send in flight, each partition tried until it is durable. */
import { decodeProduce, encodeProduce, encodeRecordBatch, RECORD_OVERHEAD } from './kafka-fast.ts'
import type { Cluster } from './kafkajs.ts'
import { sendProduce, errorOf } from './kafkajs-requests.ts'
import { passes, retrying, typeOf, type Patience } from './kafka-retry.ts'
import type { Message } from './topic.ts'

/** A record batch of several records holds at most this: small enough for readers to take in one piece, large enough to compress well. */
const BATCH_BYTES = 4 << 20
const BATCH_RECORDS = 50_000
/** The batches of one round of requests together; a broker refuses requests of 100 MiB. */
const ROUND_BYTES = 32 << 20
const REQUEST_TIMEOUT_MS = 30_000
const SEQUENCES = 2 ** 31

/** Who the broker takes us for, and how many records each partition has had from us. */
export interface ProducerState {
  readonly transactionalId: string | null
  readonly producerId: string
  readonly producerEpoch: number
  readonly sequences: Map<string, number>
}

/** Messages of one partition that go as one record batch. */
export interface Piece {
  readonly topic: string
  readonly partition: number
  readonly messages: Message[]
  bytes: number
}

/**
 * Cuts messages into pieces that a topic takes even if they cannot be compressed, in order per partition, and those
 * into rounds: a round has at most one piece of a partition, and the next begins when all of it is durable.
 */
export function cutRounds(topic: string, messages: readonly Message[], maxMessageBytes: number): Piece[][] {
  const most = Math.min(BATCH_BYTES, maxMessageBytes)
  const pieces: Piece[] = []
  const open = new Map<number, Piece>()
  for (const message of messages) {
    const { partition, key, value } = message
    const bytes = RECORD_OVERHEAD + key.length + (value?.length ?? 0)
    let piece = open.get(partition)
    if (piece === undefined || piece.bytes + bytes > most || piece.messages.length >= BATCH_RECORDS) {
      piece = { topic, partition, messages: [], bytes: 0 }
      open.set(partition, piece)
      pieces.push(piece)
    }
    piece.messages.push(message)
    piece.bytes += bytes
  }
  return roundsOf(pieces)
}

function roundsOf(pieces: readonly Piece[]): Piece[][] {
  const rounds: Piece[][] = []
  let round: Piece[] = []
  let bytes = 0
  for (const piece of pieces) {
    if (bytes + piece.bytes > ROUND_BYTES || round.some(({ partition }) => partition === piece.partition)) {
      if (round.length > 0) rounds.push(round)
      round = []
      bytes = 0
    }
    round.push(piece)
    bytes += piece.bytes
  }
  if (round.length > 0) rounds.push(round)
  return rounds
}

interface Pending {
  readonly topic: string
  readonly partition: number
  readonly batch: readonly Buffer[]
}

/**
 * Sends a round and resolves when all of it is durable. What a leader has taken is not sent again; what it may have
 * taken is sent again with the same sequence number, by which the broker knows it (while the partition's newest record
 * of this producer is not older than a day: `producer.id.expiration.ms`). After a rejection nothing more may
 * be sent under this state: whether the records are there is not known.
 */
export async function sendRound(
  cluster: Cluster,
  state: ProducerState,
  round: readonly Piece[],
  patience: Patience,
): Promise<void> {
  let pending = await Promise.all(round.map((piece) => encode(state, piece)))
  await retrying(
    async () => {
      const byLeader = Map.groupBy(pending, ({ topic, partition }) => leaderOf(cluster, topic, partition))
      const failures = await Promise.all(
        byLeader.entries().map(async ([nodeId, mine]) => {
          try {
            return await produce(cluster, state, nodeId, mine)
          } catch (error) {
            return mine.map((each) => ({ each, error }))
          }
        }),
      )
      const failed = failures.flat()
      pending = failed.map(({ each }) => each)
      if (failed.length > 0) throw (failed.find(({ error }) => !passes(error)) ?? failed[0]!).error
    },
    { ...patience, mend: () => cluster.refreshMetadata() },
  )
}

async function encode(state: ProducerState, { topic, partition, messages }: Piece): Promise<Pending> {
  const place = `${topic}/${partition}`
  const firstSequence = state.sequences.get(place) ?? 0
  state.sequences.set(place, (firstSequence + messages.length) % SEQUENCES)
  const { producerId, producerEpoch } = state
  const transactional = state.transactionalId !== null
  const compression = 'zstd'
  return {
    topic,
    partition,
    batch: await encodeRecordBatch({
      messages,
      producerId,
      producerEpoch,
      firstSequence,
      transactional,
      compression,
    }),
  }
}

/** Resolves with what was not taken. */
async function produce(cluster: Cluster, state: ProducerState, nodeId: number, pending: readonly Pending[]) {
  const broker = await cluster.findBroker({ nodeId })
  const request = encodeProduce({
    transactionalId: state.transactionalId,
    timeoutMs: REQUEST_TIMEOUT_MS,
    topics: Map.groupBy(pending, ({ topic }) => topic),
  })
  const results = decodeProduce(await sendProduce(broker, request, REQUEST_TIMEOUT_MS))
  return pending.flatMap((each) => {
    const result = results.find(({ topic, partition }) => topic === each.topic && partition === each.partition)
    const error =
      result === undefined ? new Error('the broker did not answer for a partition') : errorOf(result.errorCode)
    return error === null || typeOf(error) === 'DUPLICATE_SEQUENCE_NUMBER' ? [] : [{ each, error }]
  })
}

/** -1 while there is none, or the topic is not known yet: no broker has that number, so it is asked for again. */
export function leaderOf(cluster: Cluster, topic: string, partition: number): number {
  return cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)?.leader ?? -1
}
