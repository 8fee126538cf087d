/**
 * A transaction's rows into Changes: each routed to its incident, each with its position. Pure but for the parent index.
 * The same frames give the same Changes, whatever has been read before.
 */
import { tableName, type RowChange, type Table, type Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { position, type Lsn, type Position } from '../../core/position.ts'
import type { Parents } from './parents.ts'
import { decodeFrame, type WalMessage } from './pgoutput.ts'
import {
  partitionFor,
  referenceBefore,
  referenceOf,
  routeOf,
  transactionParents,
  type TransactionParents,
} from './routing.ts'
import type { Transaction } from './transaction.ts'
import { completed, sameColumn } from './tuples.ts'

export interface ChangeOptions {
  readonly epoch: number
  readonly partitions: number
  readonly parents: Parents
}

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
 * The Changes of a transaction in order, in runs of about `runBytes`. In each partition the last one says so. When the
 * generator has ended, the transaction's parents are in the index.
 */
export function* changesOf(
  transaction: Transaction,
  options: ChangeOptions,
  runBytes: number,
): Generator<RowChange<Tuple>[]> {
  const { epoch, parents, partitions } = options
  const made = transactionParents(parents)
  for (const { frame, table } of transaction.frames()) {
    if (routeOf(table)?.keyColumn == null) continue
    const message = decodeFrame(frame) as RowMessage
    made.note(table, message.tag === 'insert' ? null : message.before, message.tag === 'delete' ? null : message.after)
  }
  made.resolve()

  const lastOf = new Map<number, Draft>()
  let run: Draft[] = []
  let bytes = 0
  let ordinal = 0
  for (const { frame, table } of transaction.frames()) {
    const message = decodeFrame(frame) as RowMessage
    for (const piece of pieces(table, message, made, parents, partitions)) {
      ordinal += 1
      const draft = change(transaction, table, piece, message.lsn, position(epoch, transaction.commitLsn, ordinal))
      const held = lastOf.get(piece.partition)
      if (held !== undefined) run.push(held)
      lastOf.set(piece.partition, draft)
    }
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
  made.settle(position(epoch, transaction.commitLsn, 0))
  yield run
}

function change(transaction: Transaction, table: Table, piece: Piece, lsn: Lsn, at: Position): Draft {
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
    `ALTER TABLE ${tableName(table)} REPLICA IDENTITY FULL; then read the table again with \`incidents repair\`.`,
  )
}
