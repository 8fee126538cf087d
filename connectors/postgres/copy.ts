/** Lines of COPY's text format into tuples of pgoutput's: so that snapshot and stream take the same way and give the same bytes. */
import type { Tuple } from '../../core/change.ts'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const ESCAPES: Readonly<Record<number, number>> = { 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9, 0x76: 11 }

export interface CopyReader {
  /** The rows that are whole after this piece. */
  push(piece: Buffer): Tuple[]
}

/** https://www.postgresql.org/docs/18/sql-copy.html: text format */
export function copyReader(columns: number): CopyReader {
  let rest: Buffer | null = null
  return {
    push: (piece) => {
      const bytes = rest === null ? piece : Buffer.concat([rest, piece])
      const rows: Tuple[] = []
      let at = 0
      for (let end = bytes.indexOf(NEWLINE, at); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
        rows.push(tupleOf(bytes, at, end, columns))
        at = end + 1
      }
      rest = at === bytes.length ? null : bytes.subarray(at)
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
  return { bytes: out, start: 0, end: to }
}
