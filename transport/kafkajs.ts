/**
 * kafkajs 2.2.4, pinned exactly, as far as this transport uses it: connections, metadata and the protocol's requests.
 *
 * Its producer and consumer are not used. The producer sends twice, or not at all, what it holds for a partition whose
 * leader moves while several brokers are written to; it ends the transactions of its predecessor at the first
 * transaction, not when it connects; and it costs 11 µs a message. The consumer pushes, cannot be told where to start
 * before it fetches, and serves the first partitions of a request first. What stands here is inner to kafkajs:
 * test/transport/kafka-fast.test.ts fails when the version moves.
 */
import { createRequire } from 'node:module'
import { Kafka, logLevel, type Admin, type KafkaConfig, type logLevel as LogLevel } from 'kafkajs'
import { repairKafkajs } from './kafkajs-repairs.ts'
import type { ProtocolRequest } from './kafkajs-requests.ts'

const require = createRequire(import.meta.url)

/** How long a broker's metadata is believed. */
const METADATA_MS = 60_000
export const READ_COMMITTED = 1

interface PartitionMetadata {
  readonly partitionId: number
  /** -1 while there is none. */
  readonly leader: number
}

export interface OffsetsOfTopic<P> {
  readonly topic: string
  readonly partitions: readonly P[]
}

interface ProducerIds {
  readonly transactionalId: string
  readonly producerId: string
  readonly producerEpoch: number
}

export interface Broker {
  readonly nodeId: number
  readonly connectionPool: { send(request: ProtocolRequest): Promise<unknown> }
  initProducerId(given: {
    transactionalId?: string | undefined
    transactionTimeout: number
  }): Promise<{ producerId: string; producerEpoch: number }>
  addPartitionsToTxn(given: ProducerIds & { topics: readonly OffsetsOfTopic<number>[] }): Promise<unknown>
  addOffsetsToTxn(given: ProducerIds & { groupId: string }): Promise<unknown>
  txnOffsetCommit(
    given: ProducerIds & { groupId: string; topics: readonly OffsetsOfTopic<CommittedOffset>[] },
  ): Promise<unknown>
  endTxn(given: ProducerIds & { transactionResult: boolean }): Promise<unknown>
  listOffsets(given: {
    isolationLevel: number
    topics: readonly OffsetsOfTopic<{ partition: number; timestamp: number }>[]
  }): Promise<{ responses: readonly OffsetsOfTopic<{ partition: number; offset: string }>[] }>
  joinGroup(given: {
    groupId: string
    sessionTimeout: number
    rebalanceTimeout: number
    memberId: string
    groupProtocols: readonly unknown[]
  }): Promise<{ generationId: number; leaderId: string; memberId: string; members: readonly unknown[] }>
  syncGroup(given: {
    groupId: string
    generationId: number
    memberId: string
    groupAssignment: readonly unknown[]
  }): Promise<{ memberAssignment: Buffer }>
  heartbeat(given: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
  leaveGroup(given: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(given: {
    groupId: string
    groupGenerationId: number
    memberId: string
    topics: readonly OffsetsOfTopic<CommittedOffset>[]
  }): Promise<unknown>
}

interface CommittedOffset {
  readonly partition: number
  readonly offset: string
  readonly metadata: string | null
}

/** Connections of its own to every broker. */
export interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[]
  findBroker(given: { nodeId: number }): Promise<Broker>
  findControllerBroker(): Promise<Broker>
  /** Type 0 for groups, 1 for transactions. */
  findGroupCoordinator(given: { groupId: string; coordinatorType?: number }): Promise<Broker>
}

interface Connection {
  rejectRequests(error: Error): void
}

interface ConnectedBroker {
  readonly connectionPool: { map(each: (connection: Connection) => void): void }
}

/** Ends the connections without waiting for what is still asked for: it is rejected. */
export async function hangUp(cluster: Cluster): Promise<void> {
  const { brokers, seedBroker } = (
    cluster as unknown as {
      brokerPool: { brokers: Record<string, ConnectedBroker>; seedBroker?: ConnectedBroker }
    }
  ).brokerPool
  const closed = new Error('The connection was closed by this side')
  for (const { connectionPool } of [...Object.values(brokers), ...(seedBroker === undefined ? [] : [seedBroker])]) {
    connectionPool.map((connection) => connection.rejectRequests(closed))
  }
  await cluster.disconnect()
}

export interface Assigner {
  protocol(given: { topics: readonly string[] }): unknown
  assign(given: { members: readonly unknown[]; topics: readonly string[] }): Promise<readonly unknown[]>
}

/** Gets what kafkajs has to say; without one it is silent. */
type BrokerLog = (level: 'error' | 'warn' | 'info' | 'debug', message: string) => void

export interface ClientOptions extends Pick<KafkaConfig, 'ssl' | 'sasl'> {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly log?: BrokerLog | undefined
}

export interface Client {
  readonly brokers: readonly string[]
  /** New connections, made when they are first needed. */
  cluster(): Cluster
  admin(): Admin
}

export function kafkaClient(options: ClientOptions): Client {
  const { brokers, clientId, ssl, sasl, log } = options
  repairKafkajs()
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId,
    connectionTimeout: 3000,
    requestTimeout: 10_000,
    authenticationTimeout: 10_000,
    // How long something is tried is decided by whoever asked for it (kafka-retry.ts).
    retry: { initialRetryTime: 50, maxRetryTime: 500, factor: 0.2, multiplier: 2, retries: 3 },
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
    logLevel: log === undefined ? logLevel.NOTHING : logLevel.WARN,
    logCreator: () => (entry) => log?.(LEVELS[entry.level] ?? 'debug', entry.log.message),
  })
  const create = Object.getOwnPropertySymbols(kafka).find((each) => each.description === 'private:Kafka:createCluster')
  if (create === undefined) throw new TypeError('kafkajs is not version 2.2.4')
  const createCluster = (kafka as unknown as Record<symbol, (given: object) => Cluster>)[create]!
  return {
    brokers,
    cluster: () =>
      createCluster({ metadataMaxAge: METADATA_MS, allowAutoTopicCreation: false, isolationLevel: READ_COMMITTED }),
    admin: () => kafka.admin(),
  }
}

const LEVELS: Partial<Record<LogLevel, 'error' | 'warn' | 'info' | 'debug'>> = {
  [logLevel.ERROR]: 'error',
  [logLevel.WARN]: 'warn',
  [logLevel.INFO]: 'info',
}

/** Deals the partitions out to the members in turn, as every kafkajs consumer does. */
export function roundRobin(cluster: Cluster): Assigner {
  const { PartitionAssigners } = require('kafkajs') as {
    PartitionAssigners: { roundRobin(given: { cluster: Cluster }): Assigner }
  }
  return PartitionAssigners.roundRobin({ cluster })
}

/** The partitions of one topic in a member's assignment. */
export function assignedPartitions(assignment: Buffer, topic: string): readonly number[] {
  const { AssignerProtocol } = require('kafkajs') as {
    AssignerProtocol: {
      MemberAssignment: { decode(assignment: Buffer): { assignment: Record<string, number[]> } | null }
    }
  }
  return AssignerProtocol.MemberAssignment.decode(assignment)?.assignment[topic] ?? []
}
