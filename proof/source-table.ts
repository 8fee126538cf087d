/** How a source table's rows are selected, each with its incident, and what a reconciliation takes them for. */
import { tableName, type Column, type Row, type RowChange, type Table } from '../core/change.ts'
import { position, type Position } from '../core/position.ts'
import { quoted } from '../connectors/postgres/catalog.ts'
import { ROUTES } from '../connectors/postgres/routes.ts'

export interface TableReader {
  readonly table: Table
  /** The table's columns and, behind them, the incident's reference. */
  readonly wide: Table
  readonly columns: string
  readonly from: string
}

const TEXT_OID = 25
const REFERENCE: Column = { name: '\u0000reference', oid: TEXT_OID, modifier: -1 }

export function tableReader(table: Table): TableReader {
  const { expression, joins } = referenceOf(table)
  return {
    table,
    wide: { ...table, columns: [...table.columns, REFERENCE] },
    columns: [...table.columns.map(({ name }) => `t.${identifier(name)}`), `${expression}::text`].join(', '),
    from: `${quoted(table)} t ${joins}`,
  }
}

function referenceOf(table: Table): { expression: string; joins: string } {
  const joins: string[] = []
  let route = ROUTES.get(tableName(table))
  let alias = 't'
  while (route !== undefined && route.reference === undefined) {
    const { via, parent } = route
    const next = ROUTES.get(parent ?? '')
    if (via === undefined || parent === undefined || next?.key === undefined) break
    const joined = `p${joins.length}`
    joins.push(`LEFT JOIN ${parent} ${joined} ON ${joined}.${identifier(next.key)} = ${alias}.${identifier(via)}`)
    alias = joined
    route = next
  }
  if (route?.reference === undefined) return { expression: 'NULL', joins: '' }
  return { expression: `${alias}.${identifier(route.reference)}`, joins: joins.join(' ') }
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

const NOWHERE: Position = position(0, 0, 0)

/** A row as if it had been read outside the stream. */
export function changeOf(table: Table, row: Row): RowChange {
  const reference = row[REFERENCE.name] ?? null
  return {
    op: 'r',
    table,
    reference: reference as string | null,
    before: null,
    after: row,
    position: NOWHERE,
    lsn: 0,
    committedAt: 0,
    txId: 0,
    partition: 0,
    offset: -1,
    streamedTo: NOWHERE,
    lastInTransaction: true,
    bytes: 0,
  }
}
