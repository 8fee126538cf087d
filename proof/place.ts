/**
 * What a place holds, in one form for all: for each entity the rows by key, each as one text of its values in contract
 * order. Source tables stand under `schema.table`, unified entities under their name.
 */
import type { Row, Table, Value } from '../core/change.ts'
import type { Field } from '../core/incident.ts'

/** Rows by key; a row's text is equal exactly when all of its values are. */
export type Rows = Map<string, string>

export interface Place {
  readonly name: string
  /** By entity; an entity that is missing is not held by the place. */
  readonly entities: ReadonlyMap<string, Rows>
}

/** Fields of a unified row as one text. */
export function fieldsText(fields: readonly Field[]): string {
  return JSON.stringify(fields)
}

/** A source row as one text. */
export function rowText(table: Table, row: Row): string {
  return JSON.stringify(table.columns.map((column) => plain(row[column.name] ?? null)))
}

function plain(value: Value): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
  if (typeof value === 'number' && !Number.isFinite(value)) return { float: String(value) }
  return value
}

/** The rows of one entity, made when they are first asked for. */
export function rowsOf(entities: Map<string, Rows>, entity: string): Rows {
  const found = entities.get(entity)
  if (found !== undefined) return found
  const made: Rows = new Map()
  entities.set(entity, made)
  return made
}
