/**
 * The raw topic's Avro schemas, derived from the database's relations: Debezium's envelope with what every value of
 * this pipeline carries. Every column but the key's is nullable, since replication does not tell; so a column added or
 * dropped is compatible (BACKWARD_TRANSITIVE).
 */
import { createHash } from 'node:crypto'
import type { Column, Table } from '../core/change.ts'
import { pgKeyType, pgType } from './pg-types.ts'
import type { AvroSchema } from './registry.ts'

/** Columns that have held a value which their Avro number cannot: they take text as well. */
export type Widened = ReadonlySet<string>

/** `incidents.public.report` */
export function recordNamespace(namespace: string, table: Table): string {
  return `${namespace}.${avroName(table.schema)}.${avroName(table.name)}`
}

export function envelopeSchema(namespace: string, table: Table, widened: Widened): AvroSchema {
  return envelope(namespace, table, widened, [])
}

/** The same with a list of the values that a record is without: only records that would be too large are written by it. */
export function omittingSchema(namespace: string, table: Table, widened: Widened): AvroSchema {
  return envelope(namespace, table, widened, [OMITTED])
}

function envelope(namespace: string, table: Table, widened: Widened, more: readonly object[]): AvroSchema {
  return {
    type: 'record',
    name: 'Envelope',
    namespace: recordNamespace(namespace, table),
    doc: `One committed change of ${table.schema}.${table.name}.`,
    fields: [
      {
        name: 'before',
        type: ['null', valueSchema(table, widened)],
        default: null,
        doc: 'The row before; null for c and r.',
      },
      { name: 'after', type: ['null', 'Value'], default: null, doc: 'The row after; null for d.' },
      { name: 'source', type: SOURCE, doc: 'Where the change comes from, as Debezium writes it.' },
      { name: 'op', type: 'string', doc: 'c insert, u update, d delete, r read outside the stream.' },
      { name: 'ts_ms', type: ['null', 'long'], default: null, doc: 'Commit time in milliseconds since 1970.' },
      ...COMMON_FIELDS,
      {
        name: 'reference',
        type: ['null', 'string'],
        default: null,
        doc: "The incident's reference: what the record is routed by.",
      },
      ...more,
    ],
  }
}

/** The row key: the table is in the record's name. */
export function keySchema(namespace: string, table: Table): AvroSchema {
  const names = table.key.length > 0 ? table.key : ['rowHash']
  return {
    type: 'record',
    name: 'Key',
    namespace: recordNamespace(namespace, table),
    doc: table.key.length > 0 ? 'The primary key.' : 'The SHA-256 of the row: the table has no primary key.',
    fields: names.map((name) => {
      const column = table.columns.find((each) => each.name === name)
      return { name: avroName(name), type: column === undefined ? 'bytes' : pgKeyType(column.oid).avro }
    }),
  }
}

export function markerSchema(namespace: string): AvroSchema {
  return {
    type: 'record',
    name: 'Marker',
    namespace,
    doc: 'Everything that the source committed before this position is in the topic.',
    fields: [
      { name: 'op', type: 'string', doc: 'Always m.' },
      { name: 'slot', type: 'string', doc: 'The replication slot.' },
      { name: 'systemIdentifier', type: 'string', doc: "The source cluster's identifier." },
      { name: 'timeline', type: 'int', doc: "The source cluster's timeline." },
      { name: 'snapshotDone', type: 'boolean', doc: 'False until the first snapshot is whole.' },
      ...COMMON_FIELDS,
      {
        name: 'stopped',
        type: { type: 'array', items: 'string' },
        default: [],
        doc: 'Tables whose changes are not followed until they are repaired, as schema.table.',
      },
    ],
  }
}

export function markerKeySchema(namespace: string): AvroSchema {
  return {
    type: 'record',
    name: 'MarkerKey',
    namespace,
    doc: 'One key a partition, so that compaction keeps the newest marker.',
    fields: [{ name: 'partition', type: 'int', doc: 'The partition.' }],
  }
}

const SOURCE = {
  type: 'record',
  name: 'Source',
  fields: [
    { name: 'version', type: 'string' },
    { name: 'connector', type: 'string' },
    { name: 'name', type: 'string' },
    { name: 'ts_ms', type: 'long' },
    { name: 'snapshot', type: ['null', 'string'], default: null },
    { name: 'db', type: 'string' },
    { name: 'schema', type: 'string' },
    { name: 'table', type: 'string' },
    { name: 'txId', type: ['null', 'long'], default: null },
    { name: 'lsn', type: ['null', 'long'], default: null },
  ],
}

const OMITTED = {
  name: 'omitted',
  type: {
    type: 'array',
    items: {
      type: 'record',
      name: 'Omitted',
      fields: [
        { name: 'image', type: 'string', doc: 'before or after.' },
        { name: 'column', type: 'string', doc: 'The column, which is null in that image.' },
        { name: 'bytes', type: 'long', doc: "The length of PostgreSQL's text of the value in UTF-8." },
        { name: 'sha256', type: 'string', doc: 'The SHA-256 of that text in hexadecimal.' },
      ],
    },
  },
  default: [],
  doc: 'Values that were left out, because the record would be larger than the topic takes.',
}

const COMMON_FIELDS = [
  { name: 'position', type: 'string', doc: 'epoch/commit LSN/ordinal in hexadecimal: text order is history order.' },
  { name: 'lsn', type: 'long', doc: "WAL position of the row's own record." },
  {
    name: 'streamedTo',
    type: 'string',
    doc: "The newest streamed position in this partition, this record's own included.",
  },
  { name: 'committedAt', type: { type: 'long', logicalType: 'timestamp-micros' }, doc: 'When the source committed.' },
  { name: 'txId', type: 'long', doc: "The source's transaction id; 0 outside the stream." },
  { name: 'lastInTransaction', type: 'boolean', doc: 'The last change of its transaction in this partition.' },
]

function valueSchema(table: Table, widened: Widened): AvroSchema {
  return {
    type: 'record',
    name: 'Value',
    doc: `A row of ${table.schema}.${table.name}.`,
    pgKey: table.key,
    fields: table.columns.map((column) => columnField(column, widened.has(column.name))),
  }
}

function columnField(column: Column, isWidened: boolean): object {
  const { avro } = pgType(column.oid)
  return {
    name: avroName(column.name),
    type: isWidened ? ['null', avro, 'string'] : ['null', avro],
    default: null,
    pgName: column.name,
    pgOid: column.oid,
    pgModifier: column.modifier,
  }
}

/**
 * Avro's names have ASCII letters, digits and underscores; the column's own name stands beside. Every other name gets
 * a piece of its hash, so that `a b` and `a-b`, or two names in another script, stay two.
 */
function avroName(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name
  const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_')
  return `${plain}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
}
