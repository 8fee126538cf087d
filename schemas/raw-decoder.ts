/** Records of the raw topic back into Changes, by the schema that each names. */
import type { Change, Column, OmittedValue, Op, Origin, Row, RowChange, Table } from '../core/change.ts'
import type { Received } from '../core/message.ts'
import type { Position } from '../core/position.ts'
import { malformed, takeByte, takeInt, takeIsPresent, takeLong, takeRun, takeText, type Cursor } from './avro-bytes.ts'
import { images, type Images } from './raw-decoder-images.ts'
import { lateImages, type LateImages } from './raw-decoder-late.ts'
import type { AvroSchema, Registry } from './registry.ts'

export interface RawDecoder<Image = Row> {
  /** Changes of the raw topic, in order. MALFORMED_RECORD when a record is not what its schema says; REGISTRY. */
  decode(records: readonly Received[]): Promise<Change<Image>[]>
}

type Reader<Image> = (cursor: Cursor, record: Received) => Change<Image>

export function rawDecoder(registry: Registry): RawDecoder {
  return decoder(registry, (schema, omits) => envelopeReader(schema, omits, (image, cursor) => image.read(cursor)))
}

/** As {@link rawDecoder}, but an image is the place in the record's value where its first column begins. */
export function placingRawDecoder(registry: Registry): RawDecoder<number> {
  return decoder(registry, (schema, omits) => envelopeReader(schema, omits, placeOf))
}

function placeOf(image: Images, cursor: Cursor): number | null {
  const columns = cursor.at + 1
  return image.skip(cursor) ? columns : null
}

/**
 * As {@link rawDecoder}, but a change's images are read when they are asked for, and again when they are asked for later:
 * a change that waits costs its record. So what is made of a row dies young, however many wait.
 */
export function lateRawDecoder(registry: Registry): RawDecoder {
  const late = lateImages()
  return decoder(registry, (schema, omits) => lateEnvelopeReader(schema, omits, late))
}

type MakeEnvelope<Image> = (schema: ValueSchema, omits: boolean) => Reader<Image>

function decoder<Image>(registry: Registry, makeEnvelope: MakeEnvelope<Image>): RawDecoder<Image> {
  const readers = new Map<number, Reader<Image>>()

  async function reader(id: number): Promise<Reader<Image>> {
    const made = makeReader(await registry.schema(id), makeEnvelope)
    readers.set(id, made)
    return made
  }

  return {
    decode: async (records) => {
      const changes: Change<Image>[] = []
      for (const record of records) {
        const bytes = record.value
        if (bytes === null || bytes.length < 5 || bytes[0] !== 0) throw malformed(bytes?.length ?? 0)
        const id = bytes.readUInt32BE(1)
        const read = readers.get(id) ?? (await reader(id))
        const cursor: Cursor = { bytes, at: 5 }
        changes.push(read(cursor, record))
        if (cursor.at !== bytes.length) throw malformed(bytes.length)
      }
      return changes
    },
  }
}

interface RecordSchema {
  readonly name: string
  readonly fields?: readonly { readonly name: string; readonly type: unknown }[]
}

