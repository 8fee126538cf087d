/** Every hand-written contract that others read: which topic it belongs to, and what tells two versions apart. */
import { createHash } from 'node:crypto'
import { ENTITIES } from '../core/incident.ts'
import { fullName, readContract } from './contract.ts'
import { subjectName, type AvroSchema } from './registry.ts'

export type ContractTopic = 'unified' | 'events' | 'deadLetters'

export interface Contract {
  /** The record's name, without namespace. */
  readonly name: string
  /** Below schemas/. */
  readonly file: string
  readonly topic: ContractTopic
  readonly schema: AvroSchema
}

const FILES: readonly (readonly [ContractTopic, string])[] = [
  ['unified', 'governed/RowKey'],
  ...ENTITIES.map((entity): [ContractTopic, string] => ['unified', `governed/${entity}`]),
  ['events', 'events/IncidentEventKey'],
  ['events', 'events/IncidentEvent'],
  ['deadLetters', 'dead-letter-key'],
  ['deadLetters', 'dead-letter'],
]

/** As they lie in the working tree. */
export function contracts(): Contract[] {
  return FILES.map(([topic, file]) => {
    const schema = readContract(file)
    return { name: (schema as unknown as { name: string }).name, file: `${file}.avsc`, topic, schema }
  })
}

export function subjectOf(
  { topic, schema }: Contract,
  topics: Readonly<Record<ContractTopic, { name: string }>>,
): string {
  return subjectName(topics[topic].name, fullName(schema))
}

/** Eight hex digits; the same for two versions that differ in their docs alone. */
export function contractDigest(schema: AvroSchema): string {
  const text = JSON.stringify(schema, (name, value: unknown) => (name === 'doc' ? undefined : value))
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
