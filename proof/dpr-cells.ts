/**
 * A source row as DPR's files hold it: in JavaScript, and as DuckDB reads it back. Moments are numbers
 * (rule dpr.types).
 */
import type { Row, Table, Value } from '../core/change.ts'
import { dateDays, timestampMicros } from '../schemas/pg-time.ts'
import type { DprColumn } from '../sinks/dpr-raw-columns.ts'
import type { DprTable } from '../sinks/dpr-raw-contracts.ts'
import { duckDays, duckMicros, momentCell, valueCell, type Cell } from './canonical.ts'

/** The last microsecond of a 64-bit timestamp; what lies behind it is null in the files. */
const LAST_MICROS = 9_223_372_036_854_775_806n

export function dprCells({ columns }: DprTable, row: Row): Cell[] {
  return columns.map((column) => cell(column, row[column.name] ?? null))
}

/** Whether DPR has each of a table's columns, and in it what the table has, as long as no number leaves the safe integers. */
export function hasSameCells({ columns }: DprTable, table: Table): boolean {
  return (
    columns.length === table.columns.length &&
    columns.every(({ name, parquet, validationType }, i) => {
      const isOther = validationType === 'time' || /^(FLOAT|DOUBLE|DECIMAL)/.test(parquet)
      return name === table.columns[i]!.name && !isOther
    })
  )
}

function cell({ parquet, validationType }: DprColumn, value: Value): Cell {
  const text = valueCell(value)
  if (text === null) return null
  switch (parquet) {
    case 'DATE':
      return moment(text, dateDays(text))
    case 'TIMESTAMPTZ':
      return moment(text, timestampMicros(text))
    case 'FLOAT':
    case 'DOUBLE':
      return float(Number(text))
    default:
      if (parquet.startsWith('DECIMAL')) return /^-?\d/.test(text) ? text : null
      return validationType === 'time' ? text.slice(0, 8) : text
  }
}

function moment(text: string, number: number | bigint | null): Cell {
  return typeof number === 'bigint' && number > LAST_MICROS ? null : momentCell(text, number)
}

/** JavaScript and DuckDB print floats differently; this is JavaScript's. */
function float(value: number): string {
  return String(value)
}

/** The same cell in DuckDB. */
export function duckDprCell({ name, parquet }: DprColumn): string {
  const column = `"${name.replaceAll('"', '""')}"`
  switch (parquet) {
    case 'DATE':
      return duckDays(column)
    case 'TIMESTAMPTZ':
      return duckMicros(column)
    case 'BLOB':
      return `lower(hex(${column}))`
    case 'FLOAT':
    case 'DOUBLE':
      return `CASE WHEN isnan(${column}) THEN 'NaN' WHEN isinf(${column}) THEN if(${column} > 0, 'Infinity', '-Infinity')
              WHEN ${column} = trunc(${column}) AND abs(${column}) < 1e15 THEN CAST(CAST(${column} AS BIGINT) AS VARCHAR)
              ELSE CAST(${column} AS VARCHAR) END`
    default:
      return `CAST(${column} AS VARCHAR)`
  }
}
