/**
 * Windows between two watermarks (watermarks.ts), read beside the stream. What a window makes is handed on where its high
 * watermark stands in the stream, a marker right behind it: when that marker is durable, the window is.
 */
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { imageBytes, type Change, type Table, type Tuple } from '../../core/change.ts'
import type { Batch } from '../../core/feed.ts'
import { pause } from '../../core/pause.ts'
import { position, type Lsn } from '../../core/position.ts'
import { beginReading, type Seen } from './chunks.ts'
import type { Heights } from './heights.ts'
import type { Markers } from './markers.ts'
import { watchedParents, type Parents } from './parents.ts'
import type { Placing } from './placed.ts'
import type { StreamObserver } from './stream.ts'
import { unlessStopped } from './waiting.ts'
import { snapshotOf, watermarkPrefix, watermarks, type Closed } from './watermarks.ts'

export interface WindowOptions {
  /** Prefix of watermarks. */
  readonly namespace: string
  readonly partitions: number
  readonly epoch: number
  readonly parents: Parents
  readonly heights: Heights
  readonly markers: Markers
  readonly signal: AbortSignal
}

/** `stale`: to be read again. `changed`: the table is no longer the one that was planned. */
export type Verdict = 'done' | 'stale' | 'changed'

/** What a window hands on, made when its high watermark has come. */
export type Made = (placing: Placing, closed: Closed) => Change<Tuple>[]

export interface Windows {
  /** Reads between the watermarks; resolves when what it makes is durable. `between` gives null when the table has changed. */
  read(client: pg.Client, table: Table, leaf: string, between: (seen: Seen) => Promise<Made | null>): Promise<Verdict>
  /** Resolves with the LSN of a marker behind everything handed on so far, when it is durable. */
  marked(): Promise<Lsn>
  /**
   * What is to be handed on next; null when there is nothing. Behind a window that moved parents it is empty batches,
   * until the window's marker is durable: a replay does not read the window again, so what the stream routes by it must
   * not come before the index keeps it. Empty ones, since whoever no longer listens can end no waiting.
   */
  next(): Promise<Batch<Change<Tuple>> | null>
  readonly committed: StreamObserver['committed']
  /** A watermark of the stream. */
  message(content: string): void
  /** Whether so many transactions are remembered that the oldest which may still matter should be asked for. */
  readonly rememberTooMuch: boolean
  /** Asks for it, and forgets the older ones. */
  forget(client: pg.Client): Promise<void>
}

const BATCH_BYTES = 1 << 20
const HELD_MS = 100
const NOTHING: Batch<Change<Tuple>> = { items: [], ack: async () => {} }
/** How many transactions are remembered before the oldest that may still matter is asked for. */
const REMEMBERED = 50_000

export function windows(options: WindowOptions): Windows {
  const { namespace, partitions, epoch, parents, heights, markers, signal } = options
  const marks = watermarks(randomBytes(6).toString('hex'))
  /** Each is made when it is handed on: a marker then counts in what stands before it. */
  const ready: (() => Batch<Change<Tuple>>)[] = []
  /** What the stream waits for. */
  let held: Promise<void> | null = null
  let rememberMost = REMEMBERED

  async function emit(client: pg.Client, content: string): Promise<void> {
    await client.query('SELECT pg_logical_emit_message(true, $1, $2)', [watermarkPrefix(namespace), content])
  }

  /** Rows to hand on, then a marker; `durable` is told when both are. `moved` holds the stream until then. */
  function handOn(changes: readonly Change<Tuple>[], moved: boolean, durable: () => void): void {
    let items: Change<Tuple>[] = []
    let bytes = 0
    const cut = (): void => {
      const batch = { items, ack: async () => {} }
      ready.push(() => batch)
      items = []
      bytes = 0
    }
    for (const change of changes) {
      items.push(change)
      bytes += 100 + imageBytes(change)
      if (bytes >= BATCH_BYTES) cut()
    }
    if (items.length > 0) cut()
    if (!moved) return void ready.push(marked(durable))
    ready.push(() => {
      const whole = Promise.withResolvers<void>()
      held = whole.promise
      return marked(() => {
        held = null
        whole.resolve()
        durable()
      })()
    })
  }

  function marked(durable: () => void): () => Batch<Change<Tuple>> {
    return () => {
      const { items, ack } = markers.batch()
      return { items, ack: () => ack().then(durable) }
    }
  }

  /** One window: reads between the watermarks, and resolves when what it makes is durable. */
  async function read(
    client: pg.Client,
    table: Table,
    leaf: string,
    between: (seen: Seen) => Promise<Made | null>,
  ): Promise<Verdict> {
    const settled = Promise.withResolvers<Verdict>()
    let made: Made | null = null
    const window = marks.open(table, (closed) => {
      if (closed.stale) return settled.resolve('stale')
      const { commitLsn, committedAt } = closed.transaction
      const watched = watchedParents(parents)
      const placing: Placing = {
        position: position(epoch, commitLsn, 0),
        committedAt,
        partitions,
        parents: watched.parents,
        streamedTo: heights.of,
      }
      const changes = made!(placing, closed)
      handOn(changes, watched.changed, () => settled.resolve('done'))
    })
    try {
      await emit(client, window.low)
      const seen = await beginReading(client, table, leaf)
      made = await between(seen)
      await client.query('COMMIT')
      if (made === null) return 'changed'
      const { rows } = await client.query<{ xid: string }>(
        `SELECT backend_xid::text AS xid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND wait_event = 'SyncRep'`,
      )
      const snapshot = snapshotOf(seen.snapshot)
      window.saw(
        snapshot,
        rows.map(({ xid }) => Number(xid)),
      )
      await emit(client, window.high)
      const verdict = await unlessStopped(settled.promise, signal)
      if (marks.remembered > REMEMBERED) marks.forget(snapshot.xmin)
      return verdict
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {})
      throw error
    } finally {
      window.close()
    }
  }

  return {
    read,
    marked: async () => {
      const whole = Promise.withResolvers<void>()
      let lsn: Lsn = 0
      ready.push(() => {
        lsn = markers.lsn
        return marked(whole.resolve)()
      })
      await unlessStopped(whole.promise, signal)
      return lsn
    },
    next: async () => {
      if (held !== null) await Promise.race([held, pause(HELD_MS, signal)])
      return held === null ? (ready.shift()?.() ?? null) : NOTHING
    },
    committed: marks.committed,
    message: marks.message,
    get rememberTooMuch() {
      return marks.remembered > rememberMost
    },
    forget: async (client) => {
      const { rows } = await client.query<{ xmin: string }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
      )
      marks.forget(Number(BigInt.asUintN(32, BigInt(rows[0]!.xmin))))
      rememberMost = Math.max(REMEMBERED, 2 * marks.remembered)
    },
  }
}
