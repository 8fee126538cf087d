/** Cells straight out of Avro's bytes: what `sourceCell` and `fieldCell` make of the values that a decoder would read. */
import type { Column } from '../core/change.ts'
import { malformed, takeByte, takeLong, takeRun, takeText, type Cursor } from '../schemas/avro-bytes.ts'
import { pgType } from '../schemas/pg-types.ts'
import type { AvroSchema } from '../schemas/registry.ts'
import { RARE_OIDS, sourceCell, valueCell } from './canonical.ts'
import { NOWHERE, type RowBytes } from './row-bytes.ts'
import { KEY_PART } from './source-keys.ts'

/** Reads a value and puts its cell. */
export type PutCell = (cursor: Cursor, row: RowBytes) => void

/** Of a unified field by its schema. MALFORMED_RECORD for a type that no unified field has. */
export function fieldPutter(type: AvroSchema): PutCell {
  if (!Array.isArray(type)) return valuePutter(type)
  const put = valuePutter(type[1] as AvroSchema)
  return (cursor, row) => {
    if (takeByte(cursor) === 0) row.putNull()
    else put(cursor, row)
  }
}

/** Of a source column: null, the type's own form, or the text of what that form cannot hold. */
function columnPutter(column: Column): PutCell {
  const put = valuePutter(pgType(column.oid).avro)
  return (cursor, row) => {
    switch (takeByte(cursor)) {
      case 0:
        return row.putNull()
      case 2:
        return put(cursor, row)
      case 4:
        return row.putText(sourceCell(column, takeText(cursor))!)
      default:
        throw malformed(cursor.bytes.length)
    }
  }
}

function valuePutter(type: AvroSchema): PutCell {
  switch (typeof type === 'string' ? type : (type as { readonly type: unknown }).type) {
    case 'boolean':
      return (cursor, row) => row.putText(takeByte(cursor) === 1 ? 'true' : 'false')
    case 'int':
    case 'long': // moments too
      return (cursor, row) => row.putNumber(takeLong(cursor))
    case 'string':
      return (cursor, row) => {
        const start = takeRun(cursor)
        row.putBytes(cursor.bytes, start, cursor.at)
      }
    default:
      return rarePutter(type)
  }
}

function rarePutter(type: AvroSchema): PutCell {
  const of = [...RARE_OIDS].map(pgType).find(({ avro }) => avro === type)
  if (of === undefined) throw malformed(0)
  return (cursor, row) => row.putText(valueCell(of.read(cursor))!)
}

/** Puts a row's cells in the order of the wanted columns; the cursor stands at its first column. */
export function rowPutter(columns: readonly Column[], wanted: readonly Column[]): PutCell {
  const puts = columns.map(columnPutter)
  const order = wanted.map(({ name }) => columns.findIndex((column) => column.name === name))
  if (order.length === puts.length && order.every((column, i) => column === i)) {
    return (cursor, row) => {
      for (const put of puts) put(cursor, row)
    }
  }
  const starts = puts.map(() => 0)
  return (cursor, row) => {
    for (const [i, put] of puts.entries()) {
      starts[i] = cursor.at
      put(cursor, NOWHERE)
    }
    for (const i of order) {
      if (i === -1) {
        row.putNull()
        continue
      }
      cursor.at = starts[i]!
      puts[i]!(cursor, row)
    }
  }
}

/** Reads a row's key as `keyOf` writes it; the cursor stands at its first column. */
export function keyReader(columns: readonly Column[], key: readonly string[]): (cursor: Cursor) => string {
  const skips = columns.map(columnPutter)
  const reads = columns.map(({ oid }) => pgType(oid).read)
  const names = key.length > 0 ? key : columns.map(({ name }) => name)
  const parts = names.map((name) => columns.findIndex((column) => column.name === name))
  const last = Math.max(...parts)
  const texts = columns.map(() => '')

  function readPart(cursor: Cursor, i: number): string {
    switch (takeByte(cursor)) {
      case 0:
        return ''
      case 2:
        return String(reads[i]!(cursor))
      default:
        return takeText(cursor)
    }
  }

  return (cursor) => {
    for (let i = 0; i <= last; i++) {
      if (parts.includes(i)) texts[i] = readPart(cursor, i)
      else skips[i]!(cursor, NOWHERE)
    }
    return parts.length === 1 ? texts[parts[0]!]! : parts.map((i) => texts[i]).join(KEY_PART)
  }
}
