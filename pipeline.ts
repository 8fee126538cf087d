/**
 * The whole pipeline: every hop is one `drain`. A stage that rejects is started again from its own place: restart is
 * recovery, and there is no other kind.
 *
 *   capture   source            → raw topic
 *   unify     raw topic         → governed topics
 *   deliver   raw topic         → dpr-raw | operational | analytics
 *   serve     operational store → API
 */
import { unify } from './transforms/unify.ts'
import { lateUnify } from './transforms/unify-late.ts'
import { type Config, required } from './config.ts'
import { postgresFeed } from './connectors/postgres/feed.ts'
import type { Reached } from './connectors/postgres/steps.ts'
import { batch } from './core/batch.ts'
import { imageBytes, type Change, type Tuple } from './core/change.ts'
import { drain, map, mapBatches, pieces, type Feed } from './core/feed.ts'
import { RULES_VERSION, type IncidentChange } from './core/incident.ts'
import type { Output } from './core/message.ts'
import type { PlacedSink } from './core/place.ts'
import { BEGINNING } from './core/position.ts'
import { deadLetterCodec } from './schemas/dead-letter.ts'
import { eventCodec } from './schemas/events.ts'
import { governedCodec } from './schemas/governed.ts'
import { projections } from './schemas/policy/projection.ts'
import { unclassifiedWatch } from './schemas/policy/unclassified.ts'
import { lateRawDecoder, rawDecoder } from './schemas/raw-decoder.ts'
import { rawEncoder } from './schemas/raw-encoder.ts'
import { governedOutputs } from './sinks/governed.ts'
import type { SinkName } from './sinks/names.ts'
import { WRITE_BYTES } from './sinks/writes.ts'
import { analyticsDirectory, dprDirectory, operationalUrl, topicsOf, type Runtime } from './runtime.ts'
import { changeFeed, type ChangeFeed } from './transport/changes.ts'
import { readHistory, readTails } from './transport/recovery.ts'

/** The source into the raw topic. A test is told where it stands; otherwise nobody is. */
export async function capture(runtime: Runtime, signal: AbortSignal, reached?: Reached): Promise<void> {
  const { config, raw, registry, log, metrics, progress } = runtime
  const decoder = rawDecoder(registry)
  const url = required(config, 'DATABASE_URL')
  const encoder = rawEncoder({
    registry,
    topic: raw.name,
    namespace: config.NAMESPACE,
    database: new URL(url).pathname.slice(1),
    maxBytes: topicsOf(config).raw.maxMessageBytes,
  })
  const feed = postgresFeed(
    {
      url,
      slot: config.NAMESPACE,
      publication: config.NAMESPACE,
      partitions: raw.partitions,
      stateDirectory: config.STATE_DIR,
      tails: () => readTails(raw, decoder, RECOVERY_LOOK),
      ends: async () => (await raw.bounds()).map(({ high }) => high),
      history: () => readHistory(raw, decoder, `${config.NAMESPACE}.index`),
      accept: (table) => encoder.accept(table),
      warn: (sentence) => log.warn(sentence),
      reached,
      ...(progress === undefined ? {} : { progress }),
    },
    signal,
  )
  await drain(
    metrics.observed('capture', ahead(feed), (change) => change),
    {
      write: async (changes) => {
        const messages = await encoder.encode(changes)
        reached?.('encoded')
        await raw.write(messages)
        reached?.('written')
      },
    },
  )
}

/** The raw topic into the governed topics; outputs and place are committed together. */
export async function governed(runtime: Runtime, signal: AbortSignal): Promise<void> {
  const { config, transport, registry, raw, metrics } = runtime
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
  const made = governedOutputs({
    rows,
    events,
    letters,
    topics: {
      raw: raw.name,
      unified: names.unified.name,
      events: names.events.name,
      deadLetters: names.deadLetters.name,
    },
  })
  const cut = pieces(processor.feed, PIECE)
  const changes = changeFeed((reset) => {
    assigned = (places, partitions) => {
      reset(places, partitions)
      for (const partition of partitions) made.restart(partition, places.get(partition) ?? UNREAD)
    }
    return cut.feed
  }, rawDecoder(registry))
  // on Kafka the processor itself lets so much time pass between two transactions
  const ageMs = config.KAFKA_BROKERS === undefined ? config.UNIFY_COMMIT_MS : 0
  const watch = unclassifiedWatch((table, columns) => tellUnclassified(runtime, table, columns))
  const watched = map(changes.feed, (change) => {
    watch(change)
    return unify(change)
  })
  const observed = metrics.observed('unify', watched, ({ change }) => change)
  const weighed = mapBatches(observed, async (items) => weigh(items, made.outputs(items)))
  const grouped = batch(cut.joined(weighed), {
    ageMs,
    bytes: AHEAD_BYTES,
    size: ({ bytes }) => bytes,
    epoch: changes.assignments,
  })
  await drain(
    map(grouped, ({ output }) => output),
    processor.sink,
  )
}

