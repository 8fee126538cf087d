/**
 * pgoutput, protocol version 2: bytes of an XLogData body into one of a closed set of messages. Rows stay undecoded.
 * https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
 *
 *   'k' Int64 WAL end, Int64 clock, Int8 reply wanted
 *   'w' Int64 start LSN, Int64 WAL end, Int64 clock, then one of
 *   'B' Int64 commit LSN, Int64 commit time, Int32 xid      'C' Int8, Int64 commit LSN, Int64 end LSN, Int64 commit time
 *   'R' Int32 oid, schema\0, name\0, Int8 identity, Int16 n, n × (Int8 flags, name\0, Int32 type, Int32 modifier)
 *   'I' Int32 oid, 'N' tuple      'U' Int32 oid, ['K'|'O' tuple], 'N' tuple      'D' Int32 oid, 'K'|'O' tuple
 *   'T' Int32 n, Int8 options, n × Int32 oid      'Y' type, 'O' origin, 'M' logical message
 *   'S' Int32 xid, Int8 first      'E'      'c' Int32 xid, Int8, Int64 commit LSN, Int64 end LSN, Int64 commit time
 *   'A' Int32 xid, Int32 subtransaction
 *   between 'S' and 'E' the tags R I U D T Y M are followed by Int32 xid: the subtransaction's
 *   tuple: Int16 n, n × ('n' | 'u' | 't' Int32 length, bytes)
 */
import type { Tuple } from '../../core/change.ts'
import type { Lsn } from '../../core/position.ts'
import { int16, int32, int64, int8, malformed, need, skip, text, time, type Reader } from './frame-reader.ts'
import type { Frame } from './framing.ts'

export type WalMessage =
  | { readonly tag: 'begin'; readonly commitLsn: Lsn; readonly committedAt: number; readonly txId: number }
  | { readonly tag: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly tag: 'relation'; readonly relation: Relation }
  | { readonly tag: 'insert'; readonly oid: number; readonly lsn: Lsn; readonly after: Tuple }
  | {
      readonly tag: 'update'
      readonly oid: number
      readonly lsn: Lsn
      readonly before: Tuple | null
      readonly whole: boolean
      readonly after: Tuple
    }
  | { readonly tag: 'delete'; readonly oid: number; readonly lsn: Lsn; readonly before: Tuple; readonly whole: boolean }
  | { readonly tag: 'truncate'; readonly oids: readonly number[]; readonly lsn: Lsn }
  | {
      readonly tag: 'message'
      readonly prefix: string
      readonly content: Buffer
      readonly lsn: Lsn
      readonly transactional: boolean
    }
  | { readonly tag: 'stream-start'; readonly txId: number; readonly first: boolean }
  | {
      readonly tag: 'stream-commit'
      readonly txId: number
      readonly commitLsn: Lsn
      readonly endLsn: Lsn
      readonly committedAt: number
    }
  /** Undoes a subtransaction; the whole transaction where both ids are the same. */
  | { readonly tag: 'stream-abort'; readonly txId: number; readonly subTxId: number }
  | { readonly tag: 'type' | 'origin' | 'stream-stop' }

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** d default, n nothing, f full, i index. */
  readonly identity: string
  readonly columns: readonly { readonly name: string; readonly oid: number; readonly modifier: number }[]
}

const XLOG_DATA = 0x77
const KEEPALIVE = 0x6b

/** kind, start LSN, WAL end and clock stand before the body, whose first byte is its tag. */
const TAG_AT = 25

/** Whether a frame lies between the start and the stop of a streamed piece, where a transaction id follows most tags. */
export type Form = 'plain' | 'streamed'

const INSERT = 0x49
const UPDATE = 0x55
const DELETE = 0x44
/** Tags that a transaction id follows in a streamed piece: R I U D T Y M. */
const WITH_ID: ReadonlySet<number> = new Set([0x52, INSERT, UPDATE, DELETE, 0x54, 0x59, 0x4d])

/** The message in a frame; null for a keepalive. MALFORMED_WAL when the bytes are not one. */
export function decodeFrame(frame: Frame, form: Form = 'plain'): WalMessage | null {
  const reader: Reader = { bytes: frame.bytes, end: frame.end, at: frame.start }
  const kind = int8(reader)
  if (kind !== XLOG_DATA && kind !== KEEPALIVE) throw malformed(frame, 'unknown frame')
  const message = kind === KEEPALIVE ? keepalive(reader) : xlogData(reader, form)
  if (reader.at !== frame.end) throw malformed(frame, 'bytes left over')
  return message
}

/** The relation of a row's frame, which is not looked at further; null for every other frame. */
export function rowRelation({ bytes, start, end }: Frame, form: Form): number | null {
  const tag = bytes[start + TAG_AT]
  if (tag !== INSERT && tag !== UPDATE && tag !== DELETE) return null
  const at = start + TAG_AT + (form === 'streamed' ? 5 : 1)
  if (bytes[start] !== XLOG_DATA || at + 4 > end) return null
  return bytes.readUInt32BE(at)
}

