/**
 * How a PostgreSQL type travels: one table. A type that is not in it travels as PostgreSQL's own text.
 *
 * What an Avro number cannot hold (`infinity`, the year 294276) is never replaced by a sentinel: the column's schema is widened to take
 * text as well, from the first such value on (raw-schema.ts).
 */
import type { Value } from '../core/change.ts'
import {
  malformed,
  putBytes,
  putLong,
  takeByte,
  takeInt,
  takeLong,
  takeRun,
  takeText,
  type Cursor,
} from './avro-bytes.ts'
import { civilDays, dateDays, dateText, timestampMicros, timestampText } from './pg-time.ts'
import type { AvroSchema } from './registry.ts'

/** Writes a value given as PostgreSQL's text; -1 when the Avro type cannot hold it. */
export type TextWriter = (out: Buffer, at: number, text: Buffer, start: number, end: number) => number

export interface PgType {
  readonly avro: AvroSchema
  readonly write: TextWriter
  /** Reads what `write` wrote, as core/change.ts's Value. */
  readonly read: (cursor: Cursor) => Value
  /** PostgreSQL's text as the same Value. */
  readonly value: (text: string) => Value
  /** Whether the type has values that `write` answers with -1. */
  readonly partial?: true
}

const text: PgType = { avro: 'string', write: putBytes, read: takeText, value: (found) => found }

const boolean: PgType = {
  avro: 'boolean',
  write: (out, at, bytes, start) => {
    out[at] = bytes[start] === 0x74 ? 1 : 0
    return at + 1
  },
  read: (cursor) => takeByte(cursor) === 1,
  value: (found) => found === 't',
}

const int: PgType = {
  avro: 'int',
  write: (out, at, bytes, start, end) => putLong(out, at, integer(bytes, start, end)),
  read: takeInt,
  value: Number,
}

const long: PgType = {
  avro: 'long',
  write: (out, at, bytes, start, end) =>
    putLong(out, at, end - start < 16 ? integer(bytes, start, end) : BigInt(bytes.toString('latin1', start, end))),
  read: takeLong,
  value: (found) => {
    const number = Number(found)
    return Number.isSafeInteger(number) ? number : BigInt(found)
  },
}

const float: PgType = {
  avro: 'float',
  write: (out, at, bytes, start, end) => out.writeFloatLE(nearestFloat(bytes.toString('latin1', start, end)), at),
  read: (cursor) => cursor.bytes.readFloatLE(take(cursor, 4)),
  value: nearestFloat,
}

const double: PgType = {
  avro: 'double',
  write: (out, at, bytes, start, end) => out.writeDoubleLE(Number(bytes.toString('latin1', start, end)), at),
  read: (cursor) => cursor.bytes.readDoubleLE(take(cursor, 8)),
  value: Number,
}

const bytea: PgType = {
  avro: 'bytes',
  write: (out, at, bytes, start, end) => {
    const to = putLong(out, at, (end - start - 2) / 2)
    return to + out.write(bytes.toString('latin1', start + 2, end), to, 'hex')
  },
  read: (cursor) => {
    const start = takeRun(cursor)
    return cursor.bytes.subarray(start, cursor.at)
  },
  value: (found) => Buffer.from(found.slice(2), 'hex'),
}

const uuid: PgType = { ...text, avro: { type: 'string', logicalType: 'uuid' } }

const date: PgType = {
  partial: true,
  avro: { type: 'int', logicalType: 'date' },
  write: (out, at, bytes, start, end) => {
    const days = plainDays(bytes, start, end) ?? dateDays(bytes.toString('latin1', start, end))
    return days === null ? -1 : putLong(out, at, days)
  },
  read: (cursor) => dateText(takeInt(cursor)),
  value: (found) => found,
}

/** PostgreSQL counts from 2000, so its last 30 years are beyond a long that counts from 1970. */
function isBeyondLong(micros: number | bigint): boolean {
  return typeof micros === 'bigint' && micros > 0x7fff_ffff_ffff_ffffn
}

/** What Kafka Connect takes a long for, as Debezium tells it: its sinks make a timestamp of it. */
const MICRO_TIMESTAMP = { 'connect.name': 'io.debezium.time.MicroTimestamp', 'connect.version': 1 }