/** So many records become outputs at a time. */
const PIECE = 500

/** The records' bytes stand with their first output: queues are bounded by what is read. */
function weigh(items: readonly IncidentChange[], outputs: readonly Output[]): { output: Output; bytes: number }[] {
  const bytes = items.reduce((sum, { change }) => sum + change.bytes, 0)
  return outputs.map((output, i) => ({ output, bytes: i === 0 ? bytes : 0 }))
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
      lateRawDecoder(registry),
    )
    await drain(unified(runtime, name, changes, ageOf(config, name)), sink)
  } finally {
    await sink.close()
  }
}

/**
 * How long a change may wait for company. The API's is wanted at once; what becomes a file anyway is written in few
 * large pieces, since a small one costs these sinks nearly as much.
 */
function ageOf({ DPR_FLUSH_MS, ANALYTICS_PUBLISH_MS }: Config, name: SinkName): number {
  switch (name) {
    case 'dpr-raw':
      return DPR_FLUSH_MS
    case 'operational':
      return 0
    case 'analytics':
      return ANALYTICS_PUBLISH_MS * ANALYTICS_WAIT
  }
}

/** Of the time in which a change is to be published, the part in which it waits to be written. */
const ANALYTICS_WAIT = 0.5

interface SinkListeners {
  readonly warn?: (sentence: string) => void
  /** Analytics: when a copy was published, in milliseconds since the Unix epoch. */
  readonly published?: (at: number) => void
}

/** The code of a sink, and what it stands on, is loaded when it is opened: capture needs none of it. */
export async function openSink(
  config: Config,
  name: SinkName,
  { warn = () => {}, published = () => {} }: SinkListeners = {},
): Promise<PlacedSink<IncidentChange>> {
  const pseudonymKey = required(config, 'PSEUDONYM_KEY')
  switch (name) {
    case 'dpr-raw': {
      const { dprRaw } = await import('./sinks/dpr-raw.ts')
      return dprRaw({ directory: dprDirectory(config), projections: projections('dpr-raw', pseudonymKey), warn })
    }
    case 'operational': {
      const { operationalStore } = await import('./sinks/operational.ts')
      return operationalStore({
        url: operationalUrl(config),
        projections: projections('operational', pseudonymKey),
        rulesVersion: RULES_VERSION,
      })
    }
    case 'analytics': {
      const { analytics } = await import('./sinks/analytics.ts')
      return analytics({
        directory: analyticsDirectory(config),
        projections: projections('analytics', pseudonymKey),
        rulesVersion: String(RULES_VERSION),
        publish: { intervalMs: config.ANALYTICS_PUBLISH_MS * (1 - ANALYTICS_WAIT) },
        onPublished: ({ at }) => published(at),
      })
    }
  }
}

/** How many records of a partition capture looks at before it goes on: more than a predecessor can have had in hand. */
const RECOVERY_LOOK = 5_000

/** Where a partition begins that nobody has read. */
const UNREAD = { next: 0, height: BEGINNING }

const AHEAD_BYTES = 8 << 20
/** More at a time makes capture no faster, and lets what it makes of it live long enough to be costly. */
const CAPTURED_BYTES = 2 << 20
/** What a change takes in memory beside its images. */
const HELD_BYTES = 200

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

function unified(runtime: Runtime, hop: SinkName, changes: ChangeFeed, ageMs: number): Feed<IncidentChange> {
  const grouped = batch(changes.feed, {
    ageMs,
    bytes: WRITE_BYTES[hop],
    size: (change) => change.bytes,
    epoch: changes.assignments,
  })
  return runtime.metrics.observed(hop, map(grouped, lateUnify()), (item) => item.change)
}

/** Encoding and sending one run while the next is decoded. */
function ahead(feed: Feed<Change<Tuple>>): Feed<Change<Tuple>> {
  return batch(feed, { ageMs: 0, bytes: CAPTURED_BYTES, size: (change) => HELD_BYTES + imageBytes(change) })
}