/** The id that follows the tag of a streamed frame: whose rollback undoes the message. */
export function subTransaction({ bytes, start, end }: Frame): number {
  if (start + TAG_AT + 5 > end) throw malformed({ bytes, end }, 'cut short')
  return bytes.readUInt32BE(start + TAG_AT + 1)
}

/** What a keepalive says; null for every other frame. MALFORMED_WAL when it is not whole. */
export function keepaliveOf(frame: Frame): { readonly end: Lsn; readonly clock: number } | null {
  if (frame.bytes[frame.start] !== KEEPALIVE || frame.start >= frame.end) return null
  const r: Reader = { bytes: frame.bytes, end: frame.end, at: frame.start + 1 }
  const end = int64(r)
  const clock = time(r)
  int8(r)
  if (r.at !== frame.end) throw malformed(frame, 'bytes left over')
  return { end, clock }
}

function keepalive(r: Reader): null {
  skip(r, 17)
  return null
}

function xlogData(r: Reader, form: Form): WalMessage {
  const lsn = int64(r)
  skip(r, 16)
  const tag = int8(r)
  if (form === 'streamed' && WITH_ID.has(tag)) skip(r, 4)
  return decodeBody(r, lsn, tag)
}

function decodeBody(r: Reader, lsn: Lsn, tag: number): WalMessage {
  switch (tag) {
    case INSERT: {
      const oid = int32(r)
      expect(r, 0x4e)
      return { tag: 'insert', oid, lsn, after: tuple(r) }
    }
    case UPDATE:
      return update(r, lsn)
    case DELETE: {
      const oid = int32(r)
      const kind = int8(r)
      if (kind !== 0x4f && kind !== 0x4b) throw malformed(r, 'delete without an old row')
      return { tag: 'delete', oid, lsn, before: tuple(r), whole: kind === 0x4f }
    }
    case 0x42: {
      const commitLsn = int64(r)
      return { tag: 'begin', commitLsn, committedAt: time(r), txId: int32(r) }
    }
    case 0x43: {
      int8(r)
      const commitLsn = int64(r)
      const endLsn = int64(r)
      time(r)
      return { tag: 'commit', commitLsn, endLsn }
    }
    case 0x52:
      return { tag: 'relation', relation: relation(r) }
    case 0x54: {
      const count = int32(r)
      int8(r)
      if (count * 4 > r.end - r.at) throw malformed(r, 'cut short')
      return { tag: 'truncate', oids: Array.from({ length: count }, () => int32(r)), lsn }
    }
    case 0x4d: {
      const transactional = int8(r) === 1
      int64(r)
      const prefix = text(r)
      return { tag: 'message', prefix, content: content(r), lsn, transactional }
    }
    case 0x59:
      int32(r)
      text(r)
      text(r)
      return { tag: 'type' }
    case 0x4f:
      int64(r)
      text(r)
      return { tag: 'origin' }
    case 0x53:
      return { tag: 'stream-start', txId: int32(r), first: int8(r) === 1 }
    case 0x45:
      return { tag: 'stream-stop' }
    case 0x63: {
      const txId = int32(r)
      int8(r)
      const commitLsn = int64(r)
      return { tag: 'stream-commit', txId, commitLsn, endLsn: int64(r), committedAt: time(r) }
    }
    case 0x41:
      return { tag: 'stream-abort', txId: int32(r), subTxId: int32(r) }
    default:
      throw malformed(r, 'unknown message')
  }
}

function update(r: Reader, lsn: Lsn): WalMessage {
  const oid = int32(r)
  const kind = int8(r)
  if (kind === 0x4e) return { tag: 'update', oid, lsn, before: null, whole: false, after: tuple(r) }
  if (kind !== 0x4f && kind !== 0x4b) throw malformed(r, 'update of an unknown form')
  const before = tuple(r)
  expect(r, 0x4e)
  return { tag: 'update', oid, lsn, before, whole: kind === 0x4f, after: tuple(r) }
}

function relation(r: Reader): Relation {
  const oid = int32(r)
  const schema = text(r)
  const name = text(r)
  const identity = String.fromCharCode(int8(r))
  const columns = Array.from({ length: int16(r) }, () => {
    int8(r)
    return { name: text(r), oid: int32(r), modifier: int32(r) | 0 }
  })
  return { oid, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns }
}

function tuple(r: Reader): Tuple {
  const start = r.at
  const count = int16(r)
  for (let i = 0; i < count; i++) {
    const kind = int8(r)
    if (kind === 0x74) skip(r, int32(r))
    else if (kind !== 0x6e && kind !== 0x75) throw malformed(r, 'unknown column form')
  }
  return { bytes: r.bytes, start, end: r.at }
}

/** A copy, so that a small message does not keep the whole chunk that it came in. */
function content(r: Reader): Buffer {
  const length = int32(r)
  const at = need(r, length)
  return Buffer.from(r.bytes.subarray(at, at + length))
}

function expect(r: Reader, byte: number): void {
  if (int8(r) !== byte) throw malformed(r, 'a row without its mark')
}
