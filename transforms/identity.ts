/** Identity of rows that have no UUID of their own: UUIDv5 of the source's table and key. */
import { sha1 } from './sha1.ts'

/** The namespace of every id made here. Another one would give every row another id. */
export const ID_NAMESPACE = '9d3ea2c7-5f0b-4b86-9c1e-6d7a4f1b20e8'

const NAMESPACE_BYTES = Buffer.from(ID_NAMESPACE.replaceAll('-', ''), 'hex')
/** Namespace and name, written over at each call. */
const scratch = Buffer.alloc(1024)
NAMESPACE_BYTES.copy(scratch)
const digest = new Int32Array(5)

/** The id of the row with this key in this table (`schema.table`): the same in every place and for ever. */
export function rowId(table: string, key: string): string {
  return uuidV5(`${table}/${key}`)
}

/** UUIDv5 (RFC 9562) of a name under {@link ID_NAMESPACE}. */
export function uuidV5(name: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (name.length * 3 > scratch.length - NAMESPACE_BYTES.length) {
    const named = Buffer.concat([NAMESPACE_BYTES, Buffer.from(name)])
    sha1(named, named.length, digest)
  } else sha1(scratch, writeName(name), digest)
  const a = digest[0]!
  const b = digest[1]!
  const c = digest[2]!
  const d = digest[3]!
  return `${hex(a >>> 16)}${hex(a)}-${hex(b >>> 16)}-${hex((b & 0x0fff) | 0x5000)}-${hex(((c >>> 16) & 0x3fff) | 0x8000)}-${hex(c)}${hex(d >>> 16)}${hex(d)}`
}

/** Behind the namespace; returns where it ends. Keys are short and ASCII nearly always. */
function writeName(name: string): number {
  const start = NAMESPACE_BYTES.length
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i)
    if (unit > 0x7f) return start + scratch.write(name, start)
    scratch[start + i] = unit
  }
  return start + name.length
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Of the lower sixteen bits. */
function hex(word: number): string {
  return BYTES[(word >>> 8) & 0xff]! + BYTES[word & 0xff]!
}
