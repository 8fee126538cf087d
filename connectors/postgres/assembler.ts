/**
 * Frames into what was committed, in commit order. A transaction comes either whole, behind its commit, or streamed: in
 * pieces while it still runs, mixed with others' pieces, and any of its subtransactions may be undone before the end.
 * Either way it leaves here as the same transaction.
 */
import { PipelineError } from '../../core/error.ts'
import type { Lsn } from '../../core/position.ts'
import { decodeFrame, rowRelation, subTransaction, type Form, type Relation, type WalMessage } from './pgoutput.ts'
import type { Frame } from './framing.ts'
import { transactionPool, type OpenTransaction, type PoolOptions, type TransactionRow } from './transaction.ts'

/** `pg_logical_emit_message`. */
export interface LogicalMessage {
  readonly prefix: string
  readonly content: Buffer
  readonly lsn: Lsn
  readonly transactional: boolean
}

export interface CommittedTransaction {
  readonly txId: number
  readonly commitLsn: Lsn
  /** Behind the commit record. */
  readonly endLsn: Lsn
  /** Microseconds since the Unix epoch. */
  readonly committedAt: number
}

/** A committed transaction with what survived in it; `discard` when it has been read. */
export interface Transaction extends CommittedTransaction {
  readonly form: Form
  readonly relations: readonly Relation[]
  rows(): Generator<TransactionRow>
  readonly truncated: readonly Relation[]
  readonly messages: readonly LogicalMessage[]
  discard(): void
}

export type Assembled =
  | { readonly what: 'transaction'; readonly transaction: Transaction }
  /** A logical message outside transactions. */
  | { readonly what: 'message'; readonly message: LogicalMessage }

export interface Assembler {
  /** What the frame completes; null when nothing. MALFORMED_WAL, DISK_FULL, SINK. */
  push(frame: Frame): Assembled | null
  /** Whether a transaction's frames are being sent: where the server stands then says nothing of what is committed. */
  readonly within: boolean
  close(): void
}

/** A transaction in the making. */
interface Open {
  readonly rows: OpenTransaction
  /** Relations learned inside a streamed transaction belong to it until its commit. */
  relations: { readonly relation: Relation; readonly subTxId: number }[]
  truncates: { readonly relations: readonly Relation[]; readonly subTxId: number }[]
  messages: { readonly message: LogicalMessage; readonly subTxId: number }[]
}

type Commit = Extract<WalMessage, { tag: 'commit' | 'stream-commit' }>

/** Logical messages inside a transaction wait for its commit in memory: those that are larger are left out. */
const MESSAGE_BYTES = 16 << 20

