/** Columns that nobody has classified: they stay in the raw topic, and somebody has to be told. */
import { tableName, type Change, type Table } from '../../core/change.ts'
import { columnKind } from './columns.ts'

/** The table's columns without a kind, in its order. */
export function unclassifiedColumns({ schema, name, columns }: Table): string[] {
  return columns.map((column) => column.name).filter((column) => columnKind(schema, name, column) === undefined)
}

/**
 * Looks at each change's table, and tells when its unclassified columns are others than before: once for each shape,
 * not for each row. A table that never had any is not told of.
 */
export function unclassifiedWatch(
  tell: (table: string, columns: readonly string[]) => void,
): (change: Change<unknown>) => void {
  /** A decoder gives all changes of one shape the same table. */
  const seen = new WeakSet<Table>()
  const told = new Map<string, string>()
  return (change) => {
    if (change.op === 'm' || seen.has(change.table)) return
    seen.add(change.table)
    const table = tableName(change.table)
    const columns = unclassifiedColumns(change.table)
    const shape = columns.join()
    if ((told.get(table) ?? '') === shape) return
    told.set(table, shape)
    tell(table, columns)
  }
}
