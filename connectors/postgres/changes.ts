/**
 * A transaction's rows into Changes: each routed to its incident, each with its position. Pure but for the parent index.
 * The same frames give the same Changes, whatever has been read before.
 */
import { tableName, type RowChange, type Table, type Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { position, type Lsn, type Position } from '../../core/position.ts'
import type { Parents } from './parents.ts'
import type { Transaction } from './assembler.ts'
import type { CapturedTable } from './captured.ts'
import { decodeFrame, type Relation, type WalMessage } from './pgoutput.ts'
import {
  partitionFor,
  referenceBefore,
  referenceOf,
  routeOf,
  transactionParents,
  type TransactionParents,
} from './routing.ts'
import { completed, sameColumn } from './tuples.ts'

export interface ChangeOptions {
  readonly epoch: number
  readonly partitions: number
  readonly parents: Parents
  /** A row that others reach their incident through moved to this incident: they did too, and wrote no WAL. */
  moved?(reference: string, at: Position): void
  /** What is known of a relation of the transaction. */
  captured(relation: Relation): CapturedTable
}

/** What changes are made of. */
type Rows = Pick<Transaction, 'txId' | 'commitLsn' | 'committedAt' | 'form' | 'rows'>

type RowMessage = Extract<WalMessage, { tag: 'insert' | 'update' | 'delete' }>

/** One row's part before it has an ordinal. */
interface Piece {
  readonly op: 'c' | 'u' | 'd'
  readonly reference: string | null
  readonly partition: number
  readonly before: Tuple | null
  readonly after: Tuple | null
}

type Draft = { -readonly [K in keyof RowChange<Tuple>]: RowChange<Tuple>[K] }

/**
 * The Changes of a transaction in order, in runs of about `runBytes`. In each partition the last one says so. Ordinals
 * count every row of a published table, also of one that is left out. When the generator has ended, the transaction's
 * parents are in the index.
 */
export function* changesOf(transaction: Rows, options: ChangeOptions, runBytes: number): Generator<RowChange<Tuple>[]> {
  const { epoch, parents, partitions, captured } = options
  const { form } = transaction
  const made = transactionParents(parents)
  for (const { frame, relation } of transaction.rows()) {
    const { table, leftOut } = captured(relation)
    if (leftOut || routeOf(table)?.keyColumn == null) continue
    const message = decodeFrame(frame, form) as RowMessage
    made.note(table, message.tag === 'insert' ? null : message.before, message.tag === 'delete' ? null : message.after)
  }
  made.resolve()

  const lastOf = new Map<number, Draft>()
  let run: Draft[] = []
  let bytes = 0
  let ordinal = 0
  for (const { frame, relation } of transaction.rows()) {
    const { table, leftOut } = captured(relation)
    const message = decodeFrame(frame, form) as RowMessage
    if (leftOut) {
      // a table may be stopped because its rows are not whole
      ordinal += isWhole(message) ? pieces(table, message, made, parents, partitions).length : 1
      continue
    }
    const its = pieces(table, message, made, parents, partitions)
    for (const piece of its) {
      ordinal += 1
      const draft = change(transaction, table, piece, message.lsn, position(epoch, transaction.commitLsn, ordinal))
      const held = lastOf.get(piece.partition)
      if (held !== undefined) run.push(held)
      lastOf.set(piece.partition, draft)
    }
    const to = parentMovedTo(table, its)
    if (to !== null) options.moved?.(to, position(epoch, transaction.commitLsn, ordinal))
    bytes += frame.end - frame.start
    if (bytes < runBytes) continue
    yield run
    run = []
    bytes = 0
  }
  for (const draft of lastOf.values()) {
    draft.lastInTransaction = true
    run.push(draft)
  }
  // not at ordinal 0: a marker may stand just where the commit record begins, and knows nothing of the transaction
  made.settle(position(epoch, transaction.commitLsn, 1))
  yield run
}

function change(transaction: Rows, table: Table, piece: Piece, lsn: Lsn, at: Position): Draft {
  return {
    op: piece.op,
    table,
    reference: piece.reference,
    before: piece.before,
    after: piece.after,
    position: at,
    lsn,
    committedAt: transaction.committedAt,
    txId: transaction.txId,
    partition: piece.partition,
    offset: -1,
    streamedTo: at,
    lastInTransaction: false,
    bytes: 0,
  }
}

/** A key change, or an update that moves a row to another incident, is a delete there and an insert here. */
function pieces(
  table: Table,
  message: RowMessage,
  made: TransactionParents,
  parents: Parents,
  partitions: number,
): Piece[] {
  const route = routeOf(table)
  const was = (row: Tuple): string | null =>
    route === null ? null : (referenceBefore(route, row, made, parents) ?? null)
  const is = (row: Tuple): string | null => (route === null ? null : (referenceOf(route, row, made, parents) ?? null))
  const piece = (op: Piece['op'], reference: string | null, before: Tuple | null, after: Tuple | null): Piece => {
    const partition = partitionFor(reference, table, (after ?? before)!, partitions)
    return { op, reference, partition, before, after }
  }
  switch (message.tag) {
    case 'insert':
      return [piece('c', is(message.after), null, message.after)]
    case 'delete':
      requireWhole(table, message.whole)
      return [piece('d', was(message.before), message.before, null)]
    case 'update': {
      requireWhole(table, message.whole)
      const before = message.before!
      const after = completed(before, message.after)!
      const from = was(before)
      const to = is(after)
      if (from === to && sameKey(table, before, after)) return [piece('u', to, before, after)]
      return [piece('d', from, before, null), piece('c', to, null, after)]
    }
  }
}

/** The incident that a row which others reach theirs through moved to; null when it did not. */
function parentMovedTo(table: Table, [from, to]: readonly Piece[]): string | null {
  if (from === undefined || to === undefined || from.reference === to.reference) return null
  return routeOf(table)?.keyColumn == null ? null : to.reference
}

function isWhole(message: RowMessage): boolean {
  return message.tag === 'insert' || message.whole
}

function sameKey(table: Table, before: Tuple, after: Tuple): boolean {
  return table.key.every((name) => {
    const index = table.columns.findIndex((column) => column.name === name)
    return sameColumn(before, after, index)
  })
}

function requireWhole(table: Table, whole: boolean): void {
  if (whole) return
  throw new PipelineError(
    'REPLICA_IDENTITY',
    `${tableName(table)} sent a change without the whole row before: its replica identity is not FULL`,
    `ALTER TABLE ${tableName(table)} REPLICA IDENTITY FULL; then read the table again with \`incidents repair --table ${tableName(table)}\`.`,
  )
}
