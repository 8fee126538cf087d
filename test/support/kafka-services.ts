/** Which brokers and registry a test run uses. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingForContainers, startBrokerContainer, startRegistryContainer } from './kafka-containers.ts'
import { missingForMaven, startBroker, startRegistry } from './kafka-maven.ts'
import { steadyPort } from './ports.ts'

export interface KafkaServices {
  readonly brokers: readonly string[]
  /** The root of Confluent's API. */
  readonly registryUrl: string
  /** Where they come from: somebody's own, containers, or processes of Maven's packages. */
  readonly way: 'given' | 'containers' | 'maven'
}

export interface StartedServices {
  readonly services: KafkaServices
  stop(): Promise<void>
}

/**
 * `KAFKA_BROKERS` and `SCHEMA_REGISTRY_URL` if they are set; else containers; else Maven and Python packages; else
 * null, said aloud, and a failure where `CI` is set. `INCIDENTS_KAFKA` takes only one way: `containers`, `maven` or
 * `off`.
 */
export async function startKafkaServices(): Promise<StartedServices | null> {
  const brokers = process.env['KAFKA_BROKERS']
  const registryUrl = process.env['SCHEMA_REGISTRY_URL']
  if (brokers !== undefined && registryUrl !== undefined) {
    return { services: { brokers: brokers.split(','), registryUrl, way: 'given' }, stop: async () => {} }
  }
  const wanted = process.env['INCIDENTS_KAFKA']
  const reasons: string[] = []
  if (wanted === undefined || wanted === 'containers') {
    const started = await attempt(missingForContainers, startContainers, reasons)
    if (started !== null) return started
  }
  if (wanted === undefined || wanted === 'maven') {
    const started = await attempt(missingForMaven, startProcesses, reasons)
    if (started !== null) return started
  }
  if (wanted === 'off') reasons.push('INCIDENTS_KAFKA is off')
  const words = `The tests that need Kafka are left out: ${reasons.join('; ')}. Start a container runtime, or install Java, Maven and Python 3.`
  if (process.env['CI'] !== undefined && wanted !== 'off') throw new Error(words)
  console.warn(words)
  return null
}

async function attempt(
  missing: () => Promise<string | null>,
  start: () => Promise<StartedServices>,
  reasons: string[],
): Promise<StartedServices | null> {
  const reason = await missing()
  if (reason !== null) {
    reasons.push(reason)
    return null
  }
  try {
    return await start()
  } catch (error) {
    reasons.push(error instanceof Error ? error.message : String(error))
    return null
  }
}

async function startContainers(): Promise<StartedServices> {
  const [broker, registry] = await together(startBrokerContainer(), startRegistryContainer())
  return {
    services: { brokers: [broker.address], registryUrl: registry.url, way: 'containers' },
    stop: async () => {
      await Promise.all([broker.stop(), registry.stop()])
    },
  }
}

async function startProcesses(): Promise<StartedServices> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-kafka-'))
  const [port, controllerPort] = [await steadyPort(), await steadyPort()]
  const [broker, registry] = await together(
    startBroker({
      directory: join(directory, 'broker'),
      port,
      controllerPort,
      nodeId: 1,
      voters: `1@127.0.0.1:${controllerPort}`,
      replicas: 1,
    }),
    startRegistry(join(directory, 'registry')),
  )
  return {
    services: { brokers: [`127.0.0.1:${port}`], registryUrl: registry.url, way: 'maven' },
    stop: async () => {
      await Promise.all([broker.kill(), registry.kill()])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

type Stoppable = { stop(): Promise<void> } | { kill(): Promise<void> }

/** Both, or neither is left running. */
async function together<A extends Stoppable, B extends Stoppable>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const started = await Promise.allSettled([a, b])
  if (started[0].status === 'fulfilled' && started[1].status === 'fulfilled')
    return [started[0].value, started[1].value]
  for (const each of started)
    if (each.status === 'fulfilled') await ('stop' in each.value ? each.value.stop() : each.value.kill())
  throw started.find((each) => each.status === 'rejected')!.reason
}
