/** The pipeline's topics: what they are called, and how long they keep what. */
import type { TopicSettings } from './topic.ts'

const DAY = 24 * 60 * 60 * 1000
/** Values up to here go through whole; what is larger is left out of its record (schemas/raw-fit.ts). */
const LARGEST_VALUE = 16 * 1024 * 1024
/** What a record may have beside its largest value. */
const BESIDE = 64 * 1024
const RAW_MESSAGE_BYTES = LARGEST_VALUE + BESIDE
/** A unified row has the source row's texts, and names, codes and lineage: whatever raw takes must fit. */
const MAX_MESSAGE_BYTES = RAW_MESSAGE_BYTES + BESIDE

export interface Topics {
  /** Every change of every captured table; private to the pipeline. */
  readonly raw: TopicSettings
  /** The unified entities, governed. */
  readonly unified: TopicSettings
  /** What happened to which incident; governed. */
  readonly events: TopicSettings
  /** What could not be processed: evidence, never the row. */
  readonly deadLetters: TopicSettings
}

/** Names begin with the namespace, so that two environments can share a cluster. */
export function topics(namespace: string): Topics {
  return {
    raw: { name: `${namespace}.raw`, cleanup: 'compact', keptMs: 7 * DAY, maxMessageBytes: RAW_MESSAGE_BYTES },
    unified: { name: `${namespace}.unified`, cleanup: 'compact', keptMs: 7 * DAY, maxMessageBytes: MAX_MESSAGE_BYTES },
    events: {
      name: `${namespace}.events`,
      cleanup: 'delete',
      keptMs: 365 * DAY,
      maxMessageBytes: MAX_MESSAGE_BYTES,
    },
    deadLetters: {
      name: `${namespace}.dead-letters`,
      cleanup: 'delete',
      keptMs: 365 * DAY,
      maxMessageBytes: MAX_MESSAGE_BYTES,
    },
  }
}
