/**
 * A contract as DPR's jobs read it (rule dpr.contracts): what they demand of it, and what it makes them demand of a
 * file.
 */

/** A Spark type's class, and for decimals its size: what the jobs compare (rules dpr.types, dpr.schema). */
export type SparkType = string

export interface ContractColumn {
  readonly name: string
  readonly type: SparkType
  readonly nullable: boolean
  readonly key: boolean
  /** Its text must be `HH:mm:ss`. */
  readonly time: boolean
}

export interface ReadContract {
  readonly columns: readonly ContractColumn[]
  /** What is wrong with it; empty when nothing is. */
  readonly faults: readonly string[]
}

/** Members that the source-contract schema requires. */
const MEMBERS = ['name', 'contacts', 'database', 'service', 'namespace', 'version', 'description', 'fields'] as const

/** What the jobs add to every table's columns. */
export const MARKS: readonly ContractColumn[] = [
  { name: 'Op', type: 'string', nullable: false, key: false, time: false },
  { name: '_timestamp', type: 'string', nullable: false, key: false, time: false },
  { name: 'checkpoint_col', type: 'string', nullable: true, key: false, time: false },
]

type Json = Readonly<Record<string, unknown>>

export function readContractText(text: string, source: string, table: string): ReadContract {
  let contract: Json
  try {
    contract = JSON.parse(text) as Json
  } catch {
    return { columns: [], faults: ['it is not JSON'] }
  }
  const fields = Array.isArray(contract['fields']) ? (contract['fields'] as Json[]) : []
  const read = fields.map(readField)
  const columns = read.flatMap(({ column }) => (column === null ? [] : [column]))
  return { columns, faults: [...headFaults(contract, source, table, columns), ...read.flatMap(({ fault }) => fault)] }
}

function headFaults(contract: Json, source: string, table: string, columns: readonly ContractColumn[]): string[] {
  const name = typeof contract['name'] === 'string' ? contract['name'].toLowerCase().replace(/_\d+/, '') : ''
  return [
    ...(contract['type'] === 'record' ? [] : ['its type is not record']),
    ...MEMBERS.filter((member) => contract[member] === undefined).map((member) => `${member} is missing`),
    ...(name === table ? [] : [`the jobs take its name for ${name}`]),
    ...(contract['service'] === source ? [] : ['its service is not the source']),
    ...(contract['namespace'] === 'prisons' ? [] : ['its namespace is not prisons']),
    ...(columns.some((column) => column.key) ? [] : ['no field is a primary key']),
    ...(/^[a-z_0-9]*$/.test(`${source}_${table}`) ? [] : ['Hive takes lower-case letters, digits and underscores']),
  ]
}

function readField(field: Json): { column: ContractColumn | null; fault: string[] } {
  const name = String(field['name'])
  const type = sparkTypeOf(field['type'])
  if (type === null) return { column: null, fault: [`${name} has a type that the jobs cannot convert`] }
  const validation = (field['metadata'] as Json | undefined)?.['validationType']
  const fault = [
    ...(typeof field['nullable'] === 'boolean' ? [] : [`${name} does not say whether it is nullable`]),
    ...(validation === undefined || validation === 'time' ? [] : [`${name} asks for a validation that there is not`]),
  ]
  const key = field['key'] === 'primary'
  return { column: { name, type, nullable: field['nullable'] === true, key, time: validation === 'time' }, fault }
}

const PLAIN = ['boolean', 'int', 'long', 'float', 'double', 'string']

const LOGICAL: Readonly<Record<string, SparkType>> = {
  'int date': 'date',
  'int time-millis': 'int',
  'long time-micros': 'long',
  'long timestamp-millis': 'timestamp',
  'long timestamp-micros': 'timestamp',
}

/** Null for what spark-avro does not take, a union among it: `nullable` makes the union. */
function sparkTypeOf(type: unknown): SparkType | null {
  if (type === 'bytes') return 'binary'
  if (typeof type === 'string') return PLAIN.includes(type) ? type : null
  if (type === null || typeof type !== 'object' || Array.isArray(type)) return null
  const { type: base, logicalType, precision, scale = 0 } = type as Json
  if (base === 'enum') return 'string'
  if (logicalType === 'decimal') return base === 'bytes' ? `decimal(${String(precision)},${String(scale)})` : null
  if (logicalType === undefined) return sparkTypeOf(base)
  return typeof base === 'string' && typeof logicalType === 'string'
    ? (LOGICAL[`${base} ${logicalType}`] ?? null)
    : null
}
