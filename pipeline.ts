/**
 * The whole pipeline: every hop is one `drain`. A stage that rejects is started again from its own place: restart is
 * recovery, and there is no other kind.
 *
 *   capture   source            → raw topic
 *   unify     raw topic         → governed topics
 *   deliver   raw topic         → dpr-raw | operational | analytics
 *   serve     operational store → API
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { unify } from './transforms/unify.ts'
import { type Config, required } from './config.ts'
import { postgresFeed } from './connectors/postgres/feed.ts'
import { batch } from './core/batch.ts'
import type { Change } from './core/change.ts'
import { PipelineError } from './core/error.ts'
import { drain, map, type Feed } from './core/feed.ts'
import { RULES_VERSION, type IncidentChange } from './core/incident.ts'
import type { PlacedSink } from './core/place.ts'
import { BEGINNING } from './core/position.ts'
import type { Logger, Metrics } from './observability.ts'
import { deadLetterCodec } from './schemas/dead-letter.ts'
import { eventCodec } from './schemas/events.ts'
import { governedCodec } from './schemas/governed.ts'
import { projections } from './schemas/policy/projection.ts'
import { unclassifiedWatch } from './schemas/policy/unclassified.ts'
import { rawDecoder } from './schemas/raw-decoder.ts'
import { rawEncoder } from './schemas/raw-encoder.ts'
import { httpRegistry } from './schemas/registry-http.ts'
import { localRegistry } from './schemas/registry-local.ts'
import type { ListedRegistry, Registry } from './schemas/registry.ts'
import { analytics } from './sinks/analytics.ts'
import { dprRaw, DPR_FLUSH } from './sinks/dpr-raw.ts'
import { governedTopics } from './sinks/governed.ts'
import { operationalStore } from './sinks/operational.ts'
import { changeFeed, type ChangeFeed } from './transport/changes.ts'
import { embeddedTransport } from './transport/embedded.ts'
import { kafkaTransport } from './transport/kafka.ts'
import { readHistory, readTails } from './transport/recovery.ts'
import type { Topic, Transport } from './transport/topic.ts'
import { topics, type Topics } from './transport/topics.ts'

export const SINKS = ['dpr-raw', 'operational', 'analytics'] as const
export type SinkName = (typeof SINKS)[number]

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

type Environment = Pick<Runtime, 'config' | 'log' | 'metrics' | 'progress'>

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

/** The source into the raw topic. */
export async function capture(runtime: Runtime, signal: AbortSignal): Promise<void> {
  const { config, raw, registry, log, metrics, progress } = runtime
  const decoder = rawDecoder(registry)
  const url = required(config, 'DATABASE_URL')
  const encoder = rawEncoder({
    registry,
    topic: raw.name,
    namespace: config.NAMESPACE,
    database: new URL(url).pathname.slice(1),
  })
  const feed = postgresFeed(
    {
      url,
      slot: config.NAMESPACE,
      publication: config.NAMESPACE,
      partitions: raw.partitions,
      stateDirectory: config.STATE_DIR,
      tails: () => readTails(raw, decoder, RECOVERY_LOOK),
      history: () => readHistory(raw, decoder, `${config.NAMESPACE}.index`),
      accept: (table) => encoder.accept(table),
      warn: (sentence) => log.warn(sentence),
      ...(progress === undefined ? {} : { progress }),
    },
    signal,
  )
  await drain(
    metrics.observed('capture', ahead(feed), (change) => change),
    {
      write: async (changes) => raw.write(await encoder.encode(changes)),
    },
  )
}

/** The raw topic into the governed topics; outputs and place are committed together. */
export async function governed(runtime: Runtime, signal: AbortSignal): Promise<void> {
  const { config, transport, registry, raw } = runtime
  const names = topicsOf(config)
  await transport.topic(names.unified)
  await transport.topic(names.events)
  await transport.topic(names.deadLetters)
  const pseudonymKey = required(config, 'PSEUDONYM_KEY')
  const rows = await governedCodec(registry, { topic: names.unified.name, pseudonymKey })
  const events = await eventCodec(registry, names.events.name)
  const letters = await deadLetterCodec(registry, names.deadLetters.name)
  let assigned: Parameters<Parameters<typeof changeFeed>[0]>[0] = () => {}
  const processor = await transport.process(raw, {
    ...readOptions(runtime, 'unify', signal),
    assigned: (places, partitions) => assigned(places, partitions),
  })
  const sink = governedTopics({
    rows,
    events,
    letters,
    topics: {
      raw: raw.name,
      unified: names.unified.name,
      events: names.events.name,
      deadLetters: names.deadLetters.name,
    },
    target: processor.sink,
  })
  const changes = changeFeed((reset) => {
    assigned = (places, partitions) => {
      reset(places, partitions)
      for (const partition of partitions) sink.restart(partition, places.get(partition) ?? UNREAD)
    }
    return processor.feed
  }, rawDecoder(registry))
  // on Kafka the processor itself lets so much time pass between two transactions
  const ageMs = config.KAFKA_BROKERS === undefined ? config.UNIFY_COMMIT_MS : 0
  const watch = unclassifiedWatch((table, columns) => tellUnclassified(runtime, table, columns))
  const watched = map(unified(runtime, 'unify', changes, ageMs), (item) => {
    watch(item.change)
    return item
  })
  await drain(watched, sink)
}

