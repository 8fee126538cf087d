/**
 * One transaction's rows until its commit: in memory up to a bound, in a file of the state directory beyond it, so that
 * no transaction is too large. The file has no name from its first byte on, so that a crash leaves none behind.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Table } from '../../core/change.ts'
import type { Lsn } from '../../core/position.ts'
import type { Frame } from './replication.ts'
import { guarded } from './state.ts'

export interface Transaction {
  readonly commitLsn: Lsn
  readonly committedAt: number
  readonly txId: number
  readonly rows: number
  /** `table` is the relation that was in force when the row came. DISK_FULL, SINK. */
  add(frame: Frame, table: Table): void
  /** The rows in order, as often as asked. SINK when the file cannot be read. */
  frames(): Generator<{ readonly frame: Frame; readonly table: Table }>
  /** Gives the file's space back, if there is one. */
  discard(): void
}

export interface TransactionOptions {
  readonly commitLsn: Lsn
  readonly committedAt: number
  readonly txId: number
  readonly directory: string
  readonly memoryBytes: number
}

const HEADER = 8
const PIECE = 1 << 20

export function openTransaction(options: TransactionOptions): Transaction {
  const { commitLsn, committedAt, txId, directory, memoryBytes } = options
  const path = join(directory, `transaction-${txId}.spill`)
  const tables: Table[] = []
  let held: { readonly frame: Frame; readonly table: Table }[] = []
  let heldBytes = 0
  let rows = 0
  let file: number | null = null
  let fileBytes = 0

  function spill(): void {
    guarded(path, write)
    held = []
    heldBytes = 0
  }

  function write(): void {
    file ??= openNameless(path)
    const out = Buffer.allocUnsafe(heldBytes + held.length * HEADER)
    let at = 0
    for (const { frame, table } of held) {
      let index = tables.indexOf(table)
      if (index === -1) index = tables.push(table) - 1
      out.writeUInt32BE(frame.end - frame.start, at)
      out.writeUInt32BE(index, at + 4)
      at += HEADER + frame.bytes.copy(out, at + HEADER, frame.start, frame.end)
    }
    for (let done = 0; done < at;) done += writeSync(file, out, done, at - done, fileBytes + done)
    fileBytes += at
  }

  function* spilled(): Generator<{ frame: Frame; table: Table }> {
    if (file === null) return
    for (let at = 0; at < fileBytes;) {
      const piece = read(path, file, at, Math.min(PIECE, fileBytes - at))
      let used = 0
      while (used + HEADER <= piece.length) {
        const length = piece.readUInt32BE(used)
        if (used + HEADER + length > piece.length) break
        const start = used + HEADER
        yield { frame: { bytes: piece, start, end: start + length }, table: tables[piece.readUInt32BE(used + 4)]! }
        used = start + length
      }
      if (used === 0) {
        const length = piece.readUInt32BE(0)
        const whole = read(path, file, at + HEADER, length)
        yield { frame: { bytes: whole, start: 0, end: length }, table: tables[piece.readUInt32BE(4)]! }
        used = HEADER + length
      }
      at += used
    }
  }

  return {
    commitLsn,
    committedAt,
    txId,
    get rows() {
      return rows
    },
    add: (frame, table) => {
      held.push({ frame, table })
      heldBytes += frame.end - frame.start
      rows += 1
      if (heldBytes > memoryBytes) spill()
    },
    frames: function* () {
      yield* spilled()
      yield* held
    },
    discard: () => {
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
