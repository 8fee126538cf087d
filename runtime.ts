/** What every stage stands on, in both runtimes, and where each of its places lies. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Config, required } from './config.ts'
import { PipelineError } from './core/error.ts'
import type { Logger, Metrics } from './observability.ts'
import { httpRegistry } from './schemas/registry-http.ts'
import { localRegistry } from './schemas/registry-local.ts'
import type { ListedRegistry, Registry } from './schemas/registry.ts'
import type { ZonePlaces } from './sinks/dpr-raw-zone.ts'
import { embeddedTransport } from './transport/embedded.ts'
import { kafkaTransport } from './transport/kafka.ts'
import type { Topic, Transport } from './transport/topic.ts'
import { topics, type Topics } from './transport/topics.ts'

/** What every stage stands on, whichever runtime it is. */
export interface Runtime {
  readonly config: Config
  readonly transport: Transport
  readonly registry: Registry
  readonly raw: Topic
  readonly log: Logger
  readonly metrics: Metrics
  /** Told how a table's snapshot goes. */
  readonly progress?: (table: string, rows: number, expected: number) => void
}

/** What a process of the pipeline has from its start. */
export type Environment = Pick<Runtime, 'config' | 'log' | 'metrics' | 'progress'>

/** One process, topics in SQLite, registry in the state directory. */
export async function embeddedRuntime(environment: Environment): Promise<Runtime> {
  const { config } = environment
  const transport = await embeddedTransport({
    directory: config.STATE_DIR,
    partitions: config.KAFKA_PARTITIONS,
    maxBytes: config.TOPIC_MAX_BYTES,
  })
  return runtime(environment, transport, localRegistry(config.STATE_DIR))
}

/** Any brokers, any registry with Confluent's API, as many processes as wanted. */
export async function kafkaRuntime(environment: Environment): Promise<Runtime> {
  const { config } = environment
  required(config, 'SCHEMA_REGISTRY_URL')
  return runtime(environment, await kafkaTransport(kafkaOptions(config)), openRegistry(config))
}

/** That of SCHEMA_REGISTRY_URL, or the one in the state directory. */
export function openRegistry(config: Config): ListedRegistry {
  const { SCHEMA_REGISTRY_URL: url } = config
  if (url === undefined) return localRegistry(config.STATE_DIR)
  const auth = credentials(config.SCHEMA_REGISTRY_AUTH)
  return httpRegistry({ url, ...(auth === null ? {} : { auth }) })
}

async function runtime(environment: Environment, transport: Transport, registry: Registry): Promise<Runtime> {
  const raw = await transport.topic(topics(environment.config.NAMESPACE).raw)
  return { ...environment, transport, registry, raw }
}

/** The topics as this environment calls them. */
export function topicsOf({ NAMESPACE, UNIFIED_TOPIC }: Config): Topics {
  const named = topics(NAMESPACE)
  return UNIFIED_TOPIC === undefined ? named : { ...named, unified: { ...named.unified, name: UNIFIED_TOPIC } }
}

/** A folder, or `s3://bucket/prefix`. */
export function dprDirectory(config: Config): string {
  return place(config.DPR_DIR ?? join(config.STATE_DIR, 'dpr'))
}

/** The raw zone and where DPR's jobs archive what they have read of it. */
export function dprZone(config: Config): ZonePlaces {
  const { DPR_ARCHIVE_DIR: archive } = config
  return { zone: dprDirectory(config), archive: archive === undefined ? null : place(archive) }
}

export function analyticsDirectory(config: Config): string {
  return resolve(config.ANALYTICS_DIR ?? join(config.STATE_DIR, 'analytics'))
}

export function operationalUrl(config: Config): string {
  return config.OPERATIONAL_DATABASE_URL ?? required(config, 'DATABASE_URL')
}

function place(location: string): string {
  return location.startsWith('s3://') ? location : resolve(location)
}

/** `user:password`; the password may hold colons. */
function credentials(text: string | undefined): { username: string; password: string } | null {
  if (text === undefined) return null
  const colon = text.indexOf(':')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** How the brokers are reached. CONFIG for a certificate authority that cannot be read. */
export function kafkaOptions(config: Config): Parameters<typeof kafkaTransport>[0] {
  const { KAFKA_SSL_CA: ca, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config
  return {
    brokers: required(config, 'KAFKA_BROKERS').split(','),
    partitions: config.KAFKA_PARTITIONS,
    clientId: config.NAMESPACE,
    transactionalPrefix: config.NAMESPACE,
    commitMs: config.UNIFY_COMMIT_MS,
    ...(ca === undefined ? {} : { ssl: { ca: [readAuthority(ca)] } }),
    ...(username === undefined ? {} : { sasl: { mechanism: 'scram-sha-512', username, password: password ?? '' } }),
  }
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PipelineError(
      'CONFIG',
      `KAFKA_SSL_CA names ${path}, which cannot be read`,
      'Name a file with the certificate authority as PEM.',
      { cause },
    )
  }
}