function makeReader<Image>(schema: AvroSchema, makeEnvelope: MakeEnvelope<Image>): Reader<Image> {
  const { name, fields } = schema as unknown as RecordSchema
  if (name === 'Marker') return markerReader(fields?.some((field) => field.name === 'stopped') === true)
  const branches = fields?.[0]?.type as readonly unknown[]
  if (name !== 'Envelope' || !Array.isArray(branches)) throw malformed(0)
  return makeEnvelope(branches[1] as ValueSchema, fields?.at(-1)?.name === 'omitted')
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

/** What a schema says of every record of it. */
function envelope({ pgKey: key, fields }: ValueSchema) {
  const columns = fields.map((field): Column => ({ name: field.pgName, oid: field.pgOid, modifier: field.pgModifier }))
  /** The source's own names are in the records alone: the schema's namespace holds Avro's. */
  let table: Table | null = null
  return {
    image: images(columns.map((column, i) => ({ ...column, widened: fields[i]!.type.length > 2 }))),
    readHead(cursor: Cursor) {
      table ??= { ...tableNameAt(cursor), columns, key }
      skipSource(cursor)
      const op = readOp(cursor)
      if (takeIsPresent(cursor)) takeLong(cursor)
      return { op, table }
    },
  }
}

function envelopeReader<Image>(
  schema: ValueSchema,
  omits: boolean,
  readImage: (image: Images, cursor: Cursor) => Image | null,
): Reader<Image> {
  const { image, readHead } = envelope(schema)
  return (cursor, record) => {
    const before = readImage(image, cursor)
    const after = readImage(image, cursor)
    const { op, table } = readHead(cursor)
    const common = readCommon(cursor, record)
    const reference = readReference(cursor)
    if (before === null && after === null) throw malformed(cursor.bytes.length)
    // each by its name: a copy of what readCommon gives takes as long as reading it
    const change: RowChange<Image> = {
      op,
      table,
      reference,
      before,
      after,
      position: common.position,
      lsn: common.lsn,
      streamedTo: common.streamedTo,
      committedAt: common.committedAt,
      txId: common.txId,
      lastInTransaction: common.lastInTransaction,
      partition: common.partition,
      offset: common.offset,
      bytes: common.bytes,
    }
    return omits ? { ...change, omitted: takeArray(cursor, takeOmitted) } : change
  }
}

function lateEnvelopeReader(schema: ValueSchema, omits: boolean, late: LateImages): Reader<Row> {
  const { image, readHead } = envelope(schema)
  return (cursor, record) => {
    const beforeAt = cursor.at
    const hasBefore = image.skip(cursor)
    const afterAt = cursor.at
    if (!image.skip(cursor) && !hasBefore) throw malformed(cursor.bytes.length)
    const head = readHead(cursor)
    const common = readCommon(cursor, record)
    const reference = readReference(cursor)
    const at = { image, bytes: cursor.bytes, beforeAt, afterAt }
    return late.change(at, head, common, reference, omits ? takeArray(cursor, takeOmitted) : undefined)
  }
}

function readReference(cursor: Cursor): string | null {
  return takeIsPresent(cursor) ? takeText(cursor) : null
}

function readOp(cursor: Cursor): Op {
  const start = takeRun(cursor)
  const op = cursor.at - start === 1 ? OPS.get(cursor.bytes[start]!) : undefined
  if (op === undefined) throw malformed(cursor.bytes.length)
  return op
}

/** By their letter. */
const OPS: ReadonlyMap<number, Op> = new Map((['c', 'u', 'd', 'r'] as const).map((op) => [op.charCodeAt(0), op]))

/** Source's fields before schema and table. */
function skipSourceHead(cursor: Cursor): void {
  takeRun(cursor)
  takeRun(cursor)
  takeRun(cursor)
  takeLong(cursor)
  if (takeIsPresent(cursor)) takeRun(cursor)
  takeRun(cursor)
}

function tableNameAt({ bytes, at }: Cursor): Pick<Table, 'schema' | 'name'> {
  const cursor: Cursor = { bytes, at }
  skipSourceHead(cursor)
  return { schema: takeText(cursor), name: takeText(cursor) }
}

function skipSource(cursor: Cursor): void {
  skipSourceHead(cursor)
  takeRun(cursor)
  takeRun(cursor)
  if (takeIsPresent(cursor)) takeLong(cursor)
  if (takeIsPresent(cursor)) takeLong(cursor)
}

/** Markers of before tables could be stopped do not say which are. */
function markerReader(saysStopped: boolean): Reader<never> {
  return (cursor, record) => {
    takeText(cursor)
    const slot = takeText(cursor)
    const systemIdentifier = takeText(cursor)
    const timeline = takeInt(cursor)
    const snapshotDone = takeByte(cursor) === 1
    const common = readCommon(cursor, record)
    const stopped = saysStopped ? takeArray(cursor, takeText) : []
    return { op: 'm', slot, systemIdentifier, timeline, snapshotDone, stopped, ...common }
  }
}

/** Nearly always the text that lies at `known` already: then no other is made. */
function takeSame(cursor: Cursor, known: number, text: Position): Position {
  const start = takeRun(cursor)
  const { bytes, at: end } = cursor
  let i = 0
  if (end - start === text.length) while (i < text.length && bytes[start + i] === bytes[known + i]) i += 1
  return i > 0 && i === text.length ? text : (bytes.toString('latin1', start, end) as Position)
}

function takeArray<T>(cursor: Cursor, take: (cursor: Cursor) => T): T[] {
  const items: T[] = []
  for (let count = takeInt(cursor); count !== 0; count = takeInt(cursor)) {
    // each takes a byte at least: a count that the record cannot hold is refused before anything is made
    if (count < 0 || count > cursor.bytes.length - cursor.at) throw malformed(cursor.bytes.length)
    for (let i = 0; i < count; i++) items.push(take(cursor))
  }
  return items
}

function takeOmitted(cursor: Cursor): OmittedValue {
  const image = takeText(cursor)
  if (image !== 'before' && image !== 'after') throw malformed(cursor.bytes.length)
  return { image, column: takeText(cursor), bytes: takeInt(cursor), sha256: takeText(cursor) }
}

function readCommon(cursor: Cursor, record: Received): Origin {
  const positionAt = takeRun(cursor)
  const position = cursor.bytes.toString('latin1', positionAt, cursor.at) as Position
  return {
    position,
    lsn: takeInt(cursor),
    streamedTo: takeSame(cursor, positionAt, position),
    committedAt: takeInt(cursor),
    txId: takeInt(cursor),
    lastInTransaction: takeByte(cursor) === 1,
    partition: record.partition,
    offset: record.offset,
    bytes: record.value?.length ?? 0,
  }
}
