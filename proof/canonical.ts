/**
 * One form of a row for every place, and its hash, in JavaScript, DuckDB and PostgreSQL alike.
 *
 * A row's text is its columns in contract order: a value's text and U+001F, or U+001E for NULL. So two rows that differ
 * in one column always have two texts, and so have any two rows whose values hold neither of these two characters. The
 * hash is the first half of SHA-256. A date is its days since 1970, a time its microseconds, which every engine has at
 * hand; an infinity has neither and stays text.
 */
import { hash } from 'node:crypto'
import type { Column, Value } from '../core/change.ts'
import type { Field } from '../core/incident.ts'
import type { EntityField, FieldType } from '../schemas/entity.ts'
import { isoDays, isoMicros } from '../schemas/iso-time.ts'
import { dateDays, timestampMicros } from '../schemas/pg-time.ts'

/** A column's value as text; null for NULL. */
export type Cell = string | null

const END = '\u001f'
const NULL = '\u001e'
/** What a row that was removed has in place of a hash. */
export const GONE = '00000000000000000000000000000000'

export function fieldCell(field: Field | undefined, type: FieldType): Cell {
  if (!isMoment(type) || field === null || field === undefined) return textCell(field)
  return String(type === 'date' ? isoDays(field as string) : isoMicros(field as string))
}

/** Type OIDs of dates, and of times with and without zone. */
export const DATE_OID = 1082
export const TIMESTAMP_OIDS: ReadonlySet<number> = new Set([1114, 1184])

/** Those of bytea, float4 and float8, whose cell is not PostgreSQL's text. */
export const RARE_OIDS: ReadonlySet<number> = new Set([17, 700, 701])

/** A source column's cell. */
export function sourceCell({ oid }: Column, value: Value | undefined): Cell {
  const text = valueCell(value)
  if (text === null) return null
  if (oid === DATE_OID) return momentCell(text, dateDays(text))
  return TIMESTAMP_OIDS.has(oid) ? momentCell(text, timestampMicros(text)) : text
}

/** An infinity has no number and stays text. */
export function momentCell(text: string, number: number | bigint | null): string {
  return number === null ? text : String(number)
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

/** Makes {@link rowText} of unified rows' fields. */
export function fieldsWriter(contract: readonly EntityField[]): (fields: readonly Field[]) => string {
  const cells = contract.map(cellReader)
  return (fields) => {
    let text = ''
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i]!(fields[i])
      text += cell === null ? NULL : cell + END
    }
    return text
  }
}

type CellReader = (field: Field | undefined) => Cell

/** Of a field, whichever contract it stands in. */
const READERS = new WeakMap<EntityField, CellReader>()

/** {@link fieldCell}; a moment that comes again, in another contract or the next row, is not worked out again. */
function cellReader(field: EntityField): CellReader {
  const known = READERS.get(field)
  if (known !== undefined) return known
  const { type } = field
  let last: Field | undefined
  let cell: Cell = null
  const read: CellReader = isMoment(type)
    ? (value) => {
        if (value !== last) {
          cell = fieldCell(value, type)
          last = value
        }
        return cell
      }
    : textCell
  READERS.set(field, read)
  return read
}

function isMoment(type: FieldType): boolean {
  return type === 'date' || type === 'timestamp' || type === 'localTimestamp'
}

function textCell(field: Field | undefined): Cell {
  if (typeof field === 'string') return field
  return field === null || field === undefined ? null : String(field)
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

/** A unified field's cell as DuckDB works it out. */
export function duckFieldCell({ column, type }: EntityField): string {
  const name = `"${column}"`
  switch (type) {
    case 'timestamp':
    case 'localTimestamp':
      return duckMicros(name)
    case 'date':
      return duckDays(name)
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `CAST(${name} AS VARCHAR)`
  }
}

/** The cell of a time; what stands without zone is as if it were in UTC. */
export function duckMicros(expression: string): string {
  return duckFinite(expression, `epoch_us(${expression})`)
}

/** The cell of a date. */
export function duckDays(expression: string): string {
  return duckFinite(expression, `datediff('day', DATE '1970-01-01', ${expression})`)
}

function duckFinite(expression: string, number: string): string {
  return `CASE WHEN isfinite(${expression}) THEN CAST(${number} AS VARCHAR) ELSE CAST(${expression} AS VARCHAR) END`
}

/** A unified field's cell as PostgreSQL works it out. */
export function postgresFieldCell({ column, type }: EntityField): string {
  const name = `"${column}"`
  switch (type) {
    case 'timestamp':
    case 'localTimestamp':
      return `trunc(extract(epoch FROM ${name}) * 1000000)::text`
    case 'date':
      return `CASE WHEN isfinite(${name}) THEN (${name} - DATE '1970-01-01')::text ELSE ${name}::text END`
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `${name}::text`
  }
}
