/**
 * One form of a row for every place, and its hash, in JavaScript, DuckDB and PostgreSQL alike.
 *
 * A row's text is its columns in contract order: a value's text and U+001F, or U+001E for NULL. So two rows that differ
 * in one column always have two texts, and so have any two rows whose values hold neither of these two characters. The
 * hash is the first half of SHA-256. Dates and times are ISO 8601 to the microsecond where a contract is unified.
 */
import { hash } from 'node:crypto'
import type { Table, Row, Value } from '../core/change.ts'
import type { Field } from '../core/incident.ts'
import type { EntityField } from '../schemas/entity.ts'

/** A column's value as text; null for NULL. */
export type Cell = string | null

const END = '\u001f'
const NULL = '\u001e'
/** What a row that was removed has in place of a hash. */
export const GONE = '00000000000000000000000000000000'

export function fieldCell(field: Field | undefined): Cell {
  return field === null || field === undefined ? null : String(field)
}

export function valueCell(value: Value | undefined): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
}

export function rowText(cells: readonly Cell[]): string {
  let text = ''
  for (const cell of cells) text += cell === null ? NULL : cell + END
  return text
}

export function fieldsText(fields: readonly Field[]): string {
  let text = ''
  for (const field of fields) text += field === null ? NULL : field + END
  return text
}

export function tableText(table: Table, row: Row): string {
  let text = ''
  for (const { name } of table.columns) {
    const cell = valueCell(row[name])
    text += cell === null ? NULL : cell + END
  }
  return text
}

/** 32 hexadecimal digits. */
export function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}

/** The names of the columns in which two rows of one contract differ. */
export function differingColumns(names: readonly string[], a: readonly Cell[], b: readonly Cell[]): string[] {
  return names.filter((_, i) => (a[i] ?? null) !== (b[i] ?? null))
}

/** {@link digest} of {@link rowText} as DuckDB works it out; each expression is a cell. */
export function duckDigest(cells: readonly string[]): string {
  const parts = cells.map((cell) => `${cell}, CASE WHEN ${cell} IS NULL THEN chr(30) ELSE chr(31) END`)
  return `CAST(left(sha256(concat(${parts.join(', ')})), 32) AS UUID)`
}

/** The same for PostgreSQL, as 32 hexadecimal digits. */
export function postgresDigest(cells: readonly string[]): string {
  return `encode(substring(sha256(convert_to(${joined(cells)}, 'UTF8')) FOR 16), 'hex')`
}

function joined(cells: readonly string[]): string {
  return cells.map((cell) => `coalesce(${cell} || chr(31), chr(30))`).join(' || ')
}

/** A unified field's cell as DuckDB writes it, whether it is a local time or labelled UTC. */
export function duckFieldCell({ column, type }: EntityField, localIsLabelled: boolean): string {
  const name = `"${column}"`
  switch (type) {
    case 'timestamp':
      return `strftime(${name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')`
    case 'localTimestamp':
      return `strftime(${name}${localIsLabelled ? ` AT TIME ZONE 'UTC'` : ''}, '%Y-%m-%dT%H:%M:%S.%f')`
    case 'date':
      return `strftime(${name}, '%Y-%m-%d')`
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `CAST(${name} AS VARCHAR)`
  }
}

/** A unified field's cell as PostgreSQL writes it. */
export function postgresFieldCell({ column, type }: EntityField): string {
  const name = `"${column}"`
  switch (type) {
    case 'timestamp':
      return `to_char(${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
    case 'localTimestamp':
      return `to_char(${name}, 'YYYY-MM-DD"T"HH24:MI:SS.US')`
    case 'date':
      return `to_char(${name}, 'YYYY-MM-DD')`
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `${name}::text`
  }
}
