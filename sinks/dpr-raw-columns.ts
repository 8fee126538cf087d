/**
 * How a value enters a parquet file so that Spark reads what the contract says (rule dpr.types): uuid, json and time
 * are text, timestamps are UTC-adjusted microseconds, int4 is never int8. A `timestamp` without zone is labelled UTC
 * unshifted. What the parquet type cannot hold (NaN in a decimal, a year beyond 294246) is null.
 */
import type { DuckDBAppender } from '@duckdb/node-api'
import type { Column, Value } from '../core/change.ts'
import type { EntityField, FieldType, Kind } from '../schemas/entity.ts'

/** The type in a contract, as Avro and as DPR's jobs read it. */
export type ContractType = string | Readonly<Record<string, string | number>>

export interface DprColumn {
  readonly name: string
  readonly contract: ContractType
  /** DPR checks the text of such a column. */
  readonly validationType: 'time' | null
  readonly nullable: boolean
  readonly key: boolean
  readonly sensitive: boolean
  readonly doc: string
  /** How DuckDB holds it until the flush, and how it becomes what the file holds. */
  readonly staged: string
  readonly parquet: string
  /** Puts a value that is not null. */
  append(appender: DuckDBAppender, value: Exclude<Value, null>): void
}

type Encoding = Pick<DprColumn, 'contract' | 'staged' | 'parquet' | 'append'>

const TEXT: Encoding = encoding('string', 'VARCHAR', 'VARCHAR', (to, value) =>
  to.appendVarchar(typeof value === 'string' ? value : String(value)),
)
const BOOLEAN: Encoding = encoding('boolean', 'BOOLEAN', 'BOOLEAN', (to, value) => to.appendBoolean(value as boolean))
const INTEGER: Encoding = encoding('int', 'INTEGER', 'INTEGER', (to, value) => to.appendInteger(Number(value)))
const LONG: Encoding = encoding('long', 'BIGINT', 'BIGINT', (to, value) => to.appendBigInt(BigInt(value as number)))
const FLOAT: Encoding = encoding('float', 'DOUBLE', 'FLOAT', (to, value) => to.appendDouble(Number(value)))
const DOUBLE: Encoding = encoding('double', 'DOUBLE', 'DOUBLE', (to, value) => to.appendDouble(Number(value)))
const BYTES: Encoding = encoding('bytes', 'BLOB', 'BLOB', (to, value) => to.appendBlob(value as Uint8Array))
const TIME: Encoding = { ...TEXT, append: (to, value) => to.appendVarchar(String(value).slice(0, 8)) }
const DATE: Encoding = encoding({ type: 'int', logicalType: 'date' }, 'VARCHAR', 'DATE', appendMoment)
const TIMESTAMP: Encoding = encoding(
  { type: 'long', logicalType: 'timestamp-micros' },
  'VARCHAR',
  'TIMESTAMPTZ',
  appendMoment,
)

function encoding(
  contract: ContractType,
  staged: string,
  parquet: string,
  append: (to: DuckDBAppender, value: Exclude<Value, null>) => void,
): Encoding {
  return { contract, staged, parquet, append }
}

/** PostgreSQL writes `0044-03-15 12:00:00 BC`, DuckDB reads `0044-03-15 (BC) 12:00:00`. */
function appendMoment(to: DuckDBAppender, value: Exclude<Value, null>): void {
  const text = value as string
  if (!text.endsWith('BC')) return to.appendVarchar(text)
  const [date, ...time] = text.slice(0, -3).split(' ')
  to.appendVarchar([date, '(BC)', ...time].join(' '))
}

function decimal(precision: number, scale: number): Encoding {
  const contract = { type: 'bytes', logicalType: 'decimal', precision, scale }
  return { ...TEXT, contract, parquet: `DECIMAL(${precision},${scale})` }
}

/** By PostgreSQL's type OID; every other type is its text. */
const BY_OID: ReadonlyMap<number, Encoding> = new Map([
  [16, BOOLEAN],
  [17, BYTES],
  [20, LONG],
  [21, INTEGER],
  [23, INTEGER],
  [26, LONG],
  [700, FLOAT],
  [701, DOUBLE],
  [1082, DATE],
  [1083, TIME],
  [1114, TIMESTAMP],
  [1184, TIMESTAMP],
])
const NUMERIC = 1700

function encodingOf({ oid, modifier }: Column): Encoding {
  if (oid !== NUMERIC || modifier < 4) return BY_OID.get(oid) ?? TEXT
  const precision = (modifier - 4) >>> 16
  const scale = (modifier - 4) & 0x7ff
  return precision <= 38 && scale <= precision ? decimal(precision, scale) : TEXT
}

const BY_FIELD: Readonly<Record<FieldType, Encoding>> = {
  uuid: TEXT,
  string: TEXT,
  int: INTEGER,
  long: LONG,
  boolean: BOOLEAN,
  date: DATE,
  timestamp: TIMESTAMP,
  localTimestamp: TIMESTAMP,
}

const SENSITIVE: ReadonlySet<Kind> = new Set<Kind>(['prisonerNumber', 'name', 'username', 'freeText'])

/** A source table's column. Replication does not say which columns may be null: all but the key's count as nullable. */
export function sourceColumn(column: Column, kind: Kind, key: boolean): DprColumn {
  return {
    name: column.name,
    ...encodingOf(column),
    validationType: column.oid === 1083 ? 'time' : null,
    nullable: !key,
    key,
    sensitive: SENSITIVE.has(kind),
    doc: '',
  }
}

/** A unified entity's field. Its key is `id`. */
export function entityColumn(field: EntityField): DprColumn {
  const key = field.name === 'id'
  return {
    name: field.column,
    ...BY_FIELD[field.type],
    validationType: null,
    nullable: field.nullable,
    key,
    sensitive: SENSITIVE.has(field.kind),
    doc: field.doc,
  }
}

/** The SQL that makes a staged column what the file holds. */
export function parquetExpression({ name, staged, parquet }: DprColumn): string {
  return staged === parquet ? quoted(name) : `TRY_CAST(${quoted(name)} AS ${parquet}) AS ${quoted(name)}`
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as an SQL literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
