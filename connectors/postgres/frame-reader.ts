/** Reading forward through one frame of the replication protocol; every step is checked against the frame's end. */
import { PipelineError } from '../../core/error.ts'

/** Microseconds between the Unix epoch and PostgreSQL's. */
export const POSTGRES_EPOCH = 946_684_800_000_000

/** A cursor over one frame: what is read beyond its end is MALFORMED_WAL. */
export interface Reader {
  readonly bytes: Buffer
  readonly end: number
  at: number
}

/** Where so many bytes begin; the cursor is behind them. */
export function need(r: Reader, bytes: number): number {
  const { at } = r
  if (at + bytes > r.end) throw malformed(r, 'cut short')
  r.at = at + bytes
  return at
}

export function int8(r: Reader): number {
  return r.bytes[need(r, 1)]!
}

export function int16(r: Reader): number {
  return r.bytes.readUInt16BE(need(r, 2))
}

export function int32(r: Reader): number {
  return r.bytes.readUInt32BE(need(r, 4))
}

/** An LSN. */
export function int64(r: Reader): number {
  const at = need(r, 8)
  const high = r.bytes.readUInt32BE(at)
  if (high > 0x1fffff) throw malformed(r, 'an LSN beyond 8 PiB')
  return high * 0x1_0000_0000 + r.bytes.readUInt32BE(at + 4)
}

/** Microseconds since the Unix epoch. */
export function time(r: Reader): number {
  return Number(r.bytes.readBigInt64BE(need(r, 8))) + POSTGRES_EPOCH
}

export function skip(r: Reader, bytes: number): void {
  need(r, bytes)
}

/** A name up to its zero byte. */
export function text(r: Reader): string {
  let end = r.at
  while (end < r.end && r.bytes[end] !== 0) end += 1
  if (end >= r.end) throw malformed(r, 'a name without an end')
  const found = r.bytes.toString('utf8', r.at, end)
  r.at = end + 1
  return found
}

export function malformed(at: { readonly bytes: Buffer; readonly end: number }, what: string): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `the replication stream is not pgoutput version 2: ${what}`,
    'Start capture again; if it comes again, report it with the server version. Nothing was acknowledged.',
    { cause: new RangeError(`frame ends at byte ${at.end}`) },
  )
}
