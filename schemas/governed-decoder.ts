/** Records of the governed topic back into rows, by the schema that each names. */
import { ENTITIES, type Entity, type Field, type Fields } from '../core/incident.ts'
import type { Message } from '../core/message.ts'
import type { Lsn, Position } from '../core/position.ts'
import { malformed, takeByte, takeInt, takeLong, takeText, type Cursor } from './avro-bytes.ts'
import { HEADER_BYTES, schemaId } from './framing.ts'
import { daysIso, microsIso } from './iso-time.ts'
import type { AvroSchema, Registry } from './registry.ts'

export interface GovernedRow {
  readonly entity: Entity
  readonly id: string
  /** True for a delete's last known state and for its tombstone. */
  readonly deleted: boolean
  /** Null for a tombstone. */
  readonly state: GovernedState | null
}

export interface GovernedState {
  readonly position: Position
  readonly lsn: Lsn
  /** Microseconds since 1970. */
  readonly committedAt: number
  readonly txId: number
  readonly lastInTransaction: boolean
  readonly rulesVersion: number
  /** The entity's fields as the governed contract has them; dates and times as in the unified model. */
  readonly fields: Fields
}

export interface GovernedDecoder {
  /** One row for each record, in order. MALFORMED_RECORD when a record is not what its schema says; REGISTRY. */
  rows(records: readonly Pick<Message, 'key' | 'value'>[]): Promise<GovernedRow[]>
}

type Read = (cursor: Cursor) => Field

interface Reader {
  readonly name: string
  readonly fields: readonly (readonly [name: string, read: Read])[]
}

/** What every governed value carries beside the entity's fields. */
const LINEAGE: ReadonlySet<string> = new Set([
  'position',
  'lsn',
  'committedAt',
  'txId',
  'lastInTransaction',
  'rulesVersion',
  'deleted',
])

export function governedDecoder(registry: Registry): GovernedDecoder {
  const readers = new Map<number, Reader>()

  async function readerOf(record: Buffer): Promise<Reader> {
    const id = schemaId(record)
    const known = readers.get(id)
    if (known !== undefined) return known
    const made = makeReader(await registry.schema(id))
    readers.set(id, made)
    return made
  }

  return {
    rows: async (records) => {
      const rows: GovernedRow[] = []
      for (const { key, value } of records) {
        const { entity, id } = readRecord(await readerOf(key), key)
        if (!isEntity(entity) || typeof id !== 'string') throw malformed(key.length)
        if (value === null) rows.push({ entity, id, deleted: true, state: null })
        else rows.push(rowOf(entity, id, readRecord(await readerOf(value), value)))
      }
      return rows
    },
  }
}

function rowOf(entity: Entity, id: string, all: Record<string, Field>): GovernedRow {
  const fields = Object.fromEntries(Object.entries(all).filter(([name]) => !LINEAGE.has(name)))
  return {
    entity,
    id,
    deleted: all['deleted'] === true,
    state: {
      position: all['position'] as Position,
      lsn: all['lsn'] as number,
      committedAt: all['committedAt'] as number,
      txId: all['txId'] as number,
      lastInTransaction: all['lastInTransaction'] === true,
      rulesVersion: all['rulesVersion'] as number,
      fields,
    },
  }
}

function readRecord(reader: Reader, bytes: Buffer): Record<string, Field> {
  const cursor = { bytes, at: HEADER_BYTES }
  const record: Record<string, Field> = {}
  for (const [name, read] of reader.fields) record[name] = read(cursor)
  return record
}

function makeReader(schema: AvroSchema): Reader {
  const { name, fields } = schema as unknown as {
    readonly name: string
    readonly fields: readonly { readonly name: string; readonly type: AvroSchema }[]
  }
  return {
    name,
    // The commit time stays a number: it is compared, not shown.
    fields: fields.map((field) => [field.name, field.name === 'committedAt' ? takeInt : readerFor(field.type)]),
  }
}

function readerFor(type: AvroSchema): Read {
  if (Array.isArray(type)) {
    const read = readerFor(type[1] as AvroSchema)
    return (cursor) => (takeByte(cursor) === 0 ? null : read(cursor))
  }
  const { type: base = type, logicalType } = type as { readonly type?: unknown; readonly logicalType?: string }
  switch (logicalType ?? base) {
    case 'boolean':
      return (cursor) => takeByte(cursor) === 1
    case 'int':
    case 'long':
      return takeInt
    case 'date':
      return (cursor) => daysIso(takeInt(cursor))
    case 'timestamp-micros':
      return (cursor) => `${microsIso(takeLong(cursor))}Z`
    case 'local-timestamp-micros':
      return (cursor) => microsIso(takeLong(cursor))
    case 'string':
    case 'uuid':
      return takeText
    default:
      throw malformed(0)
  }
}

function isEntity(name: Field | undefined): name is Entity {
  return ENTITIES.some((entity) => entity === name)
}