function timestamp(logicalType: string, zone: '' | '+00'): PgType {
  return {
    partial: true,
    avro: { type: 'long', logicalType, ...MICRO_TIMESTAMP },
    write: (out, at, bytes, start, end) => {
      const micros = plainMicros(bytes, start, end) ?? timestampMicros(bytes.toString('latin1', start, end))
      return micros === null || isBeyondLong(micros) ? -1 : putLong(out, at, micros)
    },
    read: (cursor) => timestampText(takeLong(cursor), zone),
    value: (found) => found,
  }
}

const BY_OID: ReadonlyMap<number, PgType> = new Map([
  [16, boolean],
  [17, bytea],
  [20, long],
  [21, int],
  [23, int],
  [26, long],
  [700, float],
  [701, double],
  [1082, date],
  [1114, timestamp('local-timestamp-micros', '')],
  [1184, timestamp('timestamp-micros', '+00')],
  [2950, uuid],
])

/** The row of the table for a type OID; text where there is none. */
export function pgType(oid: number): PgType {
  return BY_OID.get(oid) ?? text
}

/** How a key's column travels: in one form whatever its value, since a key in two forms would be two keys. */
export function pgKeyType(oid: number): PgType {
  const type = pgType(oid)
  return type.partial === true ? text : type
}

function take(cursor: Cursor, length: number): number {
  const start = cursor.at
  if (start + length > cursor.bytes.length) throw malformed(cursor.bytes.length)
  cursor.at += length
  return start
}

function integer(bytes: Buffer, start: number, end: number): number {
  const negative = bytes[start] === 0x2d
  let value = 0
  for (let i = negative ? start + 1 : start; i < end; i++) value = value * 10 + bytes[i]! - 48
  return negative ? -value : value
}

/**
 * The float that PostgreSQL's text stands for. By way of a double it is rounded twice; where that double lies midway
 * between two floats, the text's own digits tell on which side of it they are (7.038531e-26 is such a text).
 */
function nearestFloat(text: string): number {
  const double = Number(text)
  const even = Math.fround(double)
  const other = 2 * double - even
  if (other === even || Math.fround(other) !== other || !Number.isFinite(other)) return even
  const isBeyond = digits(text) > digits(double.toPrecision(100))
  return isBeyond === Math.abs(other) > Math.abs(even) ? other : even
}

/** A number's digits from the first that counts, as text of one length: to compare numbers that lie close together. */
function digits(number: string): string {
  return number.replace(/e.*/, '').replaceAll(/[-.]/g, '').replace(/^0+/, '').padEnd(120, '0')
}

/** Beyond these days microseconds leave the safe integers. */
const FIRST_SAFE_DAY = civilDays(1700, 1, 1)
const LAST_SAFE_DAY = civilDays(2250, 12, 31)

/** `YYYY-MM-DD` straight from the bytes; null for every other form. */
export function plainDays(b: Buffer, p: number, end: number): number | null {
  if (end - p !== 10 || b[p + 4] !== 0x2d || b[p + 7] !== 0x2d) return null
  return civilDays(digits2(b, p) * 100 + digits2(b, p + 2), digits2(b, p + 5), digits2(b, p + 8))
}

/** `YYYY-MM-DD HH:MM:SS[.ffffff][+00]` of a year near ours, straight from the bytes; null for every other form. */
export function plainMicros(b: Buffer, p: number, end: number): number | null {
  const isUtc = b[end - 3] === 0x2b && b[end - 2] === 0x30 && b[end - 1] === 0x30
  const length = (isUtc ? end - 3 : end) - p
  if (length < 19 || length > 26 || b[p + 10] !== 0x20 || b[p + 13] !== 0x3a) return null
  const days = plainDays(b, p, p + 10)
  if (days === null || days < FIRST_SAFE_DAY || days > LAST_SAFE_DAY) return null
  const seconds = digits2(b, p + 11) * 3600 + digits2(b, p + 14) * 60 + digits2(b, p + 17)
  let micros = 0
  if (length > 19) {
    if (b[p + 19] !== 0x2e) return null
    let unit = 100_000
    for (let i = p + 20; i < p + length; i++, unit /= 10) {
      const digit = b[i]! - 48
      if (digit < 0 || digit > 9) return null
      micros += digit * unit
    }
  }
  return (days * 86_400 + seconds) * 1e6 + micros
}

function digits2(b: Buffer, p: number): number {
  return (b[p]! - 48) * 10 + b[p + 1]! - 48
}
