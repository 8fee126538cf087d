/**
 * Reading a source row's cells as the unified model's values. What cannot be read is refused with a PipelineError that
 * names table, column and position, never the value.
 */
import { tableName, type Row, type RowChange } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import { calendarDate, london, type LondonTime } from './london.ts'

/** One image of a change, before or after. */
export interface Cells {
  readonly row: Row
  readonly change: RowChange
}

/** The reference of the incident that the change was routed to; NO_INCIDENT when to none. */
export function incident({ change }: Cells): string {
  if (change.reference !== null) return change.reference
  throw new PipelineError(
    'NO_INCIDENT',
    `${where(change)} belongs to no known incident; its parent row is needed to tell the incident.`,
    'Check that the parent row exists and its table is captured, then repair the table.',
  )
}

/** Text, or a number as text; VALUE_RANGE when there is none. */
export function text({ row, change }: Cells, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw unusable(change, column, 'a text')
}

/** As {@link text}, but null where the row has none. */
export function optionalText(source: Cells, column: string): string | null {
  return isAbsent(source, column) ? null : text(source, column)
}

/** A 32-bit integer; VALUE_RANGE when there is none. */
export function integer({ row, change }: Cells, column: string): number {
  const value = row[column]
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number === 'number' && (number | 0) === number) return number
  throw unusable(change, column, 'a 32-bit integer')
}

/** As {@link integer}, but null where the row has none. */
export function optionalInteger(source: Cells, column: string): number | null {
  return isAbsent(source, column) ? null : integer(source, column)
}

/** True, false, or null where the source does not say. */
export function optionalBoolean({ row }: Cells, column: string): boolean | null {
  const value = row[column]
  return typeof value === 'boolean' ? value : null
}

/** A moment in London; VALUE_RANGE when it is missing, infinite or outside the years 0001–9999. */
export function moment(source: Cells, column: string): LondonTime {
  return london(text(source, column)) ?? outOfRange(source.change, column)
}

/** A date of one column with the time of another: how NOMIS keeps a moment. The rest of either column means nothing. */
export function joinedMoment(source: Cells, dateColumn: string, timeColumn: string): LondonTime {
  const date = calendarDate(text(source, dateColumn)) ?? outOfRange(source.change, dateColumn)
  const time = moment(source, timeColumn).local.slice(11)
  return london(`${date} ${time}`) ?? outOfRange(source.change, dateColumn)
}

/** A date, or null: where a date is optional, one that the unified model cannot hold (infinity) says nothing more. */
export function optionalDate(source: Cells, column: string): string | null {
  return isAbsent(source, column) ? null : calendarDate(text(source, column))
}

/** What a code means; UNKNOWN_CODE when the table has no such code. */
export function decoded<T>(source: Cells, column: string, table: ReadonlyMap<string, T>): T {
  const meaning = table.get(text(source, column))
  if (meaning !== undefined) return meaning
  throw new PipelineError(
    'UNKNOWN_CODE',
    `${where(source.change)} has a code in column ${column} without a counterpart in the unified model.`,
    'Correct the code in the source, or add it to the code tables; then replay the dead letter.',
  )
}

/** As {@link decoded}, but null where the row has no code. */
export function optionallyDecoded<T>(source: Cells, column: string, table: ReadonlyMap<string, T>): T | null {
  return isAbsent(source, column) ? null : decoded(source, column, table)
}

/** The primary key's values as one text. */
export function key(source: Cells, columns: readonly string[]): string {
  if (columns.length === 1) return text(source, columns[0]!)
  return columns.map((column) => text(source, column)).join('/')
}

export function isAbsent({ row }: Cells, column: string): boolean {
  const value = row[column]
  return value === null || value === undefined
}

function outOfRange(change: RowChange, column: string): never {
  throw unusable(change, column, 'a date and time between the years 0001 and 9999')
}

function unusable(change: RowChange, column: string, needed: string): PipelineError {
  return new PipelineError(
    'VALUE_RANGE',
    `${where(change)} does not have ${needed} in column ${column}, which the unified model needs.`,
    'Correct the value in the source; the row is read again when it changes.',
  )
}

function where(change: RowChange): string {
  return `The row of ${tableName(change.table)} at ${change.position}`
}
