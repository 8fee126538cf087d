/** Topics of Apache Kafka, for as many processes as wanted. */
import { PipelineError } from '../core/error.ts'
import { fetchBounds, fetchPage, fetchTail } from './kafka-fetch.ts'
import { committedPlaces } from './kafka-offsets.ts'
import { kafkaProcessor } from './kafka-processor.ts'
import { kafkaReader } from './kafka-reader.ts'
import { brokerError, retrying } from './kafka-retry.ts'
import { openKafkaTopic } from './kafka-topics.ts'
import { topicWriter, type TopicWriter } from './kafka-writer.ts'
import { hangUp, kafkaClient, type ClientOptions } from './kafkajs.ts'
import type { Message, Topic, TopicSettings, Transport } from './topic.ts'

export interface KafkaOptions extends ClientOptions {
  /** Of every topic. */
  readonly partitions: number
  /** Before the group and the partition in the ids of transactions: unlike in environments that share a cluster. */
  readonly transactionalPrefix: string
  /** How long after the beginning of a transaction the next one may begin. */
  readonly commitMs?: number
  /** How long a broker's fault is ridden out, at least a restart. */
  readonly patienceMs?: number
}

const COMMIT_MS = 100
const PATIENCE_MS = 90_000
/** At the start nothing is lost yet, and somebody waits for the answer. */
const START_MS = 15_000

/** Connects to the brokers. BROKER when none of them answers within 15 seconds, or they refuse. */
export async function kafkaTransport(options: KafkaOptions): Promise<Transport> {
  const { brokers, partitions, commitMs = COMMIT_MS, patienceMs = PATIENCE_MS } = options
  const client = kafkaClient(options)
  const cluster = client.cluster()
  const admin = client.admin()
  const closing = new AbortController()
  const writers = new Map<string, TopicWriter>()
  const opened = new Map<string, TopicSettings>()
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const patience = () => ({ until: performance.now() + patienceMs, signal: closing.signal })

  async function asking<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw brokerError(brokers, what, error)
    }
  }

  await asking('connect', () =>
    retrying(
      async () => {
        await cluster.connect()
        await cluster.refreshMetadata()
        await admin.connect()
      },
      { until: performance.now() + Math.min(START_MS, patienceMs) },
    ),
  ).catch(async (error: unknown) => {
    await Promise.allSettled([hangUp(cluster), admin.disconnect()])
    throw error
  })

  function settingsOf(topic: string): TopicSettings {
    const settings = opened.get(topic)
    if (settings === undefined) throw new TypeError(`topic ${topic} was not opened`)
    return settings
  }

  function check(topic: string, messages: readonly Message[]): void {
    const settings = settingsOf(topic)
    for (const { key, value, partition } of messages) {
      const bytes = key.length + (value?.length ?? 0)
      if (bytes <= settings.maxMessageBytes) continue
      throw new PipelineError(
        'RECORD_TOO_LARGE',
        `A record of ${bytes} bytes for ${topic} partition ${partition} is larger than the ${settings.maxMessageBytes} bytes that the topic takes.`,
        'Raise the maxMessageBytes of the topic, or leave the record out.',
      )
    }
  }

  const committed = (group: string, topic: string, of: readonly number[]) =>
    asking(`read the offsets of group ${group}`, () => committedPlaces(cluster, group, topic, of, patience()))

  function newWriter(topic: string): TopicWriter {
    const { maxMessageBytes } = settingsOf(topic)
    return topicWriter({ client, topic, maxMessageBytes, patienceMs, signal: closing.signal })
  }

  function writerOf(topic: string): TopicWriter {
    const found = writers.get(topic) ?? newWriter(topic)
    writers.set(topic, found)
    return found
  }

  function topicOf(settings: TopicSettings): Topic {
    const { name } = settings
    return {
      name,
      partitions,
      write: async (messages) => {
        if (messages.length === 0) return
        check(name, messages)
        await writerOf(name).write(messages)
      },
      read: (given) =>
        kafkaReader({
          client,
          topic: name,
          options: { ...given, signal: AbortSignal.any([given.signal, closing.signal]) },
          patienceMs,
          paceMs: 0,
          commits: true,
          places: (mine) => given.places?.(mine) ?? committed(given.group, name, mine),
        }).feed,
      tail: (partition, count) =>
        asking(`read topic ${name}`, () => fetchTail(cluster, name, partition, count, patience())),
      page: (partition, from, to) =>
        asking(`read topic ${name}`, () => fetchPage(cluster, name, partition, from, to, patience())),
      bounds: () => asking(`read topic ${name}`, () => fetchBounds(cluster, name, all, patience())),
    }
  }

  return {
    topic: async (settings) => {
      await asking(`open topic ${settings.name}`, async () => {
        await openKafkaTopic(admin, settings, partitions, patience())
        await retrying(() => cluster.addMultipleTargetTopics([settings.name]), patience())
      })
      opened.set(settings.name, settings)
      return topicOf(settings)
    },
    process: (source, given) =>
      Promise.resolve(
        kafkaProcessor({
          client,
          source,
          options: { ...given, signal: AbortSignal.any([given.signal, closing.signal]) },
          transactionalPrefix: options.transactionalPrefix,
          commitMs,
          patienceMs,
          committed: (of) => committed(given.group, source.name, of),
          check,
          targets: () => [...opened.keys()].filter((topic) => topic !== source.name),
          maxMessageBytes: (topic) => settingsOf(topic).maxMessageBytes,
        }),
      ),
    committed: (group, topic) => committed(group, topic.name, all),
    close: async () => {
      closing.abort()
      await Promise.allSettled(writers.values().map((writer) => writer.close()))
      await Promise.allSettled([hangUp(cluster), admin.disconnect()])
    },
  }
}
