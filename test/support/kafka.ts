/** Real brokers and a real schema registry for tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, inject } from 'vitest'
import { startBrokerContainer } from './kafka-containers.ts'
import { startBroker, type Server } from './kafka-maven.ts'
import type { KafkaServices } from './kafka-services.ts'
import { steadyPort } from './ports.ts'

export type { KafkaServices }

declare module 'vitest' {
  export interface ProvidedContext {
    /** Null when this run has no Kafka. */
    kafka: KafkaServices | null
  }
}

/** Of the whole run, shared by all test files, so names must be a test's own; null when this run has no Kafka. */
export function kafkaServices(): KafkaServices | null {
  return inject('kafka')
}

/** As `kafkaServices`, inside `describeKafka`. */
export function needKafka(): KafkaServices {
  const services = kafkaServices()
  if (services === null) throw new Error('this run has no Kafka')
  return services
}

function where(present: boolean): typeof describe.skip {
  return present ? describe : describe.skip
}

/** A group of tests that needs Kafka; left out, as the start of the run says, where there is none. */
export const describeKafka = where(kafkaServices() !== null)

/** Where a test may start brokers of its own, and end them. */
export const describeOwnBroker = where(['containers', 'maven'].includes(kafkaServices()?.way ?? ''))

/** Where a test may start three of them. */
export const describeOwnCluster = where(kafkaServices()?.way === 'maven')

export interface OwnBrokers {
  readonly brokers: readonly string[]
  /** Ends a node like a power cut does. */
  kill(node: number): Promise<void>
  /** Starts it again, at the same address and with what its disk holds. */
  start(node: number): Promise<void>
  stop(): Promise<void>
}

/** A broker of the test's own. */
export async function ownBroker(): Promise<OwnBrokers> {
  if (needKafka().way === 'maven') return ownCluster(1)
  const broker = await startBrokerContainer()
  return {
    brokers: [broker.address],
    kill: () => broker.kill(),
    start: () => broker.start(),
    stop: () => broker.stop(),
  }
}

/** Nodes of the test's own; with three, topics are replicated and one node may be down. */
export async function ownCluster(nodes: number): Promise<OwnBrokers> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-cluster-'))
  const settings: Parameters<typeof startBroker>[0][] = []
  const ports: [number, number][] = []
  for (let node = 0; node < nodes; node++) ports.push([await steadyPort(), await steadyPort()])
  const voters = ports.map(([, controllerPort], node) => `${node + 1}@127.0.0.1:${controllerPort}`).join(',')
  for (const [node, [port, controllerPort]] of ports.entries()) {
    settings.push({
      directory: join(directory, `node-${node}`),
      port,
      controllerPort,
      nodeId: node + 1,
      voters,
      replicas: nodes,
    })
  }
  const servers: Server[] = await Promise.all(settings.map((each) => startBroker(each)))
  return {
    brokers: ports.map(([port]) => `127.0.0.1:${port}`),
    kill: (node) => servers[node]!.kill(),
    start: async (node) => {
      servers[node] = await startBroker(settings[node]!)
    },
    stop: async () => {
      await Promise.all(servers.map((server) => server.kill()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}
