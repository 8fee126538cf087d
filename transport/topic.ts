/**
 * What a topic promises, whichever of the two it is: SQLite in one process (embedded.ts) or Kafka (kafka.ts).
 * Both pass test/contract/topic.ts.
 */
import type { Feed, Sink } from '../core/feed.ts'
import type { Message, Output, Received } from '../core/message.ts'
import type { Places } from '../core/place.ts'

export type { Message, Output, Received }

/** How a topic is made when it is missing. Sizes in bytes, times in milliseconds. */
export interface TopicSettings {
  readonly name: string
  readonly cleanup: 'compact' | 'delete'
  /** compact: how long every record stays before compaction may take it; delete: how long records stay at all. */
  readonly keptMs: number
  readonly maxMessageBytes: number
}

export interface ReadOptions {
  /** The consumer group: readers of one group share the partitions, groups know nothing of each other. */
  readonly group: string
  readonly signal: AbortSignal
  /** How many bytes of records may wait for the reader. */
  readonly aheadBytes: number
  /**
   * Where to start, asked at each assignment: a sink that keeps its own place gives it here.
   * Absent: the places that the group's `ack` committed.
   */
  places?(partitions: readonly number[]): Promise<Places>
  /** Told at each assignment, before the first record of these partitions: forget what is held of them. */
  assigned?(places: Places, partitions: readonly number[]): void
}

/**
 * An ordered log in partitions. `write` keeps order per partition and resolves when the records are durable;
 * RECORD_TOO_LARGE when one is above the topic's `maxMessageBytes`.
 */
export interface Topic extends Sink<Message> {
  readonly name: string
  readonly partitions: number
  /** A batch's `ack` commits the group's place behind the batch. A keepalive comes at least every second. */
  read(options: ReadOptions): Feed<Received>
  /** The last `count` records of a partition, oldest first; fewer when it holds fewer. */
  tail(partition: number, count: number): Promise<readonly Received[]>
  /**
   * The records of a partition from an offset on, in order and outside any group, until they reach about a megabyte or
   * the offset `to` (exclusive); with where to go on. What the topic has forgotten is left out.
   */
  page(
    partition: number,
    from: number,
    to: number,
  ): Promise<{ readonly records: readonly Received[]; readonly next: number }>
  /** By partition: the first offset still kept, and the offset of the next record. */
  bounds(): Promise<readonly { readonly low: number; readonly high: number }[]>
}

/** Reads a topic and writes others so that outputs and place are committed together, or neither. */
export interface Processor {
  /** `ack` does nothing: the place is committed by `sink`. */
  readonly feed: Feed<Received>
  readonly sink: Sink<Output>
}

export interface Transport {
  /** Opens a topic, made with these settings if it is missing. TOPIC when it exists with other partitions. */
  topic(settings: TopicSettings): Promise<Topic>
  /** The outputs' topics must have been opened. Places are the group's committed ones; `options.places` is not used. */
  process(source: Topic, options: Omit<ReadOptions, 'places'>): Promise<Processor>
  /** The places that a group has committed in a topic. */
  committed(group: string, topic: Topic): Promise<Places>
  close(): Promise<void>
}
