/** Rows read outside the stream as Changes: routed as the stream's, older than any streamed change of their LSN. */
import type { RowChange, Table, Tuple } from '../../core/change.ts'
import { lsnOf, type Position } from '../../core/position.ts'
import type { Parents } from './parents.ts'
import { partitionFor, referenceOf, routeOf, transactionParents, type TransactionParents } from './routing.ts'

export interface Placing {
  readonly position: Position
  /** Microseconds since the Unix epoch. */
  readonly committedAt: number
  readonly partitions: number
  readonly parents: Parents
  readonly streamedTo: (partition: number) => Position
}

/** The rows of one table; those that are parents are in the index afterwards. */
export function readRows(table: Table, rows: readonly Tuple[], placing: Placing): RowChange<Tuple>[] {
  const made = transactionParents(placing.parents)
  for (const row of rows) made.note(table, null, row)
  made.resolve()
  const changes = rows.map((row) => readRow(table, row, made, placing))
  made.settle(placing.position)
  return changes
}

function readRow(table: Table, row: Tuple, made: TransactionParents, placing: Placing): RowChange<Tuple> {
  const route = routeOf(table)
  const reference = route === null ? null : (referenceOf(route, row, made, placing.parents) ?? null)
  const partition = partitionFor(reference, table, row, placing.partitions)
  return outside(placing, { op: 'r', table, reference, partition, before: null, after: row })
}

/** A row that the topic holds in this partition and the source has no more. */
export function goneRow(
  table: Table,
  gone: { readonly row: Tuple; readonly partition: number; readonly reference: string | null },
  placing: Placing,
): RowChange<Tuple> {
  const made = transactionParents(placing.parents)
  made.note(table, gone.row, null)
  made.settle(placing.position)
  const { partition, reference } = gone
  return outside(placing, { op: 'd', table, reference, partition, before: gone.row, after: null })
}

type Part = Pick<RowChange<Tuple>, 'op' | 'table' | 'reference' | 'partition' | 'before' | 'after'>

function outside({ position, committedAt, streamedTo }: Placing, part: Part): RowChange<Tuple> {
  return {
    ...part,
    position,
    lsn: lsnOf(position),
    committedAt,
    txId: 0,
    offset: -1,
    streamedTo: streamedTo(part.partition),
    lastInTransaction: true,
    bytes: 0,
  }
}
