/** Transactions of one transactional id: records and the group's next offset, together or not at all. */
import { cutRounds, sendRound, type ProducerState } from './kafka-producer.ts'
import { retrying, typeOf, wasRefused, type Patience } from './kafka-retry.ts'
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

  return {
    begin: async (patience) => {
      const begun = await retrying(
        async () => {
          await cluster.connect()
          await cluster.refreshMetadataIfNecessary()
          coordinator = await cluster.findGroupCoordinator({
            groupId: transactionalId,
            coordinatorType: TRANSACTION_COORDINATOR,
          })
          groupCoordinator = await cluster.findGroupCoordinator({ groupId: group })
          return coordinator.initProducerId({ transactionalId, transactionTimeout: TRANSACTION_MS })
        },
        { ...patience, mend: () => cluster.refreshMetadata() },
      )
      state = { ...begun, transactionalId, sequences: new Map() }
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
