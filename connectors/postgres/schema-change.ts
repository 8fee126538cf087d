/** What a change of a table means for what the topic holds of it: pure. */
import { tableName, type Column, type Table } from '../../core/change.ts'
import { quoted } from './catalog.ts'
import { ROUTES } from './routes.ts'
import type { Verdict } from './stopped.ts'

/** A table as it was, or is. */
export interface Shape {
  readonly table: Table
  readonly oid: number
  /** The number of the newest column, dropped ones included. */
  readonly lastColumn: number
  /** Changes whenever the table is written anew: by a change of type, or by VACUUM FULL. */
  readonly fileNode: number
  /** Each column's number: one that is dropped and made again has another. */
  readonly numbers: Readonly<Record<string, number>>
}

/** What the catalog says beside the shape. */
export interface CatalogShape extends Shape {
  /** d default, n nothing, f full, i index. */
  readonly identity: string
  /** Columns that rows have values in without an event: by default, identity or generation. */
  readonly filled: ReadonlySet<string>
}

export type Meaning =
  | { readonly what: 'follow' }
  /** Rows have changed without events: the table is to be read again. */
  | { readonly what: 'read'; readonly reason: string }
  /** `former` is the name that the table had, where it was renamed: that one is stopped too. */
  | { readonly what: 'stop'; readonly verdict: Verdict; readonly former?: string }

/** `known` is null for a table that has not been captured before; `renamedFrom` the name that its oid had. */
export function meaningOf(known: Shape | null, now: CatalogShape, renamedFrom: string | null): Meaning {
  const { table } = now
  const name = tableName(table)
  if (now.identity !== 'f') return stop(`the replica identity of ${name} is no longer FULL`, identityRemedy(table))
  if (renamedFrom !== null) {
    const verdict = { found: `${renamedFrom} is now called ${name}`, remedy: renameRemedy(table, renamedFrom) }
    return { what: 'stop', verdict, former: renamedFrom }
  }
  if (known === null) return read(`${name} came into the publication`)
  if (!sameNames(known.table.key, table.key)) return stop(`the primary key of ${name} changed`, keyRemedy(known.table))
  const lost = routeColumns(name).find((column) => has(known.table, column) && !has(table, column))
  if (lost !== undefined)
    return stop(`${name} has no column ${lost} any more: its rows reach no incident`, columnRemedy(table, lost))
  if (known.oid !== now.oid) return read(`${name} was dropped and made again`)
  if (known.fileNode !== now.fileNode) return read(`${name} was written anew`)
  const again = table.columns.filter((column) => has(known.table, column.name) && isAnother(column.name, known, now))
  if (again.length > 0) return read(`${name} lost ${names(again)} and got it again`)
  const added = table.columns.filter((column) => !has(known.table, column.name))
  const silent = added.filter(({ name: column }) => !isEmptyAtFirst(column, known, now))
  if (silent.length > 0) return read(`${name} has values in ${names(silent)} that came without an event`)
  return { what: 'follow' }
}

/** Whether two tables have the same columns and key. */
export function sameTable(a: Table, b: Table): boolean {
  return (
    sameNames(a.key, b.key) &&
    a.columns.length === b.columns.length &&
    a.columns.every(({ name, oid, modifier }, i) => {
      const other = b.columns[i]!
      return name === other.name && oid === other.oid && modifier === other.modifier
    })
  )
}

/** The remedy where the topic's schemas cannot take the table as it is. */
export function contractRemedy(table: Table): string {
  return `Undo the change of ${quoted(table)}, then run \`incidents repair --table ${tableName(table)}\`; or capture the new shape under another NAMESPACE.`
}

/** A new column is NULL in every row there was, unless something filled it, or it is an old one under a new name. */
function isEmptyAtFirst(column: string, known: Shape, now: CatalogShape): boolean {
  const number = now.numbers[column]
  return number !== undefined && number > known.lastColumn && !now.filled.has(column)
}

function isAnother(column: string, known: Shape, now: CatalogShape): boolean {
  const number = now.numbers[column]
  return number !== undefined && number !== known.numbers[column]
}

function routeColumns(name: string): string[] {
  const route = ROUTES.get(name)
  return [route?.reference, route?.via, route?.key].filter((column) => column !== undefined)
}

function has(table: Table, column: string): boolean {
  return table.columns.some(({ name }) => name === column)
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}

function names(columns: readonly Column[]): string {
  return columns.map(({ name }) => name).join(', ')
}

function read(reason: string): Meaning {
  return { what: 'read', reason }
}

function stop(found: string, remedy: string): Meaning {
  return { what: 'stop', verdict: { found, remedy } }
}

function identityRemedy(table: Table): string {
  return `ALTER TABLE ${quoted(table)} REPLICA IDENTITY FULL; -- then incidents repair --table ${tableName(table)}`
}

function renameRemedy(table: Table, before: string): string {
  return `ALTER TABLE ${quoted(table)} RENAME TO "${before.slice(before.indexOf('.') + 1)}"; -- then incidents repair --table ${before}`
}

function keyRemedy(before: Table): string {
  return `Make (${before.key.join(', ')}) the primary key of ${quoted(before)} again, then run \`incidents repair --table ${tableName(before)}\`; or capture the new key under another NAMESPACE.`
}

function columnRemedy(table: Table, column: string): string {
  return `Give ${quoted(table)} its column ${column} back, then run \`incidents repair --table ${tableName(table)}\`.`
}