/** The raw topic into one place. */
export async function deliver(runtime: Runtime, name: SinkName, signal: AbortSignal): Promise<void> {
  const { config, raw, registry, log, metrics } = runtime
  const sink = await openSink(config, name, {
    warn: (sentence) => log.warn({ stage: name }, sentence),
    published: (at) => metrics.analyticsPublished(at),
  })
  try {
    const places = (partitions: readonly number[]) => sink.places(partitions)
    const changes = changeFeed(
      (assigned) => raw.read({ ...readOptions(runtime, name, signal), places, assigned }),
      rawDecoder(registry),
    )
    await drain(unified(runtime, name, changes, name === 'dpr-raw' ? config.DPR_FLUSH_MS : 0), sink)
  } finally {
    await sink.close()
  }
}

interface SinkListeners {
  readonly warn?: (sentence: string) => void
  /** Analytics: when a copy was published, in milliseconds since the Unix epoch. */
  readonly published?: (at: number) => void
}

export async function openSink(
  config: Config,
  name: SinkName,
  { warn = () => {}, published = () => {} }: SinkListeners = {},
): Promise<PlacedSink<IncidentChange>> {
  const pseudonymKey = required(config, 'PSEUDONYM_KEY')
  switch (name) {
    case 'dpr-raw':
      return dprRaw({ directory: dprDirectory(config), projections: projections('dpr-raw', pseudonymKey), warn })
    case 'operational':
      return operationalStore({
        url: operationalUrl(config),
        projections: projections('operational', pseudonymKey),
        rulesVersion: RULES_VERSION,
      })
    case 'analytics':
      return analytics({
        directory: analyticsDirectory(config),
        projections: projections('analytics', pseudonymKey),
        rulesVersion: String(RULES_VERSION),
        publish: { intervalMs: config.ANALYTICS_PUBLISH_MS },
        onPublished: ({ at }) => published(at),
      })
  }
}

/** A folder, or `s3://bucket/prefix`. */
/** The topics as this environment calls them. */
export function topicsOf({ NAMESPACE, UNIFIED_TOPIC }: Config): Topics {
  const named = topics(NAMESPACE)
  return UNIFIED_TOPIC === undefined ? named : { ...named, unified: { ...named.unified, name: UNIFIED_TOPIC } }
}

export function dprDirectory(config: Config): string {
  const { DPR_DIR } = config
  return DPR_DIR?.startsWith('s3://') === true ? DPR_DIR : resolve(DPR_DIR ?? join(config.STATE_DIR, 'dpr'))
}

export function analyticsDirectory(config: Config): string {
  return resolve(config.ANALYTICS_DIR ?? join(config.STATE_DIR, 'analytics'))
}

export function operationalUrl(config: Config): string {
  return config.OPERATIONAL_DATABASE_URL ?? required(config, 'DATABASE_URL')
}

/** How many records of a partition capture looks at before it goes on: more than a predecessor can have had in hand. */
const RECOVERY_LOOK = 5_000

/** Where a partition begins that nobody has read. */
const UNREAD = { next: 0, height: BEGINNING }

const AHEAD_BYTES = 8 << 20

/** Once for each shape of a table. */
function tellUnclassified({ log, metrics }: Runtime, table: string, columns: readonly string[]): void {
  metrics.unclassified(table, columns.length)
  if (columns.length === 0) log.info({ table }, 'every column of the table is classified now')
  else
    log.warn(
      { table, columns },
      'columns that nobody has classified are withheld: add them to schemas/policy/columns.ts',
    )
}

function readOptions({ config }: Runtime, reader: string, signal: AbortSignal) {
  return { group: `${config.NAMESPACE}.${reader}`, signal, aheadBytes: AHEAD_BYTES }
}

function unified(runtime: Runtime, hop: string, changes: ChangeFeed, ageMs: number): Feed<IncidentChange> {
  const bytes = hop === 'dpr-raw' ? DPR_FLUSH.bytes : AHEAD_BYTES
  const grouped = batch(changes.feed, { ageMs, bytes, size: (change) => change.bytes, epoch: changes.assignments })
  return runtime.metrics.observed(hop, map(grouped, unify), (item) => item.change)
}

/** Encoding and sending one run while the next is decoded. */
function ahead<T extends Change<unknown>>(feed: Feed<T>): Feed<T> {
  return batch(feed, { ageMs: 0, bytes: AHEAD_BYTES, size: () => 400 })
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
