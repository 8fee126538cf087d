/** Domain events as records of their topic, and back. The contracts are the files in schemas/events. */
import type { IncidentEvent } from '../core/event.ts'
import type { Message } from '../core/message.ts'
import { contractReader, contractWriter, readContract } from './contract.ts'
import type { AvroSchema, Registry } from './registry.ts'

export interface EventCodec {
  /** The event's record in this partition, that of its incident. */
  message(event: IncidentEvent, partition: number): Message
}

/** Registers the contracts under the event topic's subjects. CONTRACT when not compatible; REGISTRY. */
export async function eventCodec(registry: Registry, topic: string): Promise<EventCodec> {
  const key = await contractWriter(registry, topic, eventContract('IncidentEventKey'))
  const value = await contractWriter(registry, topic, eventContract('IncidentEvent'))
  return {
    message: (event, partition) => ({
      partition,
      key: key({ reportReference: event.additionalInformation.reportReference }),
      value: value(event),
      timestampMs: Math.floor(event.committedAt / 1000),
    }),
  }
}

export interface EventDecoder {
  /** MALFORMED_RECORD when the record is not an event; REGISTRY. */
  event(record: Pick<Message, 'value'>): Promise<IncidentEvent>
}

export function eventDecoder(registry: Registry): EventDecoder {
  const read = contractReader<IncidentEvent>(registry, eventContract('IncidentEvent'))
  return { event: async ({ value }) => plain(await read(value)) }
}

/** A contract of schemas/events as it lies in the repository. */
export function eventContract(name: 'IncidentEvent' | 'IncidentEventKey'): AvroSchema {
  return readContract(`events/${name}`)
}

/** Without the classes that the Avro library reads into. */
function plain(event: IncidentEvent): IncidentEvent {
  return { ...event, additionalInformation: { ...event.additionalInformation } }
}
