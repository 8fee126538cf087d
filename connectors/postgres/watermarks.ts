/**
 * Rows read beside the stream, and where in it they belong (after Netflix's DBLog).
 *
 *   low watermark → rows are read → high watermark; and in the stream: low … changes … high
 *
 * What the stream changed between the two is dropped from what was read: its own word is newer. All others are as they
 * were at the high watermark, so that is their position. One thing must not be: that the reader's snapshot does not see a
 * transaction which the stream delivered before the low watermark. A commit is in the WAL before it is visible, and with
 * synchronous replication long before; then the rows are read again.
 */
import type { Change, RowChange, Table, Tuple } from '../../core/change.ts'
import { tableName } from '../../core/change.ts'
import type { CommittedTransaction } from './stream.ts'
import { columnText } from './tuples.ts'

/** The prefix of the messages that are watermarks. */
export function watermarkPrefix(namespace: string): string {
  return `${namespace}.watermarks`
}

/** Transaction ids without their epoch, as the stream has them. */
export interface Snapshot {
  readonly xmax: number
  readonly running: readonly number[]
}

/** `pg_current_snapshot()` as text: xmin:xmax:running. */
export function snapshotOf(text: string): Snapshot & { readonly xmin: number } {
  const [xmin = '0', xmax = '0', running = ''] = text.split(':')
  return { xmin: short(xmin), xmax: short(xmax), running: running === '' ? [] : running.split(',').map(short) }
}

function short(xid: string): number {
  return Number(BigInt.asUintN(32, BigInt(xid)))
}

/** Whether one transaction id comes before another: they go round. */
function precedes(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}

export interface Window {
  readonly low: string
  readonly high: string
  /** To be called between the watermarks: what the reader sees, and who had committed already but waits for a standby. */
  saw(snapshot: Snapshot, waiting: readonly number[]): void
  /** The window will not be finished. */
  close(): void
}

/** What the stream says of a window when its high watermark has come. */
export interface Closed {
  /** Whether the reader did not see what the stream had delivered before: to be read again. */
  readonly stale: boolean
  readonly transaction: CommittedTransaction
  /** Whether the stream changed this row inside of the window. */
  touched(table: Table, row: Tuple): boolean
}

export interface Watermarks {
  /** A window over one table; to be opened before its low watermark is written. */
  open(table: Table, closed: (window: Closed) => void): Window
  committed(changes: readonly Change<Tuple>[], transaction: CommittedTransaction): void
  /** A watermark, of the transaction that was committed last. */
  message(content: string): void
  /** How many transactions are remembered because a snapshot might not see them. */
  readonly remembered: number
  /** Every snapshot from now on sees what is before `xmin`. */
  forget(xmin: number): void
}

interface Open {
  readonly table: string
  readonly closed: (window: Closed) => void
  begun: boolean
  /** The newest transaction that was delivered before the low watermark. */
  newest: number | null
  snapshot: Snapshot | null
  waiting: readonly number[]
  readonly transactions: Set<number>
  readonly keys: Set<string>
}

/** `run` tells this process's watermarks from those of an earlier one. */
export function watermarks(run: string): Watermarks {
  const windows = new Map<string, Open>()
  const delivered = new Set<number>()
  let newest: number | null = null
  let last: CommittedTransaction | null = null
  let count = 0

  function isStale({ snapshot, waiting, transactions, newest: before }: Open): boolean {
    if (snapshot === null) return true
    const { xmax, running } = snapshot
    if (before !== null && !precedes(before, xmax)) return true
    if (running.some((xid) => delivered.has(xid) && !transactions.has(xid))) return true
    // committed, and never delivered to this process: an earlier one had it
    const unseen = (xid: number): boolean => running.includes(xid) || !precedes(xid, xmax)
    return waiting.some((xid) => unseen(xid) && !delivered.has(xid))
  }

  return {
    open: (table, closed) => {
      const id = `${run}/${++count}`
      const open: Open = {
        table: tableName(table),
        closed,
        begun: false,
        newest: null,
        snapshot: null,
        waiting: [],
        transactions: new Set(),
        keys: new Set(),
      }
      windows.set(id, open)
      return {
        low: `low ${id}`,
        high: `high ${id}`,
        saw: (snapshot, waiting) => {
          open.snapshot = snapshot
          open.waiting = waiting
        },
        close: () => void windows.delete(id),
      }
    },
    committed: (changes, transaction) => {
      const { txId } = transaction
      last = transaction
      delivered.add(txId)
      if (newest === null || precedes(newest, txId)) newest = txId
      for (const open of windows.values()) {
        if (!open.begun) continue
        open.transactions.add(txId)
        for (const change of changes) {
          if (change.op !== 'm' && tableName(change.table) === open.table) touch(open.keys, change)
        }
      }
    },
    message: (content) => {
      const [kind = '', id = ''] = content.split(' ')
      const open = windows.get(id)
      if (open === undefined || last === null) return
      if (kind === 'low') {
        open.begun = true
        open.newest = newest
        return
      }
      windows.delete(id)
      open.closed({
        stale: !open.begun || isStale(open),
        transaction: last,
        touched: (table, row) => open.keys.size > 0 && open.keys.has(rowKey(table, row)),
      })
    },
    get remembered() {
      return delivered.size
    },
    forget: (xmin) => {
      for (const xid of delivered) if (precedes(xid, xmin)) delivered.delete(xid)
    },
  }
}

function touch(keys: Set<string>, { table, before, after }: RowChange<Tuple>): void {
  if (before !== null) keys.add(rowKey(table, before))
  if (after !== null) keys.add(rowKey(table, after))
}

/** What tells a row from all others: its primary key, or all of it where it has none. */
export function rowKey(table: Table, row: Tuple): string {
  if (table.key.length === 0) return row.bytes.toString('latin1', row.start, row.end)
  return JSON.stringify(keyTexts(table, row))
}

const places = new WeakMap<Table, readonly number[]>()

/** The primary key's values in key order. */
export function keyTexts(table: Table, row: Tuple): string[] {
  let at = places.get(table)
  if (at === undefined) {
    at = table.key.map((name) => table.columns.findIndex((column) => column.name === name))
    places.set(table, at)
  }
  return at.map((index) => columnText(row, index) ?? '')
}
