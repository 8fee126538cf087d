/** What could not be processed, as records of the dead letter topic: evidence, never the row. */
import { image, keyText, type RowChange } from '../core/change.ts'
import type { PipelineError } from '../core/error.ts'
import { RULES_VERSION } from '../core/incident.ts'
import type { Message } from '../core/message.ts'
import type { Position } from '../core/position.ts'
import { contractReader, contractWriter, readContract } from './contract.ts'
import { columnKind } from './policy/columns.ts'
import type { Registry } from './registry.ts'

/** As in schemas/dead-letter.avsc. */
export interface DeadLetter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly position: Position
  readonly schema: string
  readonly table: string
  readonly key: string | null
  readonly reference: string | null
  readonly code: PipelineError['code']
  readonly message: string
  readonly remedy: string
  readonly rulesVersion: number
  /** Null but in the record that says that somebody gave the row up; the incident stays incomplete. */
  readonly skipped: Skipped | null
}

export interface Skipped {
  /** Who decided it: an operator's name, not one of the source's. */
  readonly by: string
  readonly reason: string
  /** Milliseconds since the Unix epoch. */
  readonly at: number
}

/** The letter of a change in `topic` that was refused. */
export function deadLetter(topic: string, change: RowChange, refusal: PipelineError): DeadLetter {
  return {
    topic,
    partition: change.partition,
    offset: change.offset,
    position: change.position,
    schema: change.table.schema,
    table: change.table.name,
    key: clearedKey(change),
    reference: change.reference,
    code: refusal.code,
    message: refusal.message,
    remedy: refusal.remedy,
    rulesVersion: RULES_VERSION,
    skipped: null,
  }
}

/** The key as text where every column of it is a row key; a table without primary key would give its whole row. */
function clearedKey(change: RowChange): string | null {
  const { schema, name, key } = change.table
  const cleared = key.length > 0 && key.every((column) => columnKind(schema, name, column) === 'key')
  return cleared ? keyText(change.table, image(change)) : null
}

export interface DeadLetterCodec {
  /** The letter's record, in the partition of what it is about; `timestampMs` is the source's commit time. */
  message(letter: DeadLetter, timestampMs: number): Message
}

/** Registers the contracts under the dead letter topic's subjects. CONTRACT when not compatible; REGISTRY. */
export async function deadLetterCodec(registry: Registry, topic: string): Promise<DeadLetterCodec> {
  const key = await contractWriter(registry, topic, readContract('dead-letter-key'))
  const value = await contractWriter(registry, topic, readContract('dead-letter'))
  return {
    message: (letter, timestampMs) => ({
      partition: letter.partition,
      key: key({ schema: letter.schema, table: letter.table, key: letter.key }),
      value: value(letter),
      timestampMs,
    }),
  }
}

export interface DeadLetterDecoder {
  /** MALFORMED_RECORD when the record is not a dead letter; REGISTRY. */
  letter(record: Pick<Message, 'value'>): Promise<DeadLetter>
}

export function deadLetterDecoder(registry: Registry): DeadLetterDecoder {
  const read = contractReader<DeadLetter>(registry, readContract('dead-letter'))
  return {
    letter: async ({ value }) => {
      const letter = await read(value)
      // without the classes that the Avro library reads into
      return { ...letter, skipped: letter.skipped === null ? null : { ...letter.skipped } }
    },
  }
}
