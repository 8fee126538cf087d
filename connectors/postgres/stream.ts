/** Frames → messages → transactions → Changes, with a marker for each partition whenever one is due. */
import { imageBytes, type Change, type Tuple } from '../../core/change.ts'
import type { Batch, Feed } from '../../core/feed.ts'
import { position, type Position } from '../../core/position.ts'
import { assembler, type CommittedTransaction, type LogicalMessage, type Transaction } from './assembler.ts'
import type { CapturedTables } from './captured.ts'
import { changesOf } from './changes.ts'
import type { Frame } from './framing.ts'
import type { Heights } from './heights.ts'
import type { Markers } from './markers.ts'
import type { Parents } from './parents.ts'
import { keepaliveOf } from './pgoutput.ts'
import type { ReplicationConnection } from './replication.ts'
import type { Reached } from './steps.ts'

export type { CommittedTransaction, LogicalMessage }

/** Sees the stream in commit order, and may put rows of its own between two transactions. */
export interface StreamObserver {
  /**
   * A logical message: one that belongs to a transaction comes behind that transaction's changes, any other where the WAL
   * has it, which is never inside a transaction.
   */
  message(message: LogicalMessage): void
  /**
   * The changes of a transaction, also those that the topic holds already; a large one's in several calls, in order. Once
   * with none for a transaction that changed nothing published, or that every partition holds.
   */
  committed(changes: readonly Change<Tuple>[], transaction: CommittedTransaction): void
  /** A parent row moved to this incident: its descendants did too, and wrote no WAL. May be told again in a replay. */
  moved?(reference: string, at: Position): void
  /**
   * Rows to hand on now, asked between transactions until it gives null: behind each logical message, and each time
   * nothing more has come. The stream stands still until it resolves: for long it gives empty batches instead.
   */
  pending(): Promise<Batch<Change<Tuple>> | null>
}

export interface StreamOptions {
  readonly replication: ReplicationConnection
  readonly tables: CapturedTables
  /** For transactions that do not fit into memory. */
  readonly directory: string
  readonly epoch: number
  readonly partitions: number
  readonly parents: Parents
  /** Everything up to here is durable in every partition. */
  readonly floor: Position
  readonly heights: Heights
  readonly markers: Markers
  readonly observer: StreamObserver | null
  /** Asked every ten seconds, between transactions: a publication that was dropped or changed falls silent. */
  look(): Promise<void>
  readonly reached?: Reached | undefined
  readonly signal: AbortSignal
}

/** How much of all open transactions may lie in memory. */
const MEMORY_BYTES = 8 << 20
const BATCH_BYTES = 1 << 20
/** What a change takes in memory beside its images. */
const HELD_BYTES = 100
const READ_MS = 200
const PING_MS = 1_000
const LOOK_MS = 10_000

/** Ends when the signal says so. Rejects with the codes of replication.ts; MALFORMED_WAL; what `look` rejects with. */
export async function* streamFeed(options: StreamOptions): Feed<Change<Tuple>> {
  const { replication, tables, epoch, partitions, parents, heights, markers, observer, reached, signal } = options
  const transactions = assembler({ directory: options.directory, memoryBytes: MEMORY_BYTES })
  let pingedAt = performance.now()
  let lookedAt = -LOOK_MS
  let items: Change<Tuple>[] = []
  let bytes = 0

  function take(): Batch<Change<Tuple>> {
    const batch = { items, ack: async () => {} }
    items = []
    bytes = 0
    return batch
  }

  async function* pending(): Feed<Change<Tuple>> {
    if (observer === null) return
    for (let batch = await observer.pending(); batch !== null && !signal.aborted; batch = await observer.pending()) {
      if (items.length > 0) yield take()
      yield batch
    }
  }

  const moved = (reference: string, at: Position): void => observer?.moved?.(reference, at)

  async function* committed(of: Transaction): Feed<Change<Tuple>> {
    reached?.('assembled')
    const captured = await tables.of(of)
    if (position(epoch, of.commitLsn, 1) <= options.floor) observer?.committed([], of)
    else {
      for (const run of changesOf(of, { epoch, partitions, parents, captured, moved }, BATCH_BYTES)) {
        observer?.committed(run, of)
        for (const change of run) {
          if (!heights.admit(change)) continue
          items.push(change)
          bytes += HELD_BYTES + imageBytes(change)
        }
        if (bytes >= BATCH_BYTES) yield take()
      }
    }
    reached?.('changed')
    of.discard()
    markers.reached(of.endLsn, of.committedAt)
    for (const message of of.messages) observer?.message(message)
    if (of.messages.length > 0) yield* pending()
  }

  try {
    while (!signal.aborted) {
      let frames: readonly Frame[]
      try {
        frames = await replication.read(READ_MS)
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      if (frames.length > 0) reached?.('received')
      for (const frame of frames) {
        if (signal.aborted) return // also where `pending` was held up: what it held back must not come
        const keepalive = keepaliveOf(frame)
        if (keepalive !== null) {
          if (!transactions.within) markers.reached(keepalive.end, keepalive.clock)
          continue
        }
        const assembled = transactions.push(frame)
        if (assembled === null) continue
        if (assembled.what === 'transaction') yield* committed(assembled.transaction)
        else {
          observer?.message(assembled.message)
          yield* pending()
        }
      }
      if (!transactions.within) {
        yield* pending()
        if (performance.now() - lookedAt >= LOOK_MS) {
          await options.look()
          lookedAt = performance.now()
        }
      }
      if (items.length > 0) yield take()
      if (markers.due()) yield markers.batch()
      if (performance.now() - pingedAt >= PING_MS) {
        pingedAt = performance.now()
        replication.ping()
      }
    }
  } finally {
    transactions.close()
  }
}
