/** What encoding a table's rows needs: its schemas, registered, and a writer for each column. */
import { tableName, type Table } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'
import { putText } from './avro-bytes.ts'
import { pgKeyType, pgType, type TextWriter } from './pg-types.ts'
import { envelopeSchema, keySchema, omittingSchema, recordNamespace } from './raw-schema.ts'
import { subjectName, type Registry } from './registry.ts'

export interface TableEncoder {
  readonly table: Table
  readonly widened: ReadonlySet<string>
  readonly envelopeId: number
  /** Whether the envelope ends with the values that a record is without. */
  readonly omits: boolean
  readonly keyId: number
  readonly writers: readonly TextWriter[]
  /** The key's columns by their place in the row, and what writes each. */
  readonly keyColumns: readonly number[]
  readonly keyWriters: readonly TextWriter[]
  /** Source's fields up to ts_ms, and from db to table. */
  readonly sourceHead: Buffer
  readonly sourceTail: Buffer
}

export interface TableEncoders {
  find(table: Table): TableEncoder | undefined
  /** Registers the table's schemas. CONTRACT when the topic cannot take it; REGISTRY. */
  open(table: Table): Promise<TableEncoder>
  /** As `open`, for records that are without some of their values. */
  openOmitting(table: Table): Promise<TableEncoder>
  /** The column takes text as well from here on: the table is to be opened again. */
  widen(table: Table, column: string): void
}

export interface TableEncoderOptions {
  readonly registry: Registry
  readonly topic: string
  readonly namespace: string
  readonly database: string
}

export function tableEncoders({ registry, topic, namespace, database }: TableEncoderOptions): TableEncoders {
  const encoders = new Map<Table, TableEncoder>()
  const omitting = new Map<Table, TableEncoder>()
  const widened = new Map<string, ReadonlySet<string>>()

  /** What an earlier run has widened stays so: its schemas are in the registry and cannot be narrowed again. */
  async function opened(table: Table, wide: ReadonlySet<string>): Promise<TableEncoder> {
    try {
      return await registered(table, wide)
    } catch (error) {
      const partial = table.columns.filter((column) => pgType(column.oid).partial === true && !wide.has(column.name))
      if (partial.length === 0 || !(error instanceof PipelineError) || error.code !== 'CONTRACT') throw error
      const all = new Set([...wide, ...partial.map((column) => column.name)])
      const found = await registered(table, all).catch(() => {
        throw error
      })
      widened.set(tableName(table), all)
      return found
    }
  }

  async function registered(table: Table, wide: ReadonlySet<string>): Promise<TableEncoder> {
    const name = recordNamespace(namespace, table)
    const [envelopeId, keyId] = await Promise.all([
      registry.register(
        subjectName(topic, `${name}.Envelope`),
        envelopeSchema(namespace, table, wide),
        'BACKWARD_TRANSITIVE',
      ),
      registry.register(subjectName(topic, `${name}.Key`), keySchema(namespace, table), 'BACKWARD_TRANSITIVE'),
    ])
    const keyColumns = table.key.map((key) => table.columns.findIndex((column) => column.name === key))
    return {
      table,
      widened: new Set(wide),
      envelopeId,
      omits: false,
      keyId,
      writers: table.columns.map((column) => pgType(column.oid).write),
      keyColumns,
      keyWriters: keyColumns.map((i) => pgKeyType(table.columns[i]!.oid).write),
      sourceHead: texts('1', 'postgresql', namespace),
      sourceTail: texts(database, table.schema, table.name),
    }
  }

  async function open(table: Table): Promise<TableEncoder> {
    const found = await opened(table, widened.get(tableName(table)) ?? new Set())
    encoders.set(table, found)
    return found
  }

  return {
    find: (table) => encoders.get(table),
    open,
    openOmitting: async (table) => {
      const known = omitting.get(table)
      if (known !== undefined) return known
      const plain = encoders.get(table) ?? (await open(table))
      const subject = subjectName(topic, `${recordNamespace(namespace, table)}.Envelope`)
      const schema = omittingSchema(namespace, table, plain.widened)
      const envelopeId = await registry.register(subject, schema, 'BACKWARD_TRANSITIVE')
      const found = { ...plain, envelopeId, omits: true }
      omitting.set(table, found)
      return found
    },
    widen: (table, column) => {
      const name = tableName(table)
      widened.set(name, new Set([...(widened.get(name) ?? []), column]))
      encoders.delete(table)
      omitting.delete(table)
    },
  }
}

function texts(...values: string[]): Buffer {
  const out = Buffer.alloc(values.reduce((sum, text) => sum + Buffer.byteLength(text) + 5, 0))
  return out.subarray(
    0,
    values.reduce((at, text) => putText(out, at, text), 0),
  )
}
