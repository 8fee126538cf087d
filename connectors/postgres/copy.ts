/** Lines of COPY's text format into tuples of pgoutput's: so that snapshot and stream take the same way and give the same bytes. */
import type { Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const ESCAPES: Readonly<Record<number, number>> = { 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9, 0x76: 11 }

export interface CopyReader {
  /** The rows that are whole after this piece. MALFORMED_WAL when a line has other columns than were asked for. */
  push(piece: Buffer): Tuple[]
}

/** https://www.postgresql.org/docs/18/sql-copy.html: text format */
export function copyReader(columns: number): CopyReader {
  /** The line that is not whole yet: joined once, however many pieces a row takes. */
  let pending: Buffer[] = []
  return {
    push: (piece) => {
      const rows: Tuple[] = []
      let end = piece.indexOf(NEWLINE)
      if (end === -1) {
        if (piece.length > 0) pending.push(piece)
        return rows
      }
      let at = end + 1
      const first = pending.length === 0 ? piece : Buffer.concat([...pending, piece.subarray(0, at)])
      rows.push(tupleOf(first, 0, pending.length === 0 ? end : first.length - 1, columns))
      for (end = piece.indexOf(NEWLINE, at); end !== -1; end = piece.indexOf(NEWLINE, at)) {
        rows.push(tupleOf(piece, at, end, columns))
        at = end + 1
      }
      pending = at === piece.length ? [] : [piece.subarray(at)]
      return rows
    },
  }
}

function tupleOf(line: Buffer, start: number, end: number, columns: number): Tuple {
  const out = Buffer.allocUnsafe(2 + columns * 5 + end - start)
  out.writeUInt16BE(columns, 0)
  let to = 2
  let at = start
  for (let i = 0; i < columns; i++) {
    if (line[at] === BACKSLASH && line[at + 1] === 0x4e) {
      out[to++] = 0x6e
      at += 3
      continue
    }
    const from = to + 5
    let q = from
    while (at < end && line[at] !== TAB) {
      let byte = line[at++]!
      if (byte === BACKSLASH) {
        byte = line[at++]!
        byte = ESCAPES[byte] ?? byte
      }
      out[q++] = byte
    }
    at += 1
    out[to] = 0x74
    out.writeUInt32BE(q - from, to + 1)
    to = q
  }
  // a line of no columns is empty; the last column's step goes over the newline
  if (at !== (columns === 0 ? end : end + 1)) throw malformed(columns)
  return { bytes: out, start: 0, end: to }
}

function malformed(columns: number): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `a line of COPY does not have the ${columns} columns that were asked for`,
    'Start capture again: tables that were not read to their end are read once more.',
  )
}
