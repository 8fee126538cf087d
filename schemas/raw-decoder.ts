/** Records of the raw topic back into Changes, by the schema that each names. */
import type { Change, Column, Op, Row, Table, Value } from '../core/change.ts'
import type { Received } from '../core/message.ts'
import type { Position } from '../core/position.ts'
import { malformed, takeByte, takeInt, takeLong, takeText, type Cursor } from './avro-bytes.ts'
import { pgType } from './pg-types.ts'
import type { AvroSchema, Registry } from './registry.ts'

export interface RawDecoder {
  /** Changes of the raw topic, in order. MALFORMED_RECORD when a record is not what its schema says; REGISTRY. */
  decode(records: readonly Received[]): Promise<Change[]>
}

type Reader = (cursor: Cursor, record: Received) => Change

export function rawDecoder(registry: Registry): RawDecoder {
  const readers = new Map<number, Reader>()

  async function reader(id: number): Promise<Reader> {
    const made = makeReader(await registry.schema(id))
    readers.set(id, made)
    return made
  }

  return {
    decode: async (records) => {
      const changes: Change[] = []
      for (const record of records) {
        const bytes = record.value
        if (bytes === null || bytes.length < 5 || bytes[0] !== 0) throw malformed(bytes?.length ?? 0)
        const id = bytes.readUInt32BE(1)
        const read = readers.get(id) ?? (await reader(id))
        changes.push(read({ bytes, at: 5 }, record))
      }
      return changes
    },
  }
}

interface RecordSchema {
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: unknown }[]
}

function makeReader(schema: AvroSchema): Reader {
  const { name, fields } = schema as unknown as RecordSchema
  if (name === 'Marker') return readMarker
  const branches = fields[0]?.type as readonly unknown[]
  if (name !== 'Envelope' || !Array.isArray(branches)) throw malformed(0)
  return envelopeReader(valueTable(schema, branches[1] as ValueSchema))
}

interface ValueSchema {
  readonly pgKey: readonly string[]
  readonly fields: readonly {
    readonly type: readonly unknown[]
    readonly pgName: string
    readonly pgOid: number
    readonly pgModifier: number
  }[]
}

/** The namespace is `<prefix>.<schema>.<table>`, but the source's own names are only in the records: see readEnvelope. */
function valueTable(schema: AvroSchema, value: ValueSchema): { columns: Column[]; key: readonly string[] } {
  return {
    key: value.pgKey,
    columns: value.fields.map((field) => ({ name: field.pgName, oid: field.pgOid, modifier: field.pgModifier })),
  }
}

function envelopeReader({ columns, key }: { columns: Column[]; key: readonly string[] }): Reader {
  const reads = columns.map((column) => pgType(column.oid).read)
  const names = columns.map((column) => column.name)
  let table: Table | null = null

  function readValue(cursor: Cursor, i: number): Value {
    switch (takeByte(cursor)) {
      case 0:
        return null
      case 2:
        return reads[i]!(cursor)
      case 4:
        return takeText(cursor)
      default:
        throw malformed(cursor.bytes.length)
    }
  }

  function readRow(cursor: Cursor): Row | null {
    if (takeByte(cursor) === 0) return null
    const row: Record<string, Value> = {}
    for (let i = 0; i < names.length; i++) row[names[i]!] = readValue(cursor, i)
    return row
  }

  return (cursor, record) => {
    const before = readRow(cursor)
    const after = readRow(cursor)
    const source = readSource(cursor)
    const op = takeText(cursor) as Op
    if (takeByte(cursor) !== 0) takeLong(cursor)
    const common = readCommon(cursor, record)
    const reference = takeByte(cursor) === 0 ? null : takeText(cursor)
    table ??= { schema: source.schema, name: source.table, columns, key }
    return { op, table, reference, before, after, ...common }
  }
}

function readSource(cursor: Cursor): { schema: string; table: string } {
  takeText(cursor)
  takeText(cursor)
  takeText(cursor)
  takeLong(cursor)
  if (takeByte(cursor) !== 0) takeText(cursor)
  takeText(cursor)
  const schema = takeText(cursor)
  const table = takeText(cursor)
  if (takeByte(cursor) !== 0) takeLong(cursor)
  if (takeByte(cursor) !== 0) takeLong(cursor)
  return { schema, table }
}

function readMarker(cursor: Cursor, record: Received): Change {
  takeText(cursor)
  const slot = takeText(cursor)
  const systemIdentifier = takeText(cursor)
  const timeline = takeInt(cursor)
  const snapshotDone = takeByte(cursor) === 1
  return { op: 'm', slot, systemIdentifier, timeline, snapshotDone, ...readCommon(cursor, record) }
}

function readCommon(cursor: Cursor, record: Received) {
  return {
    position: takeText(cursor) as Position,
    lsn: takeInt(cursor),
    streamedTo: takeText(cursor) as Position,
    committedAt: takeInt(cursor),
    txId: takeInt(cursor),
    lastInTransaction: takeByte(cursor) === 1,
    partition: record.partition,
    offset: record.offset,
    bytes: record.value?.length ?? 0,
  }
}
