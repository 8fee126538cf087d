/**
 * The source as a feed: the first snapshot, then the stream. All that pipeline.ts needs of this folder.
 *
 *   start:   preflight → slot is ours → ends of the topic → identity → index → snapshot (first start) → stream
 *   stream:  stream.ts; what the topic holds already: heights.ts; when the slot moves: markers.ts
 */
import type pg from 'pg'
import type { Change, Table, Tuple } from '../../core/change.ts'
import type { Feed } from '../../core/feed.ts'
import { lsnOf, position } from '../../core/position.ts'
import type { Tail } from '../../core/tail.ts'
import { openAcks, type Acks } from './acks.ts'
import { capturedTables, type CapturedTables } from './captured.ts'
import { catalog } from './catalog.ts'
import { CHUNK_BYTES } from './chunks.ts'
import { topicEnds } from './ends.ts'
import { streamHeights } from './heights.ts'
import { slotMarkers } from './markers.ts'
import { parentIndex } from './parents.ts'
import { firstSnapshot } from './first-snapshot.ts'
import { preflight } from './preflight.ts'
import { checkPublication, publicationOid } from './publication.ts'
import { rebuildIndex } from './rebuild.ts'
import { connectReplication, type ReplicationConnection } from './replication.ts'
import { WORKERS } from './reread-request.ts'
import { FIRST_SNAPSHOT, rereads, type Rereads } from './rereads.ts'
import { serverSettings } from './server-settings.ts'
import { connect, disconnect, sourceError } from './session.ts'
import { checkIdentity, claimSlot, ensureSlot, epochOfTails, identify, knownTo, type Slot } from './slot.ts'
import { openShapes, type Shapes } from './shapes.ts'
import { openState, type CaptureState } from './state.ts'
import type { Reached } from './steps.ts'
import { openStops, type Stops } from './stopped.ts'
import { streamFeed } from './stream.ts'

export interface PostgresSource {
  readonly url: string
  readonly slot: string
  readonly publication: string
  /** Of the raw topic. */
  readonly partitions: number
  readonly stateDirectory: string
  /** What each raw partition ends with, in order of partitions; asked once nobody else reads the slot. */
  tails(): Promise<readonly Tail[]>
  /** By partition, the offset of the raw topic's next record. Absent: that the topic was shortened is not noticed. */
  ends?(): Promise<readonly number[]>
  /** Everything in the raw topic, per partition in order: read when the parent index is lost. */
  history(): AsyncIterable<readonly Change[]>
  /** What of a table's file a reader outside the stream reads at once; 8 MiB unless given. */
  readonly chunkBytes?: number
  /** Whether the raw topic can take a table as it is now: rejects with CONTRACT. Absent: it can. */
  accept?(table: Table): Promise<void>
  warn(sentence: string): void
  progress?(table: string, rows: number, expected: number): void
  /** Told between its steps; absent but in tests. */
  readonly reached?: Reached | undefined
}

/** How much of the stream may wait in memory. */
const AHEAD_BYTES = 4 << 20

/** Changes in commit order, from where the raw topic ends. Rejects with the codes of preflight.ts, slot.ts and stream.ts. */
export function postgresFeed(source: PostgresSource, signal: AbortSignal): Feed<Change<Tuple>> {
  const acks = openAcks()
  return acks.of(openedFeed(source, signal, acks))
}

