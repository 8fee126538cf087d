/**
 * The source as a feed: the first snapshot, then the stream. All that pipeline.ts needs of this folder.
 *
 *   start:   preflight → slot is ours → ends of the topic → identity → index → snapshot (first start) → stream
 *   stream:  frames → messages → transactions → Changes, and once a second a marker for each partition
 *   ack:     a marker that is durable in the raw topic moves the index, then the slot; nothing else does
 */
import { lsnOf, position, epochOf, type Lsn, type Position } from '../../core/position.ts'
import type { Change, Marker, Table, Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import type { Batch, Feed } from '../../core/feed.ts'
import type { Tail } from '../../core/tail.ts'
import { catalog } from './catalog.ts'
import { changesOf } from './changes.ts'
import { parentIndex, type Parents } from './parents.ts'
import { decodeFrame, type WalMessage } from './pgoutput.ts'
import { preflight } from './preflight.ts'
import { rebuildIndex } from './rebuild.ts'
import { connectReplication, keepaliveEnd, type Frame, type ReplicationConnection } from './replication.ts'
import { connect, disconnect, sourceError } from './session.ts'
import { checkIdentity, claimSlot, doubt, ensureSlot, identify, type Slot, type SourceIdentity } from './slot.ts'
import { snapshotFeed } from './snapshot.ts'
import { openState, type CaptureState } from './state.ts'
import { openTransaction, type Transaction } from './transaction.ts'

export interface PostgresSource {
  readonly url: string
  readonly slot: string
  readonly publication: string
  /** Of the raw topic. */
  readonly partitions: number
  readonly stateDirectory: string
  /** What each raw partition ends with, in order of partitions; asked once nobody else reads the slot. */
  tails(): Promise<readonly Tail[]>
  /** Everything in the raw topic, per partition in order: read when the parent index is lost. */
  history(): AsyncIterable<readonly Change[]>
  warn(sentence: string): void
  progress?(table: string, rows: number, expected: number): void
}

/** How much of the stream may wait in memory, of frames and of one transaction alike. */
const AHEAD_BYTES = 16 << 20
const BATCH_BYTES = 1 << 20
const MARKER_MS = 1_000
const IDLE_MARKER_MS = 5_000

/**
 * Changes in commit order, from where the raw topic ends. Rejects with the codes of preflight.ts, slot.ts and
 * replication.ts; MALFORMED_WAL; TABLE_STOPPED on a TRUNCATE.
 */
export async function* postgresFeed(source: PostgresSource, signal: AbortSignal): Feed<Change<Tuple>> {
  const client = await connect(source.url)
  let replication: ReplicationConnection | null = null
  let state: CaptureState | null = null
  let run: ReturnType<typeof capture> | null = null
  const stop = (): void => void replication?.close()
  try {
    await preflight(client, source.publication)
    replication = await connectReplication({ url: source.url, aheadBytes: AHEAD_BYTES })
    signal.addEventListener('abort', stop)
    await claimSlot(client, source.slot, source.warn)
    const tails = await source.tails()
    const identity = await identify(replication)
    const slot = await ensureSlot(client, replication, source.slot, tails)
    checkIdentity(slot, identity, tails)
    state = openState(source.stateDirectory)
    await prepareIndex(state, slot, tails, source)
    run = capture(source, { slot, identity, tails, state, replication })
    if (!run.snapshotWhole()) {
      const tables = await catalog(client).published(source.publication)
      yield* run.snapshot(client, tables, signal)
    }
    const { rows } = await client.query<{ ms: string }>(
      `SELECT setting AS ms FROM pg_settings WHERE name = 'wal_sender_timeout'`,
    )
    const timeoutMs = Number(rows[0]?.ms ?? 0)
    replication.start({ slot: slot.name, publication: source.publication }, slot.confirmed, statusInterval(timeoutMs))
    yield* run.stream(catalog(client).table, signal)
  } catch (error) {
    if (signal.aborted) return // stopping ends the connections under whatever waits for them
    throw sourceError(source.url, error)
  } finally {
    signal.removeEventListener('abort', stop)
    await replication?.close()
    run?.close()
    state?.close()
    await disconnect(client)
  }
}

/** A third of the server's patience, ten seconds where it is endless. */
function statusInterval(walSenderTimeoutMs: number): number {
  return walSenderTimeoutMs === 0 ? 10_000 : Math.max(100, Math.min(10_000, walSenderTimeoutMs / 3))
}

async function prepareIndex(
  state: CaptureState,
  slot: Slot,
  tails: readonly Tail[],
  source: PostgresSource,
): Promise<void> {
  if (slot.exported !== null) {
    state.reset()
    return
  }
  const markers = tails.flatMap((tail) => (tail.marker === null ? [] : [tail.marker.position]))
  if (markers.length === 0 || (state.position !== '' && lsnOf(state.position) >= slot.confirmed)) return
  source.warn('the parent index is missing or behind: making it again from the raw topic')
  await rebuildIndex(state, source.history(), markers.toSorted()[0]!)
}

interface Capture {
  readonly slot: Slot
  readonly identity: SourceIdentity
  readonly tails: readonly Tail[]
  readonly state: CaptureState
  readonly replication: ReplicationConnection
}

function capture(source: PostgresSource, { slot, identity, tails, state, replication }: Capture) {
  const { partitions } = source
  const parents: Parents = parentIndex(state)
  const markers = tails.flatMap((tail) => (tail.marker === null ? [] : [tail.marker]))
  const epoch = markers[0] === undefined ? 1 : epochOf(markers[0].position)
  const heights: Position[] = tails.map((tail) => tail.height)
  /** Everything before is durable in every partition: it is dropped when it comes again. */
  const floor = state.position
  /** Ends of partitions that the replay must meet: proof that the source is still the one that wrote them. */
  const expected = new Map(
    tails.entries().filter(([, tail]) => tail.height > floor && lsnOf(tail.height) >= slot.confirmed),
  )
  let snapshotDone = markers.length === tails.length && markers.every((marker) => marker.snapshotDone)
  let reached: Lsn = slot.confirmed
  let asOf = Date.now() * 1000
  let transaction: Transaction | null = null
  let marked: Lsn = 0
  let markedAt = 0

  function markerBatch(): Batch<Change<Tuple>> {
    const lsn = reached
    const at = position(epoch, lsn, 0)
    marked = lsn
    markedAt = performance.now()
    const items = heights.map((streamedTo, partition): Marker => ({
      op: 'm',
      slot: slot.name,
      systemIdentifier: identity.systemIdentifier,
      timeline: identity.timeline,
      snapshotDone,
      position: at,
      lsn,
      committedAt: asOf,
      txId: 0,
      partition,
      offset: -1,
      streamedTo,
      lastInTransaction: true,
      bytes: 0,
    }))
    return {
      items,
      ack: async () => {
        parents.merge(at)
        replication.confirm(lsn)
      },
    }
  }

  function markerIsDue(): boolean {
    return performance.now() - markedAt >= (reached > marked ? MARKER_MS : IDLE_MARKER_MS)
  }

  async function* snapshot(
    client: Parameters<typeof snapshotFeed>[0]['client'],
    tables: readonly Table[],
    signal: AbortSignal,
  ): Feed<Change<Tuple>> {
    yield markerBatch()
    const done = state.snapshotTables()
    const rows = snapshotFeed({
      client,
      tables: tables.filter((table) => !done.has(`${table.schema}.${table.name}`)),
      exported: slot.exported,
      position: markers[0]?.position ?? position(epoch, slot.confirmed, 0),
      partitions,
      parents,
      streamedTo: (partition) => heights[partition] ?? ('' as Position),
      done: (table) => {
        parents.merge(position(epoch, slot.confirmed, 0))
        state.snapshotTable(table)
      },
      ...(source.progress === undefined ? {} : { progress: source.progress }),
      signal,
    })
    for await (const batch of rows) {
      yield batch
      if (markerIsDue()) yield markerBatch()
    }
    if (signal.aborted) return
    snapshotDone = true
    yield markerBatch()
  }

  /** Whether the change is to be written: not in the topic yet, and of the history that the topic knows. */
  function isNew(change: Change<Tuple>): boolean {
    const tail = expected.get(change.partition)
    if (tail !== undefined && change.position >= tail.height) {
      const { last } = tail
      const same =
        change.position === tail.height &&
        (last === null || (last.txId === change.txId && last.committedAt === change.committedAt))
      if (!same) throw doubt('the source sends another history than the raw topic holds: it was restored to the past')
      expected.delete(change.partition)
    }
    if (change.position <= (heights[change.partition] ?? '')) return false
    heights[change.partition] = change.position
    return true
  }

  async function* stream(tableOf: ReturnType<typeof catalog>['table'], signal: AbortSignal): Feed<Change<Tuple>> {
    const relations = new Map<number, Table>()
    let pingedAt = performance.now()
    let items: Change<Tuple>[] = []
    let bytes = 0
    const take = (): Batch<Change<Tuple>> => {
      const batch = { items, ack: async () => {} }
      items = []
      bytes = 0
      return batch
    }

    while (!signal.aborted) {
      let frames: readonly Frame[]
      try {
        frames = await replication.read(200)
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      for (const frame of frames) {
        const end = keepaliveEnd(frame)
        if (end !== null) {
          if (transaction !== null) continue
          reached = Math.max(reached, end)
          asOf = Math.max(asOf, clockOf(frame))
          continue
        }
        const message = decodeFrame(frame) as WalMessage
        switch (message.tag) {
          case 'begin':
            transaction = openTransaction({ ...message, directory: source.stateDirectory, memoryBytes: AHEAD_BYTES })
            break
          case 'relation':
            relations.set(message.relation.oid, await tableOf(message.relation))
            break
          case 'insert':
          case 'update':
          case 'delete':
            transaction?.add(frame, relationOf(relations, message.oid))
            break
          case 'truncate':
            throw truncated(message.oids.map((oid) => relationOf(relations, oid)))
          case 'commit': {
            if (transaction === null) break
            if (position(epoch, message.commitLsn, 1) > floor) {
              for (const run of changesOf(transaction, { epoch, partitions, parents }, BATCH_BYTES)) {
                for (const change of run) if (isNew(change)) items.push(change)
                if (run.length > 0) bytes += 200 * run.length
                if (bytes >= BATCH_BYTES) yield take()
              }
            }
            transaction.discard()
            reached = Math.max(reached, message.endLsn)
            asOf = Math.max(asOf, transaction.committedAt)
            transaction = null
            break
          }
          case 'message':
          case 'type':
          case 'origin':
            break
        }
      }
      if (items.length > 0) yield take()
      if (markerIsDue()) yield markerBatch()
      if (performance.now() - pingedAt >= MARKER_MS) {
        pingedAt = performance.now()
        replication.ping()
      }
    }
  }

  return { snapshotWhole: () => snapshotDone, snapshot, stream, close: () => transaction?.discard() }
}

/** The server's clock in a keepalive, in microseconds since 1970. */
function clockOf({ bytes, start }: Frame): number {
  return Number(bytes.readBigInt64BE(start + 9)) + 946_684_800_000_000
}

function relationOf(relations: ReadonlyMap<number, Table>, oid: number): Table {
  const table = relations.get(oid)
  if (table !== undefined) return table
  throw new PipelineError(
    'MALFORMED_WAL',
    `the stream has a row of relation ${oid} before the relation itself`,
    'Start capture again; if it comes again, report it with the server version. Nothing was acknowledged.',
  )
}

function truncated(tables: readonly Table[]): PipelineError {
  const names = tables.map((table) => `${table.schema}.${table.name}`).join(', ')
  return new PipelineError(
    'TABLE_STOPPED',
    `${names} was truncated: its rows are gone from the source without a change for each`,
    'Find out who truncated it; `incidents repair` makes every place equal to the source again.',
  )
}
