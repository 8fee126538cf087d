/** Hand-written contracts as records of their topic: registered, framed, and read back by the schema that each names. */
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { malformed } from './avro-bytes.ts'
import { HEADER_BYTES, putHeader, schemaId } from './framing.ts'
import { subjectName, type AvroSchema, type Registry } from './registry.ts'

/** The contract in this file below schemas/, without its ending. */
export function readContract(file: string): AvroSchema {
  return JSON.parse(readFileSync(new URL(`./${file}.avsc`, import.meta.url), 'utf8')) as AvroSchema
}

/** `namespace.Name` of a record. */
export function fullName(schema: AvroSchema): string {
  const { namespace, name } = schema as unknown as { readonly namespace: string; readonly name: string }
  return `${namespace}.${name}`
}

/** Its id under the topic's subject, where every version reads every other. CONTRACT when not compatible; REGISTRY. */
export function registerContract(registry: Registry, topic: string, schema: AvroSchema): Promise<number> {
  return registry.register(subjectName(topic, fullName(schema)), schema, 'FULL_TRANSITIVE')
}

export type Write = (value: object) => Buffer

/** Registers a contract; what it gives makes framed records. */
export async function contractWriter(registry: Registry, topic: string, schema: AvroSchema): Promise<Write> {
  const id = await registerContract(registry, topic, schema)
  const type = avro.Type.forSchema(schema as avro.Schema)
  return (value) => {
    const header = Buffer.alloc(HEADER_BYTES)
    putHeader(header, 0, id)
    return Buffer.concat([header, type.toBuffer(value)])
  }
}

export type Read<T> = (value: Buffer | null) => Promise<T>

/** Reads records as this contract has them, whichever version wrote them. MALFORMED_RECORD when one is none; REGISTRY. */
export function contractReader<T>(registry: Registry, schema: AvroSchema): Read<T> {
  const current = avro.Type.forSchema(schema as avro.Schema)
  const resolvers = new Map<number, avro.Resolver>()
  return async (value) => {
    if (value === null) throw malformed(0)
    const id = schemaId(value)
    let resolver = resolvers.get(id)
    if (resolver === undefined) {
      resolver = current.createResolver(avro.Type.forSchema((await registry.schema(id)) as avro.Schema))
      resolvers.set(id, resolver)
    }
    return current.fromBuffer(value.subarray(HEADER_BYTES), resolver) as T
  }
}