export function assembler(options: PoolOptions): Assembler {
  const pool = transactionPool(options)
  const relations = new Map<number, Relation>()
  const streamed = new Map<number, Open>()
  let begun: Extract<WalMessage, { tag: 'begin' }> | null = null
  /** The transaction whose frames are being sent. */
  let current: Open | null = null
  let form: Form = 'plain'

  function open(txId: number): Open {
    return { rows: pool.open(txId, form), relations: [], truncates: [], messages: [] }
  }

  function relationOf(oid: number): Relation {
    const own = form === 'plain' ? undefined : current?.relations.findLast(({ relation }) => relation.oid === oid)
    const relation = own?.relation ?? relations.get(oid)
    if (relation === undefined) throw malformed(`a row of relation ${oid} before the relation itself`)
    return relation
  }

  function transactionFor(what: string): Open {
    if (current === null) throw malformed(`${what} outside a transaction`)
    return current
  }

  function startStream(txId: number, first: boolean): void {
    if (current !== null) throw malformed('a streamed piece inside a transaction')
    form = 'streamed'
    current = streamed.get(txId) ?? null
    if (first !== (current === null)) throw malformed(`a streamed piece of transaction ${txId} out of order`)
    if (current !== null) return
    current = open(txId)
    streamed.set(txId, current)
  }

  function stopStream(): void {
    if (form !== 'streamed') throw malformed('the end of a streamed piece that was not begun')
    current = null
    form = 'plain'
  }

  function undo(txId: number, subTxId: number): void {
    const its = streamed.get(txId)
    if (its === undefined) return
    if (txId === subTxId) {
      its.rows.discard()
      streamed.delete(txId)
      return
    }
    its.rows.undo(subTxId)
    its.relations = its.relations.filter((each) => each.subTxId !== subTxId)
    its.truncates = its.truncates.filter((each) => each.subTxId !== subTxId)
    its.messages = its.messages.filter((each) => each.subTxId !== subTxId)
  }

  function finish({ rows, truncates, messages }: Open, commit: Commit, committedAt: number): Assembled {
    return {
      what: 'transaction',
      transaction: {
        txId: rows.txId,
        commitLsn: commit.commitLsn,
        endLsn: commit.endLsn,
        committedAt,
        form: rows.form,
        relations: rows.relations(),
        rows: rows.rows,
        truncated: truncates.flatMap((each) => each.relations),
        messages: messages.map((each) => each.message),
        discard: rows.discard,
      },
    }
  }

  function commitPlain(commit: Extract<Commit, { tag: 'commit' }>): Assembled {
    const ended = transactionFor('a commit')
    if (begun === null || form !== 'plain' || begun.commitLsn !== commit.commitLsn)
      throw malformed('a commit of another transaction than the one that began')
    const { committedAt } = begun
    current = null
    begun = null
    return finish(ended, commit, committedAt)
  }

  function commitStreamed(commit: Extract<Commit, { tag: 'stream-commit' }>): Assembled {
    const ended = streamed.get(commit.txId)
    if (current !== null || ended === undefined) throw malformed(`a commit of transaction ${commit.txId} out of order`)
    streamed.delete(commit.txId)
    for (const { relation } of ended.relations) relations.set(relation.oid, relation)
    return finish(ended, commit, commit.committedAt)
  }

  function logical(message: LogicalMessage, subTxId: number): Assembled | null {
    if (!message.transactional && current === null) return { what: 'message', message }
    const its = transactionFor('a message of a transaction')
    if (message.content.length <= MESSAGE_BYTES) its.messages.push({ message, subTxId })
    return null
  }

  return {
    get within() {
      return current !== null
    },
    push: (frame) => {
      const oid = rowRelation(frame, form)
      if (oid !== null) {
        transactionFor('a row').rows.add(frame, relationOf(oid), idOf(frame))
        return null
      }
      const message = decodeFrame(frame, form)
      if (message === null) return null
      switch (message.tag) {
        case 'begin':
          if (current !== null) throw malformed('a transaction inside another')
          begun = message
          current = open(message.txId)
          return null
        case 'relation':
          if (form === 'plain') relations.set(message.relation.oid, message.relation)
          else transactionFor('a relation').relations.push({ relation: message.relation, subTxId: idOf(frame) })
          return null
        case 'truncate':
          transactionFor('a TRUNCATE').truncates.push({
            relations: message.oids.map(relationOf),
            subTxId: idOf(frame),
          })
          return null
        case 'message':
          return logical(message, idOf(frame))
        case 'commit':
          return commitPlain(message)
        case 'stream-start':
          startStream(message.txId, message.first)
          return null
        case 'stream-stop':
          stopStream()
          return null
        case 'stream-commit':
          return commitStreamed(message)
        case 'stream-abort':
          undo(message.txId, message.subTxId)
          return null
        case 'insert':
        case 'update':
        case 'delete':
          throw malformed('a row whose relation cannot be read')
        case 'type':
        case 'origin':
          return null
      }
    },
    close: () => pool.close(),
  }

  function idOf(frame: Frame): number {
    return form === 'streamed' ? subTransaction(frame) : 0
  }
}

function malformed(found: string): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `the stream has ${found}`,
    'Start capture again; if it comes again, report it with the server version. Nothing was acknowledged.',
  )
}
