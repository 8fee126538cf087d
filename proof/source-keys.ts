/** Keys of source rows, as one text each and as SQL takes them back. */
import type { Row, Table } from '../core/change.ts'

/** Between the parts of a key of several columns. */
export const KEY_PART = '\u001f'

/** A row's key as one text; the whole row's where the table has no primary key. */
export function keyOf(table: Table, row: Row): string {
  const { key } = table
  if (key.length === 1) return String(row[key[0]!] ?? '')
  const names = key.length > 0 ? key : table.columns.map((column) => column.name)
  return names.map((name) => String(row[name] ?? '')).join(KEY_PART)
}

/** A key as people write it. */
export function shownKey(key: string): string {
  return key.replaceAll(KEY_PART, '/')
}

/** The inverse, for keys as unified rows carry them. */
export function keyOfShown(table: Table, shown: string): string {
  return table.key.length === 1 ? shown : shown.replaceAll('/', KEY_PART)
}

export function rowKey(table: number, key: string): string {
  return `${table} ${key}`
}

export interface KeyColumn {
  readonly name: string
  /** What the column is compared as; where `isText` both sides are. */
  readonly type: string
  readonly isText: boolean
}

export function keyColumns(table: Table): readonly KeyColumn[] {
  return keyTypes(table).map(({ name, isText }, i) => ({ name: table.key[i]!, type: name, isText }))
}

/** By key column, the values of these keys; those that the columns cannot hold are left out. */
export function keyValues(table: Table, keys: Iterable<string>): string[][] {
  const types = keyTypes(table)
  const parts = table.key.map((): string[] => [])
  for (const key of keys) {
    const values = key.split(KEY_PART)
    if (values.length !== parts.length || !values.every((value, i) => types[i]!.accepts(value))) continue
    for (const [i, value] of values.entries()) parts[i]!.push(value)
  }
  return parts
}

interface KeyType {
  readonly name: string
  readonly isText: boolean
  readonly accepts: (text: string) => boolean
}

function keyTypes(table: Table): KeyType[] {
  return table.key.map((name) => keyType(table.columns.find((column) => column.name === name)!.oid))
}

const INTEGERS: Readonly<Record<number, { readonly name: string; readonly bits: bigint }>> = {
  21: { name: 'int2', bits: 15n },
  23: { name: 'int4', bits: 31n },
  20: { name: 'int8', bits: 63n },
}
const UUID_OID = 2950
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

/** Where a key is of another type its text is compared: such tables are few and small. */
function keyType(oid: number): KeyType {
  if (oid === UUID_OID) return { name: 'uuid', isText: false, accepts: (text) => UUID.test(text) }
  const integer = INTEGERS[oid]
  if (integer === undefined) return { name: 'text', isText: true, accepts: () => true }
  const limit = 1n << integer.bits
  return {
    name: integer.name,
    isText: false,
    accepts: (text) => /^-?\d{1,19}$/.test(text) && BigInt(text) < limit && BigInt(text) >= -limit,
  }
}
