import type { Place } from './place.ts'

/** A record of a topic as bytes, Confluent-framed; `value` null is a tombstone. */
export interface Message {
  readonly partition: number
  readonly key: Buffer
  readonly value: Buffer | null
  /** Milliseconds since the Unix epoch: the source's commit time. */
  readonly timestampMs: number
}

export interface Received extends Message {
  readonly offset: number
}

/** What one processed piece of a partition leaves: records for other topics, and the place behind the piece. */
export interface Output {
  readonly partition: number
  readonly place: Place
  readonly messages: readonly { readonly topic: string; readonly message: Message }[]
}
