/** One writer for one topic. */
import type { Client, Cluster } from './kafkajs.ts'
import { cutRounds, sendRound, type ProducerState } from './kafka-producer.ts'
import { brokerError, retrying } from './kafka-retry.ts'
import type { Message } from './topic.ts'

export interface TopicWriter {
  /** One after the other, however often it is called; BROKER when the fault lasts longer than the patience. */
  write(messages: readonly Message[]): Promise<void>
  close(): Promise<void>
}

export interface TopicWriterOptions {
  readonly client: Client
  readonly topic: string
  readonly maxMessageBytes: number
  readonly patienceMs: number
  readonly signal: AbortSignal
}

export function topicWriter({ client, topic, maxMessageBytes, patienceMs, signal }: TopicWriterOptions): TopicWriter {
  let cluster: Cluster | null = null
  let state: ProducerState | null = null
  let last: Promise<unknown> = Promise.resolve()

  async function begin(until: number): Promise<{ cluster: Cluster; state: ProducerState }> {
    const connected = (cluster ??= client.cluster())
    state ??= await retrying(
      async () => {
        await connected.connect()
        await connected.addMultipleTargetTopics([topic])
        const broker = await connected.findControllerBroker()
        const ids = await broker.initProducerId({ transactionTimeout: 0 })
        return { transactionalId: null, ...ids, sequences: new Map<string, number>() }
      },
      { until, signal, mend: () => connected.refreshMetadata() },
    )
    return { cluster: connected, state }
  }

  async function write(messages: readonly Message[]): Promise<void> {
    const until = performance.now() + patienceMs
    try {
      for (const round of cutRounds(topic, messages, maxMessageBytes)) {
        const begun = await begin(until)
        await sendRound(begun.cluster, begun.state, round, { until, signal })
      }
    } catch (error) {
      state = null // the next write is a new producer's: sequence numbers of this one may be used up
      throw brokerError(client.brokers, `write to topic ${topic}`, error)
    }
  }

  return {
    write: (messages) => {
      const mine = last.then(() => write(messages))
      last = mine.catch(() => {})
      return mine
    },
    close: async () => {
      await last
      await cluster?.disconnect()
    },
  }
}
