/** The images of a raw record: a row before and a row after, read when they are wanted, or passed over. */
import type { Column, Row, Value } from '../core/change.ts'
import { malformed, takeByte, takeIsPresent, takeLong, takeRun, takeText, type Cursor } from './avro-bytes.ts'
import { pgType } from './pg-types.ts'
import type { AvroSchema } from './registry.ts'
import { rowBuilder } from './row-builder.ts'

export interface Images {
  /** The image that the cursor stands at; null where the record has none. */
  read(cursor: Cursor): Row | null
  /** Moves the cursor behind it; false where the record has none. */
  skip(cursor: Cursor): boolean
}

export interface ImageColumn extends Column {
  /** Whether its schema takes text beside the type's own form. */
  readonly widened: boolean
}

export function images(columns: readonly ImageColumn[]): Images {
  const types = columns.map(({ oid }) => pgType(oid))
  const reads = types.map(({ read }) => read)
  const skips = types.map(({ avro }) => skipping(avro))
  const isWidened = columns.map(({ widened }) => widened)
  const build = rowBuilder<Cursor>(columns.map(({ name }) => name))

  function readValue(cursor: Cursor, i: number): Value {
    switch (takeByte(cursor)) {
      case 0:
        return null
      case 2:
        return reads[i]!(cursor)
      case 4:
        if (isWidened[i] === true) return takeText(cursor)
    }
    throw malformed(cursor.bytes.length)
  }

  function skipValue(cursor: Cursor, i: number): void {
    switch (takeByte(cursor)) {
      case 0:
        return
      case 2:
        skips[i]!(cursor)
        return
      case 4:
        if (isWidened[i] !== true) break
        takeRun(cursor)
        return
    }
    throw malformed(cursor.bytes.length)
  }

  return {
    read: (cursor) => (takeIsPresent(cursor) ? build(readValue, cursor) : null),
    skip(cursor) {
      if (!takeIsPresent(cursor)) return false
      for (let i = 0; i < skips.length; i++) skipValue(cursor, i)
      return true
    },
  }
}

function skipping(avro: AvroSchema): (cursor: Cursor) => void {
  const type = typeof avro === 'string' ? avro : (avro as { readonly type: string }).type
  switch (type) {
    case 'boolean':
      return takeByte
    case 'int':
    case 'long':
      return takeLong
    case 'float':
      return (cursor) => pass(cursor, 4)
    case 'double':
      return (cursor) => pass(cursor, 8)
    default:
      return takeRun
  }
}

function pass(cursor: Cursor, bytes: number): void {
  cursor.at += bytes
  if (cursor.at > cursor.bytes.length) throw malformed(cursor.bytes.length)
}
