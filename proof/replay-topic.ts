/**
 * The governed topic of the unified entities anew, under another name. Kafka cannot rename a topic, so readers move to the
 * new name when they are ready, and both run side by side until then. Events and dead letters are not told again.
 */
import { PipelineError } from '../core/error.ts'
import type { IncidentChange } from '../core/incident.ts'
import type { Message } from '../core/message.ts'
import type { PlacedSink } from '../core/place.ts'
import type { DeadLetterCodec } from '../schemas/dead-letter.ts'
import type { EventCodec } from '../schemas/events.ts'
import { governedCodec } from '../schemas/governed.ts'
import type { Registry } from '../schemas/registry.ts'
import { governedTopics } from '../sinks/governed.ts'
import type { Topic, TopicSettings, Transport } from '../transport/topic.ts'
import { replay, type Replayed } from './replay.ts'

export interface TopicRebuildOptions {
  readonly transport: Transport
  readonly registry: Registry
  readonly raw: Topic
  /** Of the new topic. */
  readonly settings: TopicSettings
  /** The consumer group that writes the live one. */
  readonly group: string
  readonly pseudonymKey: string
  readonly progress?: (done: number, total: number) => void
  readonly signal: AbortSignal
}

/**
 * Fills the topic exactly as far as the group has read, so that the group, pointed to the new topic, goes on without a
 * gap. CONFIG when the topic holds something already, or the group read on meanwhile.
 */
export async function rebuildUnified(options: TopicRebuildOptions): Promise<Replayed> {
  const { transport, registry, raw, settings, group, pseudonymKey } = options
  const topic = await transport.topic(settings)
  if ((await topic.bounds()).some(({ low, high }) => high > low)) {
    throw new PipelineError(
      'CONFIG',
      `the topic ${settings.name} holds records already`,
      'Name a topic that is not there yet; a rebuild that was interrupted begins again under another name.',
    )
  }
  const reached = async () =>
    new Map([...(await transport.committed(group, raw))].map(([partition, { next }]) => [partition, next]))
  const until = await reached()
  const rows = await governedCodec(registry, { topic: settings.name, pseudonymKey })
  const sink = unifiedSink(topic, raw.name, rows)
  const found = await replay({ ...options, sink, until })
  if (JSON.stringify([...(await reached())]) === JSON.stringify([...until])) return found
  throw new PipelineError(
    'CONFIG',
    `the group ${group} read on while ${settings.name} was filled`,
    'End unify, and fill another topic.',
  )
}

function unifiedSink(
  topic: Topic,
  raw: string,
  rows: Awaited<ReturnType<typeof governedCodec>>,
): PlacedSink<IncidentChange> {
  const sink = governedTopics({
    rows,
    events: SILENT,
    letters: SILENT,
    topics: { raw, unified: topic.name, events: '', deadLetters: '' },
    target: {
      write: async (outputs) =>
        topic.write(
          outputs.flatMap(({ messages }) => messages.filter((each) => each.topic === topic.name)).map(message),
        ),
    },
  })
  return {
    write: (items) => sink.write(items),
    places: () => Promise.resolve(new Map()),
    close: () => Promise.resolve(),
  }
}

function message({ message: made }: { readonly message: Message }): Message {
  return made
}

/** What was told when it happened is not told again. */
const NOTHING: Message = { partition: 0, key: Buffer.alloc(0), value: null, timestampMs: 0 }
const SILENT: EventCodec & DeadLetterCodec = { message: () => NOTHING }
