/** Identity of rows that have no UUID of their own: UUIDv5 of the source's table and key. */
import { hash } from 'node:crypto'

/** The namespace of every id made here. Another one would give every row another id. */
export const ID_NAMESPACE = '9d3ea2c7-5f0b-4b86-9c1e-6d7a4f1b20e8'

const NAMESPACE_BYTES = Buffer.from(ID_NAMESPACE.replaceAll('-', ''), 'hex')
/** Namespace and name, written over at each call. */
const scratch = Buffer.alloc(1024)
NAMESPACE_BYTES.copy(scratch)

/** The id of the row with this key in this table (`schema.table`): the same in every place and for ever. */
export function rowId(table: string, key: string): string {
  return uuidV5(`${table}/${key}`)
}

/** UUIDv5 (RFC 9562) of a name under {@link ID_NAMESPACE}. */
export function uuidV5(name: string): string {
  const hex = hash('sha1', named(name), 'hex')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function named(name: string): Buffer {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (name.length * 3 > scratch.length - 16) return Buffer.concat([NAMESPACE_BYTES, Buffer.from(name)])
  return scratch.subarray(0, 16 + scratch.write(name, 16))
}
