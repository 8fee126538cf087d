/** Bytes as Avro's specification has them: compared with avsc's. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../core/error.ts'
import {
  putAscii,
  putBytes,
  putLong,
  putText,
  takeByte,
  takeInt,
  takeIsPresent,
  takeLong,
  takeRun,
  takeText,
  type Cursor,
} from '../../schemas/avro-bytes.ts'
import { avscType } from '../support/avsc.ts'

const LONG = avscType('long')
const STRING = avscType('string')
const BYTES = avscType('bytes')

/** What a writer puts from byte 3 on; nothing else of the buffer may change. */
function put(write: (out: Buffer, at: number) => number, room = 1000): Buffer {
  const out = Buffer.alloc(room, 0xee)
  const end = write(out, 3)
  expect([...out.subarray(0, 3), ...out.subarray(end)].every((byte) => byte === 0xee)).toBe(true)
  return out.subarray(3, end)
}

const cursor = (bytes: Uint8Array): Cursor => ({ bytes: Buffer.from(bytes), at: 0 })

const EDGES = [0n, 6n, 7n, 13n, 14n, 20n, 27n, 28n, 29n, 30n, 31n, 32n, 34n, 35n, 51n, 52n, 53n, 55n, 56n, 62n, 63n]
  .flatMap((bits) => [-2n, -1n, 0n, 1n].map((more) => (1n << bits) + more))
  .flatMap((value) => [value, -value])
  .filter((value) => BigInt.asIntN(64, value) === value)

const int64 = fc.oneof(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.constantFrom(...EDGES))

function checkLong(value: bigint): void {
  const bytes = put((out, at) => putLong(out, at, value))
  const number = Number(value)
  const plain = Number.isSafeInteger(number) ? number : value
  expect(bytes).toEqual(LONG.toBuffer(value))
  expect(put((out, at) => putLong(out, at, plain))).toEqual(bytes)
  const read = cursor(bytes)
  expect(takeLong(read)).toBe(plain)
  expect(read.at).toBe(bytes.length)
}

describe('a long', () => {
  test.each(EDGES)('%d has its bytes as number and as bigint, and comes back', checkLong)

  test('of any value has its bytes and comes back', () => {
    fc.assert(fc.property(int64, checkLong), { numRuns: 3000 })
  })

  test('of more than 64 bits is refused', () => {
    const ones = Array(9).fill(0xff)
    expect(takeLong(cursor(new Uint8Array([...ones, 0x01])))).toBe(-(1n << 63n))
    for (const last of [[0x02], [0x7f], [0xff, 0x01]]) {
      expect(() => takeLong(cursor(new Uint8Array([...ones, ...last])))).toThrow(PipelineError)
    }
  })

  test('written longer than it needs to be is its value', () => {
    expect(takeLong(cursor(new Uint8Array([0x84, 0x80, 0x00])))).toBe(2)
    expect(takeLong(cursor(new Uint8Array([...Array(9).fill(0x80), 0x00])))).toBe(0)
  })
})

describe('a text', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 150 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 150 }),
  )

  test('has its bytes, and comes back', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = put((out, at) => putText(out, at, text))
        expect(bytes).toEqual(STRING.toBuffer(text))
        const utf8 = Buffer.from(`xx${text}x`)
        expect(put((out, at) => putBytes(out, at, utf8, 2, utf8.length - 1))).toEqual(bytes)
        expect(takeText(cursor(bytes))).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([0, 1, 23, 24, 25, 63, 64, 65, 127, 128, 8191, 8192, 70_000])('of %d characters', (length) => {
    for (const text of ['a'.repeat(length), 'é'.repeat(length), 'a'.repeat(Math.max(0, length - 1)) + '😀']) {
      expect(put((out, at) => putText(out, at, text), 300_000)).toEqual(STRING.toBuffer(text))
    }
    const ascii = 'z'.repeat(length)
    expect(put((out, at) => putAscii(out, at, ascii), 80_000)).toEqual(STRING.toBuffer(ascii))
  })

  test('of bytes is a run of the record itself', () => {
    const read = cursor(BYTES.toBuffer(Buffer.from('abc')))
    expect([takeRun(read), read.at]).toEqual([1, 4])
  })
})

describe('what the bytes do not have is refused', () => {
  const TAKES: Readonly<Record<string, (from: Cursor) => unknown>> = {
    takeByte,
    takeIsPresent,
    takeInt,
    takeLong,
    takeRun,
    takeText,
  }

  test.each(Object.entries(TAKES))('by %s, which reads inside the bytes or throws MALFORMED_RECORD', (_, take) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 14 }), (bytes) => {
        const read = cursor(bytes)
        let code: unknown = 'MALFORMED_RECORD'
        try {
          take(read)
        } catch (error) {
          code = (error as PipelineError).code
        }
        expect([code, read.at <= bytes.length]).toEqual(['MALFORMED_RECORD', true])
      }),
      { numRuns: 1000 },
    )
    expect(() => take(cursor(new Uint8Array()))).toThrow(PipelineError)
  })

  test('a length below zero or beyond the end, a branch that a union does not have, an int beyond the safe integers', () => {
    const bytesOf = (value: number | bigint): Buffer => put((out, at) => putLong(out, at, value))
    for (const length of [-1, 1, 2 ** 40, 2n ** 62n])
      expect(() => takeRun(cursor(bytesOf(length)))).toThrow(PipelineError)
    for (const branch of [1, 3, 4, 255]) expect(() => takeIsPresent(cursor([branch] as never))).toThrow(PipelineError)
    expect(() => takeInt(cursor(bytesOf(2n ** 53n)))).toThrow(PipelineError)
  })
})
