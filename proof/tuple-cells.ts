/** Cells straight out of a tuple's bytes: what `sourceCell` makes of the values that they are the text of. */
import type { Column, Tuple } from '../core/change.ts'
import { pgType, plainDays, plainMicros } from '../schemas/pg-types.ts'
import { DATE_OID, RARE_OIDS, sourceCell, TIMESTAMP_OIDS } from './canonical.ts'
import type { RowBytes } from './row-bytes.ts'

/** Puts the cell of a value that is not null, given as PostgreSQL's text; false where it is a moment out of the ordinary. */
type PutText = (bytes: Buffer, start: number, end: number, row: RowBytes) => boolean

/**
 * Puts the first cells of a whole tuple, one for each column. False where one of them is an infinity, or a time that a
 * number cannot hold exactly.
 */
export function tuplePutter(columns: readonly Column[]): (tuple: Tuple, row: RowBytes) => boolean {
  const puts = columns.map(textPutter)
  return ({ bytes, start }, row) => {
    let at = start + 2
    let areOrdinary = true
    for (const put of puts) {
      if (bytes[at] !== TEXT) {
        row.putNull()
        at += 1
        continue
      }
      const end = at + 5 + bytes.readUInt32BE(at + 1)
      areOrdinary = put(bytes, at + 5, end, row) && areOrdinary
      at = end
    }
    return areOrdinary
  }
}

const TEXT = 0x74
const TRUE = 0x74

function textPutter(column: Column): PutText {
  const { oid } = column
  if (oid === DATE_OID) return momentPutter(column, plainDays)
  if (TIMESTAMP_OIDS.has(oid)) return momentPutter(column, plainMicros)
  if (oid === BOOLEAN_OID) {
    return (bytes, start, _end, row) => {
      row.putText(bytes[start] === TRUE ? 'true' : 'false')
      return true
    }
  }
  if (RARE_OIDS.has(oid)) {
    const { value } = pgType(oid)
    return (bytes, start, end, row) => {
      row.putText(sourceCell(column, value(bytes.toString('utf8', start, end)))!)
      return true
    }
  }
  return (bytes, start, end, row) => {
    row.putBytes(bytes, start, end)
    return true
  }
}

function momentPutter(column: Column, plain: (bytes: Buffer, start: number, end: number) => number | null): PutText {
  return (bytes, start, end, row) => {
    const number = plain(bytes, start, end)
    if (number === null) row.putText(sourceCell(column, bytes.toString('utf8', start, end))!)
    else row.putNumber(number)
    return number !== null
  }
}

const BOOLEAN_OID = 16
