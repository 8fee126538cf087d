/** Domain events as records of their topic, and back. The contracts are the files in schemas/events. */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import type { IncidentEvent } from '../core/event.ts'
import type { Message } from '../core/message.ts'
import { malformed } from './avro-bytes.ts'
import { HEADER_BYTES, putHeader, schemaId } from './framing.ts'
import { fullName } from './governed.ts'
import { subjectName, type AvroSchema, type Registry } from './registry.ts'

export interface EventCodec {
  /** The event's record in this partition, that of its incident. */
  message(event: IncidentEvent, partition: number): Message
}

/** Registers the contracts under the event topic's subjects. CONTRACT when not compatible; REGISTRY. */
export async function eventCodec(registry: Registry, topic: string): Promise<EventCodec> {
  const key = await register(registry, topic, 'IncidentEventKey')
  const value = await register(registry, topic, 'IncidentEvent')
  return {
    message: (event, partition) => ({
      partition,
      key: framed(key, { reportReference: event.additionalInformation.reportReference }),
      value: framed(value, event),
      timestampMs: Math.floor(event.committedAt / 1000),
    }),
  }
}

export interface EventDecoder {
  /** MALFORMED_RECORD when the record is not an event; REGISTRY. */
  event(record: Pick<Message, 'value'>): Promise<IncidentEvent>
}

export function eventDecoder(registry: Registry): EventDecoder {
  const current = avro.Type.forSchema(eventContract('IncidentEvent') as avro.Schema)
  const resolvers = new Map<number, avro.Resolver>()
  return {
    event: async ({ value }) => {
      if (value === null) throw malformed(0)
      const id = schemaId(value)
      let resolver = resolvers.get(id)
      if (resolver === undefined) {
        const writer = avro.Type.forSchema((await registry.schema(id)) as avro.Schema)
        resolver = current.createResolver(writer)
        resolvers.set(id, resolver)
      }
      return plain(current.fromBuffer(value.subarray(HEADER_BYTES), resolver) as IncidentEvent)
    },
  }
}

/** A contract of schemas/events as it lies in the repository. */
export function eventContract(name: 'IncidentEvent' | 'IncidentEventKey'): AvroSchema {
  return JSON.parse(readFileSync(new URL(`./events/${name}.avsc`, import.meta.url), 'utf8')) as AvroSchema
}

interface Contract {
  readonly id: number
  readonly type: avro.Type
}

async function register(
  registry: Registry,
  topic: string,
  name: Parameters<typeof eventContract>[0],
): Promise<Contract> {
  const schema = eventContract(name)
  const id = await registry.register(subjectName(topic, fullName(schema)), schema, 'FULL_TRANSITIVE')
  return { id, type: avro.Type.forSchema(schema as avro.Schema) }
}

function framed({ id, type }: Contract, value: object): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  putHeader(header, 0, id)
  return Buffer.concat([header, type.toBuffer(value)])
}

/** Without the classes that the Avro library reads into. */
function plain(event: IncidentEvent): IncidentEvent {
  return { ...event, additionalInformation: { ...event.additionalInformation } }
}
