/** What could not be processed, as records of the dead letter topic: evidence, never the row. */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { image, keyText, type RowChange } from '../core/change.ts'
import type { PipelineError } from '../core/error.ts'
import { RULES_VERSION } from '../core/incident.ts'
import type { Message } from '../core/message.ts'
import type { Position } from '../core/position.ts'
import { malformed } from './avro-bytes.ts'
import { HEADER_BYTES, putHeader, schemaId } from './framing.ts'
import { fullName } from './governed.ts'
import { columnKind } from './policy/columns.ts'
import { subjectName, type AvroSchema, type Registry } from './registry.ts'

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
  const key = await contract(registry, topic, 'dead-letter-key')
  const value = await contract(registry, topic, 'dead-letter')
  return {
    message: (letter, timestampMs) => ({
      partition: letter.partition,
      key: framed(key, { schema: letter.schema, table: letter.table, key: letter.key }),
      value: framed(value, letter),
      timestampMs,
    }),
  }
}

export interface DeadLetterDecoder {
  /** MALFORMED_RECORD when the record is not a dead letter; REGISTRY. */
  letter(record: Pick<Message, 'value'>): Promise<DeadLetter>
}

export function deadLetterDecoder(registry: Registry): DeadLetterDecoder {
  const current = avro.Type.forSchema(read('dead-letter') as avro.Schema)
  const resolvers = new Map<number, avro.Resolver>()
  return {
    letter: async ({ value }) => {
      if (value === null) throw malformed(0)
      const id = schemaId(value)
      let resolver = resolvers.get(id)
      if (resolver === undefined) {
        const writer = avro.Type.forSchema((await registry.schema(id)) as avro.Schema)
        resolver = current.createResolver(writer)
        resolvers.set(id, resolver)
      }
      return { ...(current.fromBuffer(value.subarray(HEADER_BYTES), resolver) as DeadLetter) }
    },
  }
}

interface Contract {
  readonly id: number
  readonly type: avro.Type
}

async function contract(registry: Registry, topic: string, file: string): Promise<Contract> {
  const schema = read(file)
  const id = await registry.register(subjectName(topic, fullName(schema)), schema, 'FULL_TRANSITIVE')
  return { id, type: avro.Type.forSchema(schema as avro.Schema) }
}

function read(file: string): AvroSchema {
  return JSON.parse(readFileSync(new URL(`./${file}.avsc`, import.meta.url), 'utf8')) as AvroSchema
}

function framed({ id, type }: Contract, value: object): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  putHeader(header, 0, id)
  return Buffer.concat([header, type.toBuffer(value)])
}