async function* openedFeed(source: PostgresSource, signal: AbortSignal, acks: Acks): Feed<Change<Tuple>> {
  const client = await connect(source.url)
  let replication: ReplicationConnection | null = null
  let state: CaptureState | null = null
  let shapes: Shapes | null = null
  let stops: Stops | null = null
  let rereading: Rereads | null = null
  const stop = (): void => void replication?.close()
  try {
    await preflight(client, source.publication)
    replication = await connectReplication({ url: source.url, aheadBytes: AHEAD_BYTES, reached: source.reached })
    signal.addEventListener('abort', stop)
    await claimSlot(client, source.slot, source.warn)
    const tails = await source.tails()
    state = openState(source.stateDirectory)
    const ends = source.ends === undefined ? null : topicEnds({ state, ends: source.ends })
    await ends?.check(tails)
    const identity = await identify(replication)
    const slot = await ensureSlot(client, replication, source.slot, tails)
    checkIdentity(slot, identity, tails)
    await prepareIndex(state, slot, tails, source)

    const { partitions } = source
    const parents = parentIndex(state)
    const newest = tails.flatMap((tail) => (tail.marker === null ? [] : [tail.marker]))
    const epoch = epochOfTails(tails)
    /** Everything before is durable in every partition: it is dropped when it comes again. */
    const floor = state.position
    const heights = streamHeights({ tails, floor, epoch, confirmed: slot.confirmed })
    const told = newest.flatMap((marker) => marker.stopped.map((table) => ({ table, position: marker.position })))
    const kept = {
      shapes: (shapes = openShapes(source.stateDirectory)),
      stops: (stops = openStops(source.stateDirectory, told)),
    }
    if (slot.exported !== null) {
      kept.shapes.reset()
      kept.stops.reset()
    }
    const { confirm } = replication
    const first = `${FIRST_SNAPSHOT} ${epoch}`
    const markers = slotMarkers({
      slot: slot.name,
      identity,
      epoch,
      partitions,
      from: knownTo(slot, floor, epoch),
      snapshotDone:
        state.requests.find(first)?.done === true ||
        (newest.length === tails.length && newest.every((marker) => marker.snapshotDone)),
      heights,
      parents,
      stopped: kept.stops.names,
      noteTopic: async () => ends?.note(),
      confirm,
      reached: source.reached,
    })
    const tables = capturedTables({
      ...kept,
      catalog: catalog(client),
      requests: { queue: (table) => rereading?.queue(table) },
      epoch,
      accept: source.accept ?? (async () => {}),
      warn: source.warn,
    })
    const progress = source.progress === undefined ? {} : { progress: source.progress }
    if (!markers.snapshotDone) state.requests.add(first, { kind: 'tables', tables: null, sweep: epoch > 1 })
    rereading = rereads({
      url: source.url,
      namespace: source.slot,
      publication: source.publication,
      partitions,
      epoch,
      parents,
      heights,
      markers,
      stops: kept.stops,
      requests: state.requests,
      first,
      chunkBytes: source.chunkBytes ?? CHUNK_BYTES,
      directory: source.stateDirectory,
      history: source.history,
      warn: source.warn,
      ...progress,
    })
    await findPublication(client, source.publication, tables, kept.shapes)
    if (!markers.snapshotDone && slot.exported !== null) {
      yield markers.batch()
      const rows = firstSnapshot({
        url: source.url,
        publication: source.publication,
        exported: slot.exported,
        id: first,
        requests: state.requests,
        placing: { position: position(epoch, slot.confirmed, 0), partitions, parents, streamedTo: heights.of },
        workers: WORKERS,
        chunkBytes: source.chunkBytes ?? CHUNK_BYTES,
        warn: source.warn,
        ...progress,
        signal,
      })
      for await (const batch of rows) {
        yield batch
        if (markers.due()) yield markers.batch()
      }
      if (signal.aborted) return
    }
    // What is not durable yet is not left over: it is known when this marker is.
    const { items, ack } = markers.batch()
    yield { items, ack: () => ack().then(rereading?.begin) }
    const { serverVersion, statusMs } = await serverSettings(client)
    const { publication } = source
    replication.start({ slot: slot.name, publication, serverVersion }, slot.confirmed, statusMs)
    yield* streamFeed({
      replication,
      tables,
      directory: source.stateDirectory,
      epoch,
      partitions,
      parents,
      floor,
      heights,
      markers,
      observer: rereading.observer,
      look: async () => {
        const published = await catalog(client).published(publication)
        await checkPublication(client, publication, {
          published,
          known: tables.known,
          isStopped: (name) => kept.stops.verdict(name) !== null,
          missed: (name) => rereading?.queue(name),
        })
        await tables.look(published, markers.lsn)
      },
      reached: source.reached,
      signal,
    })
  } catch (error) {
    if (signal.aborted) return // stopping ends the connections under whatever waits for them
    throw sourceError(source.url, error)
  } finally {
    const acknowledged = acks.end()
    signal.removeEventListener('abort', stop)
    await replication?.close()
    await rereading?.close()
    await acknowledged
    state?.close()
    shapes?.close()
    stops?.close()
    await disconnect(client)
  }
}

/** What is published now against what was: a publication that was made again may have missed changes in between. */
async function findPublication(
  client: pg.Client,
  publication: string,
  tables: CapturedTables,
  shapes: Shapes,
): Promise<void> {
  const oid = await publicationOid(client, publication)
  if (oid === null) return
  if (tables.known.size === 0) await tables.begin(await catalog(client).published(publication))
  if (shapes.publication !== null && shapes.publication !== oid)
    tables.readAll(`publication ${publication} was dropped and made again`)
  shapes.setPublication(oid)
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
