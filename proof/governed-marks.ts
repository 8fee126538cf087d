/** Records of the governed topic as hashes, straight from their bytes. */
import { ENTITIES } from '../core/incident.ts'
import type { Received } from '../core/message.ts'
import { malformed, takeByte, takeText, type Cursor } from '../schemas/avro-bytes.ts'
import { HEADER_BYTES, schemaId } from '../schemas/framing.ts'
import type { EntityField } from '../schemas/entity.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { AvroSchema, Registry } from '../schemas/registry.ts'
import { fieldPutter } from './avro-cells.ts'
import { GONE } from './canonical.ts'
import { NOWHERE, rowBytes, type RowBytes } from './row-bytes.ts'

export interface GovernedMark {
  readonly kind: number
  readonly id: string
  /** Null for a tombstone. */
  readonly state: { readonly position: string; readonly digest: string } | null
}

/** What the registry's schemas of a topic are read by, by their id. */
type Known<T> = (record: Buffer) => T | Promise<T>

/** Hashes as the fields of the projections are wanted. MALFORMED_RECORD when a record is not what its schema says; REGISTRY. */
export function governedMarkDecoder(registry: Registry, projections: Projections) {
  const keys = known(registry, keyReader)
  const values = ENTITIES.map((entity) =>
    known(registry, (schema) => valueReader(schema, projections[entity].fields, rowBytes())),
  )
  return async (records: readonly Pick<Received, 'key' | 'value'>[]): Promise<readonly GovernedMark[]> => {
    const marks: GovernedMark[] = []
    for (const { key, value } of records) {
      const readKey = keys(key)
      const { kind, id } = (readKey instanceof Promise ? await readKey : readKey)(body(key))
      if (value === null) {
        marks.push({ kind, id, state: null })
        continue
      }
      const readValue = values[kind]!(value)
      marks.push({ kind, id, state: (readValue instanceof Promise ? await readValue : readValue)(body(value)) })
    }
    return marks
  }
}

const body = (record: Buffer): Cursor => ({ bytes: record, at: HEADER_BYTES })

function known<T>(registry: Registry, make: (schema: AvroSchema) => T): Known<T> {
  const made = new Map<number, T>()
  return (record) => {
    const id = schemaId(record)
    return (
      made.get(id) ??
      registry.schema(id).then((schema) => {
        const reader = make(schema)
        made.set(id, reader)
        return reader
      })
    )
  }
}

interface RecordField {
  readonly name: string
  readonly type: AvroSchema
}

function fieldsOf(schema: AvroSchema): readonly RecordField[] {
  return (schema as unknown as { readonly fields: readonly RecordField[] }).fields
}

function keyReader(schema: AvroSchema): (cursor: Cursor) => { readonly kind: number; readonly id: string } {
  const fields = fieldsOf(schema)
  const entityAt = fields.findIndex(({ name }) => name === 'entity')
  const idAt = fields.findIndex(({ name }) => name === 'id')
  const texts = fields.map(() => '')
  return (cursor) => {
    for (const i of fields.keys()) texts[i] = takeText(cursor)
    const kind = ENTITIES.findIndex((entity) => entity === texts[entityAt])
    if (kind === -1 || idAt === -1) throw malformed(cursor.bytes.length)
    return { kind, id: texts[idAt]! }
  }
}

/** A field of the record: its place among the wanted ones, what else is read of it, or nothing. */
type Part = { readonly wanted: number } | 'position' | 'deleted' | 'passed'

function valueReader(schema: AvroSchema, wanted: readonly EntityField[], row: RowBytes) {
  const fields = fieldsOf(schema)
  const puts = fields.map(({ type }) => fieldPutter(type))
  const parts = fields.map(({ name }): Part => {
    const at = wanted.findIndex((field) => field.name === name)
    if (at !== -1) return { wanted: at }
    return name === 'position' || name === 'deleted' ? name : 'passed'
  })
  const order = wanted.map((_, i) => parts.findIndex((part) => typeof part === 'object' && part.wanted === i))
  const isOrdered = order.every((field, i) => field !== -1 && (i === 0 || field > order[i - 1]!))
  const starts = fields.map(() => 0)

  function putLater(bytes: Buffer): void {
    for (const i of order) {
      if (i === -1) row.putNull()
      else puts[i]!({ bytes, at: starts[i]! }, row)
    }
  }

  return (cursor: Cursor) => {
    let position = ''
    let deleted = false
    row.begin()
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!
      starts[i] = cursor.at
      if (part === 'position') position = takeText(cursor)
      else if (part === 'deleted') deleted = takeByte(cursor) === 1
      else puts[i]!(cursor, typeof part === 'object' && isOrdered ? row : NOWHERE)
    }
    if (cursor.at !== cursor.bytes.length) throw malformed(cursor.bytes.length)
    if (deleted) return { position, digest: GONE }
    if (!isOrdered) putLater(cursor.bytes)
    return { position, digest: row.digest() }
  }
}
