/**
 * A file's columns as Spark 3.5 infers them from the footer, and whether they are the contract's
 * (rules dpr.types, dpr.schema).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { MARKS, type ContractColumn, type SparkType } from './dpr-verify-contract.ts'

export interface FileSchema {
  /** By name; null where Spark cannot read the column. */
  readonly columns: ReadonlyMap<string, SparkType | null>
  readonly rows: number
}

/** Null when it is no parquet file. */
export async function readFileSchema(connection: DuckDBConnection, path: string): Promise<FileSchema | null> {
  try {
    const columns = await connection.runAndReadAll(
      `SELECT name, type, num_children, converted_type, logical_type, precision, scale
       FROM parquet_schema(${text(path)})`,
    )
    const rows = await connection.runAndReadAll(`SELECT num_rows::INTEGER FROM parquet_file_metadata(${text(path)})`)
    const [, ...elements] = columns.getRowObjectsJson() as unknown as Element[]
    return { columns: new Map(topLevel(elements)), rows: Number(rows.getRows()[0]![0]) }
  } catch {
    return null
  }
}

/** Why all rows of the file go to the violations; empty when they do not. */
export function schemaFaults({ columns }: FileSchema, contract: readonly ContractColumn[]): string[] {
  const expected = new Map([...contract, ...MARKS].map((column) => [column.name, column]))
  const faults: string[] = []
  for (const [name, type] of columns) {
    const column = expected.get(name)
    if (column === undefined) faults.push(`column ${name} is not in the contract`)
    else if (type === null) faults.push(`column ${name} has a type that Spark cannot read`)
    else if (!sameClass(type, column.type)) faults.push(`column ${name} is ${type} and should be ${column.type}`)
  }
  for (const { name, nullable } of expected.values()) {
    if (!nullable && !columns.has(name)) faults.push(`column ${name} is missing`)
  }
  return faults
}

/** Small integers are let pass for an int. */
function sameClass(found: SparkType, wanted: SparkType): boolean {
  return found === wanted || (wanted === 'int' && (found === 'short' || found === 'byte'))
}

interface Element {
  readonly name: string
  readonly type: string | null
  readonly num_children: string | number | null
  readonly converted_type: string | null
  readonly logical_type: string | null
  readonly precision: string | number | null
  readonly scale: string | number | null
}

function* topLevel(elements: readonly Element[]): Generator<[string, SparkType | null]> {
  let i = 0
  while (i < elements.length) {
    const element = elements[i]!
    const next = after(elements, i)
    yield [element.name, next === i + 1 ? inferred(element) : 'nested']
    i = next
  }
}

/** Where the element's children end. */
function after(elements: readonly Element[], at: number): number {
  let next = at + 1
  for (let child = 0; child < Number(elements[at]!.num_children ?? 0); child++) next = after(elements, next)
  return next
}

function inferred(element: Element): SparkType | null {
  const { type, converted_type: converted, logical_type: logical } = element
  if (converted === 'DECIMAL') return `decimal(${element.precision},${element.scale})`
  switch (type ?? '') {
    case 'BOOLEAN':
      return 'boolean'
    case 'FLOAT':
      return 'float'
    case 'DOUBLE':
      return 'double'
    case 'INT96':
      return 'timestamp'
    case 'INT32':
      return INT32[converted ?? ''] ?? null
    case 'INT64':
      return int64(converted, logical ?? '')
    case 'BYTE_ARRAY':
      return ['UTF8', 'ENUM', 'JSON'].includes(converted ?? '') || logical?.startsWith('String') === true
        ? 'string'
        : 'binary'
    default:
      return 'binary' // a fixed length, UUIDs among them
  }
}

const INT32: Readonly<Record<string, SparkType>> = {
  '': 'int',
  INT_8: 'byte',
  INT_16: 'short',
  INT_32: 'int',
  UINT_8: 'short',
  UINT_16: 'int',
  UINT_32: 'long',
  DATE: 'date',
}

function int64(converted: string | null, logical: string): SparkType | null {
  if (logical.startsWith('Timestamp')) {
    if (logical.includes('NanoSeconds()')) return null
    return /isAdjustedToUTC=(0|false)/i.test(logical) ? 'timestamp without zone' : 'timestamp'
  }
  if (converted === 'TIMESTAMP_MICROS' || converted === 'TIMESTAMP_MILLIS') return 'timestamp'
  if (converted === 'UINT_64') return 'decimal(20,0)'
  return converted === null || converted === 'INT_64' ? 'long' : null
}

export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

export function name(value: string): string {
  return `"${value.replaceAll('"', '""')}"`
}
