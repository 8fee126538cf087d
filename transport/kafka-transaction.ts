/**
 * Transactions of one transactional id: records and the group's next offset, together or not at all.
 *
 * A broker that is the only one, killed behind a transaction's end and started again, can forget to write that end into
 * the partitions (seen on Kafka 4.3.1: for a moment none of them has a leader, and it takes them for deleted). Their
 * readers and the group's offset then wait for ever. So a successor asks how the last transaction ended, and writes that
 * end once more into every partition that it can have been in; where it stands already, that says nothing new.
 */
import { cutRounds, sendRound, type ProducerState } from './kafka-producer.ts'
import { isFenced, retrying, typeOf, wasRefused, type Patience } from './kafka-retry.ts'
import { lastEnd, type TransactionEnd } from './kafka-transaction-end.ts'
import { hangUp, type Broker, type Client, type Cluster } from './kafkajs.ts'
import { placeNote, type Place } from '../core/place.ts'
import type { Message } from './topic.ts'

/** After which the broker itself ends a transaction whose producer is gone. */
const TRANSACTION_MS = 10_000
const TRANSACTION_COORDINATOR = 1

export interface Transactions {
  /** Becomes the one producer of its transactional id: what a predecessor left open is ended before this resolves. */
  begin(patience: Patience): Promise<void>
  /**
   * One transaction. After a rejection what became of it is not known until `begin` has resolved once more and the
   * group's committed place has been read.
   */
  commit(outputs: ReadonlyMap<string, readonly Message[]>, place: Place, patience: Patience): Promise<void>
  close(): Promise<void>
}

export interface TransactionsOptions {
  readonly client: Client
  readonly transactionalId: string
  readonly group: string
  /** Of the offset that is committed. */
  readonly topic: string
  readonly partition: number
  /** Where outputs may go: all topics but the source. */
  targets(): readonly string[]
  /** What one of the outputs' topics takes. */
  maxMessageBytes(topic: string): number
}

export function transactions(options: TransactionsOptions): Transactions {
  const { client, transactionalId, group, topic, partition } = options
  const cluster: Cluster = client.cluster()
  let state: (ProducerState & { readonly transactionalId: string }) | null = null
  let coordinator: Broker | null = null
  let groupCoordinator: Broker | null = null
  const known = new Set<string>()
  /** An end that has not been written once more yet. */
  let owed: TransactionEnd | null = null

  const ids = () => {
    if (state === null) throw new TypeError('begin comes first')
    const { producerId, producerEpoch } = state
    return { transactionalId, producerId, producerEpoch }
  }

  async function learn(topics: Iterable<string>): Promise<void> {
    const fresh = [...topics].filter((each) => !known.has(each))
    if (fresh.length === 0) return
    await cluster.addMultipleTargetTopics(fresh)
    for (const each of fresh) known.add(each)
  }

  /**
   * What may have been written is not sent again: a broker that restarts forgets a producer whose newest record is older
   * than a day, and would take it twice. The transaction is given up instead.
   */
  async function send(outputs: ReadonlyMap<string, readonly Message[]>, given: Patience): Promise<void> {
    const patience = { ...given, retries: wasRefused }
    for (const [name, messages] of outputs) {
      for (const round of cutRounds(name, messages, options.maxMessageBytes(name)))
        await sendRound(cluster, state!, round, patience)
    }
  }

  async function sendOffset(place: Place, patience: Patience): Promise<void> {
    await settled(() => coordinator!.addOffsetsToTxn({ ...ids(), groupId: group }), patience)
    const topics = [{ topic, partitions: [{ partition, offset: String(place.next), metadata: placeNote(place) }] }]
    await settled(() => groupCoordinator!.txnOffsetCommit({ ...ids(), groupId: group, topics }), patience)
  }

  async function writeEnd(end: TransactionEnd, patience: Patience): Promise<void> {
    const topics = options.targets().map((each) => ({ topic: each, partitions: [partition] }))
    if (topics.length > 0) await settled(() => coordinator!.addPartitionsToTxn({ ...ids(), topics }), patience)
    await settled(() => coordinator!.addOffsetsToTxn({ ...ids(), groupId: group }), patience)
    await settled(() => coordinator!.endTxn({ ...ids(), transactionResult: end === 'commit' }), patience)
  }

  return {
    begin: async (patience) => {
      let end: TransactionEnd | null = null
      await retrying(
        async () => {
          await cluster.connect()
          await cluster.refreshMetadataIfNecessary()
          coordinator = await cluster.findGroupCoordinator({
            groupId: transactionalId,
            coordinatorType: TRANSACTION_COORDINATOR,
          })
          groupCoordinator = await cluster.findGroupCoordinator({ groupId: group })
          end = owed ?? (await lastEnd(coordinator, transactionalId)) ?? end
          const begun = await coordinator.initProducerId({ transactionalId, transactionTimeout: TRANSACTION_MS })
          state = { ...begun, transactionalId, sequences: new Map() }
          owed = end
          if (end !== null) await writeEnd(end, patience)
          owed = null
        },
        { ...patience, mend: () => cluster.refreshMetadata() },
      ).catch((error: unknown) => {
        if (!isFenced(error)) throw error // a successor: the next commit finds out
      })
    },
    commit: async (outputs, place, patience) => {
      await learn(outputs.keys())
      const topics = Array.from(outputs, ([name, messages]) => ({
        topic: name,
        partitions: [...new Set(messages.map((each) => each.partition))],
      }))
      if (topics.length > 0) {
        await settled(() => coordinator!.addPartitionsToTxn({ ...ids(), topics }), patience)
      }
      const ends = await Promise.allSettled([send(outputs, patience), sendOffset(place, patience)])
      for (const each of ends) if (each.status === 'rejected') throw each.reason
      await settled(() => coordinator!.endTxn({ ...ids(), transactionResult: true }), patience)
    },
    close: () => hangUp(cluster),
  }
}

/** The coordinator still writes the end of the last transaction, or reads its own log. Any other fault needs `begin`. */
function settled<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  return retrying(attempt, { ...patience, retries: (error) => WORKING.has(typeOf(error)) })
}

const WORKING = new Set(['CONCURRENT_TRANSACTIONS', 'GROUP_LOAD_IN_PROGRESS', 'COORDINATOR_LOAD_IN_PROGRESS'])
