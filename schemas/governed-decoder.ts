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
  /** Every field of a key. */
  readonly key: (cursor: Cursor) => Fields
  readonly value: (cursor: Cursor) => Value
}

interface Value {
  readonly lineage: Fields
  readonly fields: Fields
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

  function known(record: Buffer): Reader | undefined {
    return readers.get(schemaId(record))
  }

  async function readerOf(record: Buffer): Promise<Reader> {
    const id = schemaId(record)
    const made = makeReader(await registry.schema(id))
    readers.set(id, made)
    return made
  }

  return {
    rows: async (records) => {
      const rows: GovernedRow[] = []
      for (const { key, value } of records) {
        const { entity, id } = (known(key) ?? (await readerOf(key))).key({ bytes: key, at: HEADER_BYTES })
        if (!isEntity(entity) || typeof id !== 'string') throw malformed(key.length)
        if (value === null) rows.push({ entity, id, deleted: true, state: null })
        else {
          const read = (known(value) ?? (await readerOf(value))).value
          rows.push(rowOf(entity, id, read({ bytes: value, at: HEADER_BYTES })))
        }
      }
      return rows
    },
  }
}

function rowOf(entity: Entity, id: string, { lineage, fields }: Value): GovernedRow {
  return {
    entity,
    id,
    deleted: lineage['deleted'] === true,
    state: {
      position: lineage['position'] as Position,
      lsn: lineage['lsn'] as number,
      committedAt: lineage['committedAt'] as number,
      txId: lineage['txId'] as number,
      lastInTransaction: lineage['lastInTransaction'] === true,
      rulesVersion: lineage['rulesVersion'] as number,
      fields,
    },
  }
}

function makeReader(schema: AvroSchema): Reader {
  const { fields } = schema as unknown as {
    readonly fields: readonly { readonly name: string; readonly type: AvroSchema }[]
  }
  const names = fields.map(({ name }) => name)
  // the commit time stays a number: it is compared, not shown
  const reads = fields.map(({ name, type }) => (name === 'committedAt' ? takeInt : readerFor(type)))
  const built = builder(names)
  return { key: (cursor) => built.whole(reads, cursor), value: (cursor) => built.parted(reads, cursor) }
}

interface Builder {
  readonly whole: (reads: readonly Read[], cursor: Cursor) => Fields
  readonly parted: (reads: readonly Read[], cursor: Cursor) => Value
}

/**
 * Makes objects of fields that are read in order. Generated, because an object that is written down whole is made, and
 * later read, in a fraction of the time of one that grows by names held in variables.
 */
function builder(names: readonly string[]): Builder {
  const reading = names.map((_, i) => `const f${i} = reads[${i}](cursor)`).join('; ')
  const object = (wanted: (name: string) => boolean): string =>
    `{ ${names.flatMap((name, i) => (wanted(name) ? [`${JSON.stringify(name)}: f${i}`] : [])).join(', ')} }`
  const made = (result: string): unknown =>
    // oxlint-disable-next-line typescript/no-implied-eval -- names are the only text in it, and each is a quoted literal
    new Function('reads', 'cursor', `${reading}; return ${result}`)
  const lineage = object((name) => LINEAGE.has(name))
  const fields = object((name) => !LINEAGE.has(name))
  return {
    whole: made(object(() => true)) as Builder['whole'],
    parted: made(`{ lineage: ${lineage}, fields: ${fields} }`) as Builder['parted'],
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
