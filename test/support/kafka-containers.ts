/** Kafka and a schema registry as containers. */
import kafkajs from 'kafkajs'
import { GenericContainer, Wait, getContainerRuntimeClient } from 'testcontainers'
import { steadyPort } from './ports.ts'

const KAFKA = 'apache/kafka:4.3.1'
const REGISTRY = 'apicurio/apicurio-registry:3.3.3'
const REGISTRY_PORT = 8080
const START_MS = 180_000

/** What is missing on this machine, as a sentence; null when nothing is. */
export async function missingForContainers(): Promise<string | null> {
  try {
    await getContainerRuntimeClient()
    return null
  } catch {
    return 'no container runtime answers'
  }
}

export interface BrokerContainer {
  readonly address: string
  /** Like a power cut. */
  kill(): Promise<void>
  /** Again, after `kill`, at the same address and with what its disk holds. */
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startBrokerContainer(): Promise<BrokerContainer> {
  const port = await steadyPort()
  const container = await new GenericContainer(KAFKA)
    .withExposedPorts({ container: 9092, host: port })
    .withEnvironment({
      KAFKA_HEAP_OPTS: '-Xms64m -Xmx512m',
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      // The broker talks to itself, and inside the container the host's port is not there.
      KAFKA_LISTENERS: 'HOST://:9092,INSIDE://:29092,CONTROLLER://:9093',
      KAFKA_ADVERTISED_LISTENERS: `HOST://127.0.0.1:${port},INSIDE://localhost:29092`,
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'HOST:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_INTER_BROKER_LISTENER_NAME: 'INSIDE',
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '3',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: '3',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
      KAFKA_BROKER_SESSION_TIMEOUT_MS: '3000',
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(START_MS)
    .start()
  const handle = async () => (await getContainerRuntimeClient()).container.getById(container.getId())
  return {
    address: `127.0.0.1:${port}`,
    kill: async () => {
      await (await handle()).kill({ signal: 'SIGKILL' })
    },
    start: async () => {
      await (await handle()).start()
      await answers(`127.0.0.1:${port}`)
    },
    stop: async () => void (await container.stop()),
  }
}

/** The port is open before anything listens behind it. */
async function answers(broker: string): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: [broker], logLevel: 0, retry: { retries: 0 } }).admin()
  const end = performance.now() + START_MS
  while (true) {
    try {
      await admin.connect()
      await admin.listTopics()
      return
    } catch (error) {
      if (performance.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    } finally {
      await admin.disconnect()
    }
  }
}

/** Resolves with the root of Confluent's API beside the container. */
export async function startRegistryContainer(): Promise<{
  readonly url: string
  stop(): Promise<void>
}> {
  const container = await new GenericContainer(REGISTRY)
    .withExposedPorts(REGISTRY_PORT)
    .withWaitStrategy(Wait.forHttp('/apis/ccompat/v7/subjects', REGISTRY_PORT).forStatusCode(200))
    .withStartupTimeout(START_MS)
    .start()
  return {
    url: `http://127.0.0.1:${container.getMappedPort(REGISTRY_PORT)}/apis/ccompat/v7`,
    stop: async () => void (await container.stop()),
  }
}
