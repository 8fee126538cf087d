/** Which folder of the raw zone a row belongs to, and with which columns. */
import type { Table } from '../core/change.ts'
import type { Entity } from '../core/incident.ts'
import { ENTITY_DEFINITIONS, type Kind } from '../schemas/entity.ts'
import { CLEARANCES } from '../schemas/policy/clearance.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { UNIFIED_SOURCE } from './data-product.ts'
import { entityColumn, sourceColumn } from './dpr-raw-columns.ts'
import type { DprTable } from './dpr-raw-table.ts'

/** The kind of a source column; undefined when nobody has classified it. */
export type ColumnKind = (schema: string, table: string, column: string) => Kind | undefined

/**
 * The folder of a source table; null when it has none: a table outside `public`, without primary key, or with a key
 * that policy withholds.
 */
export function sourceTable(table: Table, columnKind: ColumnKind): DprTable | null {
  if (table.schema !== 'public' || table.key.length === 0) return null
  const columns = table.columns.flatMap((column) => {
    const kind = columnKind(table.schema, table.name, column.name)
    if (kind === undefined || CLEARANCES['dpr-raw'][kind] !== 'clear') return []
    return [sourceColumn(column, kind, table.key.includes(column.name))]
  })
  if (columns.filter((column) => column.key).length < table.key.length) return null
  return {
    source: 'incidentreporting',
    table: table.name,
    doc: `Table ${table.name} of the incident database.`,
    columns,
  }
}

/** The folder of a unified entity. */
export function entityTable(entity: Entity, projections: Projections): DprTable {
  const { table, fields } = projections[entity]
  return { source: UNIFIED_SOURCE, table, doc: ENTITY_DEFINITIONS[entity].doc, columns: fields.map(entityColumn) }
}
