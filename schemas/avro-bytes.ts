/** Avro's binary encoding at the byte level. https://avro.apache.org/docs/1.12.0/specification/#binary-encoding */
import { PipelineError } from '../core/error.ts'

/** Writes a zigzag varint; returns the position behind it. */
export function putLong(out: Buffer, at: number, value: number | bigint): number {
  if (typeof value === 'bigint') return putBigLong(out, at, value)
  if (value >= -0x40000000 && value < 0x40000000) {
    let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
    while (zigzag > 0x7f) {
      out[at++] = (zigzag & 0x7f) | 0x80
      zigzag >>>= 7
    }
    out[at++] = zigzag
    return at
  }
  if (value > 0x0fffffffffffff || value < -0x0fffffffffffff) return putBigLong(out, at, BigInt(value))
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  while (rest > 0x7f) {
    out[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  out[at++] = rest
  return at
}

function putBigLong(out: Buffer, at: number, value: bigint): number {
  let zigzag = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  while (zigzag > 0x7fn) {
    out[at++] = Number(zigzag & 0x7fn) | 0x80
    zigzag >>= 7n
  }
  out[at++] = Number(zigzag)
  return at
}

/** A string or bytes value: its length, then the bytes. */
export function putBytes(out: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const length = end - start
  let to = putLong(out, at, length)
  if (length > 24) {
    from.copy(out, to, start, end)
    return to + length
  }
  for (let i = start; i < end; i++) out[to++] = from[i]!
  return to
}

/** A string out of one that is known to be ASCII and short. */
export function putAscii(out: Buffer, at: number, text: string): number {
  let to = putLong(out, at, text.length)
  for (let i = 0; i < text.length; i++) out[to++] = text.charCodeAt(i)
  return to
}

export function putText(out: Buffer, at: number, text: string): number {
  const { length } = text
  // Most texts are short and ASCII: their length is one byte, and calls into native code cost more than the loop.
  if (length < 64) {
    let i = 0
    for (; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) break
      out[at + 1 + i] = unit
    }
    if (i === length) {
      out[at] = length << 1
      return at + 1 + length
    }
  }
  const to = putLong(out, at, Buffer.byteLength(text))
  return to + out.write(text, to, 'utf8')
}

/** Reads forward through one value; every step is checked against the end. MALFORMED_RECORD when it is passed. */
export interface Cursor {
  readonly bytes: Buffer
  at: number
}

export function takeLong(cursor: Cursor): number | bigint {
  const start = cursor.at
  let low = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = takeByte(cursor)
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) return (low >>> 1) ^ -(low & 1)
  }
  let high = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = takeByte(cursor)
    high |= (byte & 0x7f) << shift
    if (byte >= 0x80) continue
    if (high >= 0x2000000) break
    const zigzag = high * 0x10000000 + low
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }
  cursor.at = start
  return takeBigLong(cursor)
}

function takeBigLong(cursor: Cursor): number | bigint {
  let zigzag = 0n
  for (let shift = 0n; ; shift += 7n) {
    if (shift > 63n) throw malformed(cursor.bytes.length)
    const byte = takeByte(cursor)
    if (shift === 63n && byte > 1) throw malformed(cursor.bytes.length)
    zigzag |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const value = BigInt.asIntN(64, (zigzag >> 1n) ^ -(zigzag & 1n))
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** A long that must be a safe integer: lengths, union branches, ints. */
export function takeInt(cursor: Cursor): number {
  const value = takeLong(cursor)
  if (typeof value === 'bigint') throw malformed(cursor.bytes.length)
  return value
}

/** The branch of a union of null and one other type: whether it is the other. */
export function takeIsPresent(cursor: Cursor): boolean {
  const branch = takeByte(cursor)
  if (branch !== 0 && branch !== 2) throw malformed(cursor.bytes.length)
  return branch === 2
}

export function takeByte(cursor: Cursor): number {
  const byte = cursor.bytes[cursor.at]
  if (byte === undefined) throw malformed(cursor.bytes.length)
  cursor.at += 1
  return byte
}

/** The start of a run of bytes whose length precedes it; the cursor is behind it afterwards. */
export function takeRun(cursor: Cursor): number {
  const length = takeInt(cursor)
  const start = cursor.at
  if (length < 0 || start + length > cursor.bytes.length) throw malformed(cursor.bytes.length)
  cursor.at = start + length
  return start
}

export function takeText(cursor: Cursor): string {
  const start = takeRun(cursor)
  return cursor.bytes.toString('utf8', start, cursor.at)
}

export function malformed(length: number): PipelineError {
  return new PipelineError(
    'MALFORMED_RECORD',
    `a record of ${length} bytes does not match the schema that it names`,
    'Check that only this pipeline writes the topic; then read it again from an older offset.',
  )
}
