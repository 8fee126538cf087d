/** Real brokers and a real schema registry for tests. */
import { describe, inject } from 'vitest'
import { startCluster, type OwnBrokers } from './kafka-cluster.ts'
import { startBrokerContainer } from './kafka-containers.ts'
import type { KafkaServices } from './kafka-services.ts'

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
export function ownCluster(nodes: number): Promise<OwnBrokers> {
  return startCluster(nodes)
}
