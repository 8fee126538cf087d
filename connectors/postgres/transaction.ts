/**
 * Transactions that are not committed yet: their rows in memory up to a bound for all of them together, in a file of the
 * state directory beyond it, so that no transaction is too large. A file has no name from its first byte on, so that a
 * crash leaves none behind.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Form, Relation } from './pgoutput.ts'
import type { Frame } from './framing.ts'
import { guarded } from './state.ts'

/** A row's frame, with the relation that was in force when it came. */
export interface TransactionRow {
  readonly frame: Frame
  readonly relation: Relation
}

export interface OpenTransaction {
  readonly txId: number
  readonly form: Form
  /** `subTxId` says whose rollback undoes the row. DISK_FULL, SINK. */
  add(frame: Frame, relation: Relation, subTxId: number): void
  /** The relations of the rows that are left. */
  relations(): Relation[]
  /** Forgets the rows of a subtransaction, and nothing else. */
  undo(subTxId: number): void
  /** The rows in order, as often as asked. SINK when the file cannot be read. */
  rows(): Generator<TransactionRow>
  /** Gives memory and file back. */
  discard(): void
}

export interface TransactionPool {
  open(txId: number, form: Form): OpenTransaction
  /** Discards whatever is open. */
  close(): void
}

export interface PoolOptions {
  /** Where files are made. */
  readonly directory: string
  /** How much all open transactions may hold in memory together. */
  readonly memoryBytes: number
}

interface Held extends TransactionRow {
  readonly subTxId: number
}

interface Spool extends OpenTransaction {
  readonly heldBytes: number
  spill(): void
}

/** Length of the frame, number of the relation, id of the subtransaction. */
const HEADER = 12
const PIECE = 1 << 20

export function transactionPool({ directory, memoryBytes }: PoolOptions): TransactionPool {
  const spools = new Set<Spool>()
  let heldBytes = 0

  function grow(bytes: number): void {
    heldBytes += bytes
    while (heldBytes > memoryBytes) {
      let largest: Spool | null = null
      for (const spool of spools) if (spool.heldBytes > (largest?.heldBytes ?? 0)) largest = spool
      if (largest === null) return
      largest.spill()
    }
  }

  return {
    open: (txId, form) => {
      const path = join(directory, `transaction-${txId}.spill`)
      const spool: Spool = openSpool({ txId, form, path, grow, closed: () => spools.delete(spool) })
      spools.add(spool)
      return spool
    },
    close: () => {
      for (const spool of spools) spool.discard()
    },
  }
}

interface SpoolOptions {
  readonly txId: number
  readonly form: Form
  readonly path: string
  /** Told how many bytes more, or fewer, are held. */
  grow(bytes: number): void
  closed(): void
}

function openSpool({ txId, form, path, grow, closed }: SpoolOptions): Spool {
  const relations: Relation[] = []
  /** By relation, whose rows came with it. */
  const owners: Set<number>[] = []
  const undone = new Set<number>()
  let held: Held[] = []
  let heldBytes = 0
  let lastRelation: Relation | null = null
  let lastOwner = -1
  let file: number | null = null
  let fileBytes = 0

  function own(relation: Relation, subTxId: number): void {
    let at = relations.indexOf(relation)
    if (at === -1) at = relations.push(relation) - 1
    ;(owners[at] ??= new Set()).add(subTxId)
    lastRelation = relation
    lastOwner = subTxId
  }

  function forget(bytes: number): void {
    heldBytes -= bytes
    grow(-bytes)
  }

  function write(): void {
    file ??= openNameless(path)
    const out = Buffer.allocUnsafeSlow(PIECE)
    let at = 0
    for (const { frame, relation, subTxId } of held) {
      const length = frame.end - frame.start
      if (at + HEADER > PIECE) at = flush(out, at)
      out.writeUInt32BE(length, at)
      out.writeUInt32BE(relations.indexOf(relation), at + 4)
      out.writeUInt32BE(subTxId, at + 8)
      at += HEADER
      for (let from = frame.start; from < frame.end;) {
        if (at === PIECE) at = flush(out, at)
        const taken = frame.bytes.copy(out, at, from, Math.min(frame.end, from + PIECE - at))
        at += taken
        from += taken
      }
    }
    flush(out, at)
  }

  /** Appends the first bytes of `out` to the file; returns where the next begin. */
  function flush(out: Buffer, bytes: number): number {
    for (let done = 0; done < bytes;) done += writeSync(file!, out, done, bytes - done, fileBytes + done)
    fileBytes += bytes
    return 0
  }

  function* spilled(): Generator<TransactionRow> {
    if (file === null) return
    for (let at = 0; at < fileBytes;) {
      const piece = read(path, file, at, Math.min(PIECE, fileBytes - at))
      let used = 0
      while (used + HEADER <= piece.length) {
        const length = piece.readUInt32BE(used)
        const start = used + HEADER
        if (start + length > piece.length) break
        const relation = relations[piece.readUInt32BE(used + 4)]!
        if (!undone.has(piece.readUInt32BE(used + 8)))
          yield { frame: { bytes: piece, start, end: start + length }, relation }
        used = start + length
      }
      if (used === 0) {
        const length = piece.readUInt32BE(0)
        const relation = relations[piece.readUInt32BE(4)]!
        if (!undone.has(piece.readUInt32BE(8))) {
          const whole = read(path, file, at + HEADER, length)
          yield { frame: { bytes: whole, start: 0, end: length }, relation }
        }
        used = HEADER + length
      }
      at += used
    }
  }

  return {
    txId,
    form,
    relations: () => relations.filter((_, i) => [...owners[i]!].some((subTxId) => !undone.has(subTxId))),
    get heldBytes() {
      return heldBytes
    },
    add: (frame, relation, subTxId) => {
      if (relation !== lastRelation || subTxId !== lastOwner) own(relation, subTxId)
      held.push({ frame, relation, subTxId })
      heldBytes += frame.end - frame.start
      grow(frame.end - frame.start)
    },
    undo: (subTxId) => {
      undone.add(subTxId)
      let bytes = 0
      held = held.filter(({ frame, subTxId: its }) => {
        if (its === subTxId) bytes += frame.end - frame.start
        return its !== subTxId
      })
      forget(bytes)
    },
    rows: function* () {
      yield* spilled()
      yield* held
    },
    spill: () => {
      guarded(path, write)
      held = []
      forget(heldBytes)
    },
    discard: () => {
      held = []
      forget(heldBytes)
      closed()
      if (file === null) return
      closeSync(file)
      file = null
    },
  }
}

function openNameless(path: string): number {
  const file = openSync(path, 'w+')
  unlinkSync(path)
  return file
}

function read(path: string, file: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  guarded(path, () => {
    for (let done = 0; done < length;) {
      const got = readSync(file, bytes, done, length - done, at + done)
      if (got === 0) throw new RangeError('it is shorter than what was written to it')
      done += got
    }
  })
  return bytes
}
