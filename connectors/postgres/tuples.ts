/** Reading and completing tuples of pgoutput's text format without decoding them. */
import type { Row, Table, Tuple, Value } from '../../core/change.ts'
import { pgType } from '../../schemas/pg-types.ts'

const NULL = 0x6e
const UNCHANGED = 0x75

/** The text of one column; null for NULL. */
export function columnText({ bytes, start }: Tuple, index: number): string | null {
  let at = start + 2
  for (let i = 0; i < index; i++) at = behind(bytes, at)
  if (bytes[at] !== 0x74) return null
  const length = bytes.readUInt32BE(at + 1)
  return bytes.toString('utf8', at + 5, at + 5 + length)
}

/** Whether both tuples have the same bytes in a column. */
export function sameColumn(a: Tuple, b: Tuple, index: number): boolean {
  return columnText(a, index) === columnText(b, index)
}

/** `after` with the values that an update left untouched, and that the server therefore did not send, out of `before`. */
export function completed(before: Tuple | null, after: Tuple): Tuple | null {
  if (!hasUnchanged(after)) return after
  if (before === null) return null
  const count = after.bytes.readUInt16BE(after.start)
  const pieces = [after.bytes.subarray(after.start, after.start + 2)]
  let a = after.start + 2
  let b = before.start + 2
  for (let i = 0; i < count; i++) {
    const nextA = behind(after.bytes, a)
    const nextB = behind(before.bytes, b)
    pieces.push(after.bytes[a] === UNCHANGED ? before.bytes.subarray(b, nextB) : after.bytes.subarray(a, nextA))
    a = nextA
    b = nextB
  }
  const bytes = Buffer.concat(pieces)
  return { bytes, start: 0, end: bytes.length }
}

/** A tuple's values, as the raw topic gives them back. */
export function rowOf(table: Table, tuple: Tuple): Row {
  const row: Record<string, Value> = {}
  let at = tuple.start + 2
  for (const column of table.columns) {
    const next = behind(tuple.bytes, at)
    row[column.name] =
      tuple.bytes[at] === NULL ? null : pgType(column.oid).value(tuple.bytes.toString('utf8', at + 5, next))
    at = next
  }
  return row
}

function hasUnchanged({ bytes, start, end }: Tuple): boolean {
  let at = start + 2
  while (at < end) {
    if (bytes[at] === UNCHANGED) return true
    at = behind(bytes, at)
  }
  return false
}

function behind(bytes: Buffer, at: number): number {
  return bytes[at] === 0x74 ? at + 5 + bytes.readUInt32BE(at + 1) : at + 1
}
