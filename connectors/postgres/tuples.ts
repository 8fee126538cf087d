/** Reading and completing tuples of pgoutput's text format without decoding them. */
import { tableName, type Row, type Table, type Tuple, type Value } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { pgType } from '../../schemas/pg-types.ts'
import { rowBuilder } from '../../schemas/row-builder.ts'

const NULL = 0x6e
const UNCHANGED = 0x75
const TEXT = 0x74

/** The text of one column; null for NULL. MALFORMED_WAL when the tuple has no such column. */
export function columnText(tuple: Tuple, index: number): string | null {
  const { bytes } = tuple
  const at = columnAt(tuple, index)
  if (bytes[at] !== TEXT) return null
  return bytes.toString('utf8', at + 5, behind(bytes, at))
}

/** Whether both tuples have the same bytes in a column. MALFORMED_WAL when one of them has no such column. */
export function sameColumn(a: Tuple, b: Tuple, index: number): boolean {
  const p = columnAt(a, index)
  const q = columnAt(b, index)
  return a.bytes.compare(b.bytes, q, behind(b.bytes, q), p, behind(a.bytes, p)) === 0
}

/**
 * `after` with the values that an update left untouched, and that the server therefore did not send, out of `before`;
 * null where these are not known. MALFORMED_WAL when the two have not the same columns.
 */
export function completed(before: Tuple | null, after: Tuple): Tuple | null {
  if (!hasUnchanged(after)) return after
  if (before === null) return null
  const count = columnCount(after)
  if (columnCount(before) !== count) throw malformed('an update has other columns before than after')
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

type RowReader = (tuple: Tuple) => Row

const READERS = new WeakMap<Table, RowReader>()

/** Reads whole tuples' values, as the raw topic gives them back; MALFORMED_WAL for a tuple that is not one of the table. */
export function rowReader(table: Table): RowReader {
  const known = READERS.get(table)
  if (known !== undefined) return known
  const made = makeReader(table)
  READERS.set(table, made)
  return made
}

function makeReader(table: Table): RowReader {
  const { columns } = table
  const values = columns.map(({ oid }) => pgType(oid).value)
  const build = rowBuilder<Place>(columns.map(({ name }) => name))

  function next(place: Place, column: number): Value {
    const { bytes, at } = place
    place.at = behind(bytes, at)
    return bytes[at] === NULL ? null : values[column]!(bytes.toString('utf8', at + 5, place.at))
  }

  return (tuple) => {
    if (columnCount(tuple) !== columns.length || hasUnchanged(tuple)) {
      throw malformed(`a tuple of ${tableName(table)} is not a whole row of it`)
    }
    return build(next, { bytes: tuple.bytes, at: tuple.start + 2 })
  }
}

interface Place {
  readonly bytes: Buffer
  at: number
}

function hasUnchanged({ bytes, start, end }: Tuple): boolean {
  let at = start + 2
  while (at < end) {
    if (bytes[at] === UNCHANGED) return true
    at = behind(bytes, at)
  }
  return false
}

function columnCount({ bytes, start }: Tuple): number {
  return bytes.readUInt16BE(start)
}

/** Where a column begins. The tuple's own end needs no check: decodeFrame has walked its columns. */
function columnAt(tuple: Tuple, index: number): number {
  if (index < 0 || index >= columnCount(tuple)) throw malformed('a row has other columns than its relation')
  let at = tuple.start + 2
  for (let i = 0; i < index; i++) at = behind(tuple.bytes, at)
  return at
}

function behind(bytes: Buffer, at: number): number {
  return bytes[at] === TEXT ? at + 5 + bytes.readUInt32BE(at + 1) : at + 1
}

function malformed(found: string): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    found,
    'Start capture again; if it comes again, report it with the server version. Nothing was acknowledged.',
  )
}
