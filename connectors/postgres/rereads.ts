/**
 * Reading rows again while the stream runs: what was asked for, a table after the other, parents before children, each in
 * windows between two watermarks (watermarks.ts) by a few workers.
 *
 * A chunk's rows are handed on where its high watermark stands in the stream, a marker right behind them; when that marker
 * is durable the chunk is, and its worker takes the next. So a crash costs at most one chunk per worker.
 */
import { randomUUID } from 'node:crypto'
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { tableName, type Change, type Table, type Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import type { Batch } from '../../core/feed.ts'
import { position, type Lsn } from '../../core/position.ts'
import {
  beginReading,
  chunkSelection,
  copyRows,
  incidentSelection,
  keySelection,
  planTable,
  publishedTables,
  tableErrors,
  type Published,
  type Selection,
} from './chunks.ts'
import type { Heights } from './heights.ts'
import type { Markers } from './markers.ts'
import type { Parents } from './parents.ts'
import { goneRow, readRows, type Placing } from './placed.ts'
import type { Chunk, RequestStore } from './request-store.ts'
import { requestOf, requestPrefix, type Request } from './requests.ts'
import { connect, disconnect } from './session.ts'
import { childrenOf, type Stops } from './stopped.ts'
import type { StreamObserver } from './stream.ts'
import { liveRows, tupleOf, type LiveRow, type LiveRows } from './sweep.ts'
import { rowKey, snapshotOf, watermarkPrefix, watermarks, type Closed } from './watermarks.ts'

export interface RereadOptions {
  readonly url: string
  /** Prefix of requests and watermarks. */
  readonly namespace: string
  readonly publication: string
  readonly partitions: number
  readonly epoch: number
  readonly parents: Parents
  readonly heights: Heights
  readonly markers: Markers
  readonly stops: Stops
  readonly requests: RequestStore
  /** The request that makes the topic whole: its end is what markers tell. */
  readonly first: string
  /** What of a table's file is read at once. */
  readonly chunkBytes: number
  /** For what a sweep remembers. */
  readonly directory: string
  /** Everything in the raw topic, per partition in order. */
  history(): AsyncIterable<readonly Change[]>
  warn(sentence: string): void
  progress?(table: string, rows: number, expected: number): void
}

export interface Rereads {
  readonly observer: StreamObserver
  /** Serves what an earlier process left over, and what is asked for from now on. */
  begin(): void
  /** Reads a table again, and deletes what the source has no more: durable when it returns. */
  queue(table: string): void
  /** Ends what is being read; it goes on where it was. */
  close(): Promise<void>
}

/** The request that makes the topic whole for the first time, with its epoch behind. */
export const FIRST_SNAPSHOT = 'first snapshot of epoch'

export const WORKERS = 2
const BATCH_BYTES = 1 << 20
/** How many rows are looked up by key in one window. */
const KEYS = 1_000
/** How often a table that changes under its readers is begun again before it is given up. */
const RESTARTS = 5
/** How many transactions are remembered before the oldest that may still matter is asked for. */
const REMEMBERED = 50_000

type Verdict = 'done' | 'stale' | 'changed'

/** What a window hands on, made when its high watermark has come. */
type Made = (placing: Placing, closed: Closed) => Change<Tuple>[]

export function rereads(options: RereadOptions): Rereads {
  const { parents, heights, markers, requests, stops, partitions, epoch, namespace, warn } = options
  const marks = watermarks(randomBytes(6).toString('hex'))
  /** Each is made when it is handed on: a marker then counts in what stands before it. */
  const ready: (() => Batch<Change<Tuple>>)[] = []
  const stop = new AbortController()
  const sessions = new Set<pg.Client>()
  let failure: unknown = null
  let serving: Promise<void> | null = null
  let rememberMost = REMEMBERED
  /** Whether a request may be open: at first for what an earlier process left. */
  let asked = true
  let begun = false

  const session = async (): Promise<pg.Client> => {
    const client = await connect(options.url)
    if (stop.signal.aborted) await disconnect(client)
    stop.signal.throwIfAborted()
    sessions.add(client)
    // a standby that is away must not hold up the watermarks
    await client.query('SET synchronous_commit = local')
    return client
  }

  const end = async (client: pg.Client): Promise<void> => {
    sessions.delete(client)
    await disconnect(client)
  }

  async function emit(client: pg.Client, content: string): Promise<void> {
    await client.query('SELECT pg_logical_emit_message(true, $1, $2)', [watermarkPrefix(namespace), content])
  }

  /** Rows to hand on, then a marker; resolves when both are durable. */
  function handOn(changes: readonly Change<Tuple>[], durable: () => void): void {
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
      if (change.op !== 'm') bytes += sizeOf(change.after) + sizeOf(change.before) + 100
      if (bytes >= BATCH_BYTES) cut()
    }
    if (items.length > 0) cut()
    ready.push(marked(durable))
  }

  function marked(durable: () => void): () => Batch<Change<Tuple>> {
    return () => {
      const { items, ack } = markers.batch()
      return { items, ack: () => ack().then(durable) }
    }
  }

  /** One window: reads between the watermarks, and resolves when what it makes is durable. */
  async function inWindow(
    client: pg.Client,
    table: Table,
    leaf: string,
    read: (seen: Awaited<ReturnType<typeof beginReading>>) => Promise<Made | null>,
  ): Promise<Verdict> {
    const settled = Promise.withResolvers<Verdict>()
    let made: Made | null = null
    const window = marks.open(table, (closed) => {
      if (closed.stale) return settled.resolve('stale')
      const { commitLsn, committedAt } = closed.transaction
      const placing: Placing = {
        position: position(epoch, commitLsn, 0),
        committedAt,
        partitions,
        parents,
        streamedTo: heights.of,
      }
      handOn(made!(placing, closed), () => settled.resolve('done'))
    })
    try {
      await emit(client, window.low)
      const seen = await beginReading(client, table, leaf)
      made = await read(seen)
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
      const verdict = await unlessStopped(settled.promise, stop.signal)
      if (marks.remembered > REMEMBERED) marks.forget(snapshot.xmin)
      return verdict
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {})
      throw error
    } finally {
      window.close()
    }
  }

  /** Reads a selection until a window is good; the rows handed on, or null when the table is no longer the planned one. */
  async function readSelection(
    client: pg.Client,
    { table }: Published,
    selection: Selection,
    filenode: string | null,
  ): Promise<number | null> {
    for (let pause = 20; ; pause = Math.min(1_000, pause * 2)) {
      let handedOn = 0
      const verdict = await inWindow(client, table, selection.leaf, async (seen) => {
        if (seen.shape !== shapeOf(table) || (filenode !== null && seen.filenode !== filenode)) return null
        const rows: Tuple[] = []
        for await (const piece of guardedRows(table, copyRows(client, table, selection))) {
          for (const row of piece) rows.push(row)
        }
        return (placing, closed) => {
          const untouched = rows.filter((row) => !closed.touched(table, row))
          handedOn = untouched.length
          return readRows(table, untouched, placing)
        }
      })
      if (verdict === 'done') return handedOn
      if (verdict === 'changed') return null
      await sleep(pause, stop.signal)
    }
  }

  async function readTable(id: string, published: Published, workers: number, rate: number | null): Promise<void> {
    const name = tableName(published.table)
    const part = requests.part(id, name)
    if (part !== null && requests.chunks(id, name).length === 0) return
    const clients = await Promise.all(Array.from({ length: workers }, session))
    try {
      let fresh = part === null
      for (let restarts = part?.restarts ?? 0; restarts <= RESTARTS; restarts++) {
        if (fresh) {
          const { chunks, expected } = await planTable(clients[0]!, published.table, options.chunkBytes)
          requests.plan(id, name, chunks, expected)
        }
        if (await readChunks(id, published, clients, rate)) return
        fresh = true
        warn(`${name} was rewritten or altered while it was read: it is begun again`)
        published = (await publishedTables(clients[0]!, options.publication)).get(name) ?? published
      }
    } finally {
      await Promise.all(clients.map(end))
    }
    throw new PipelineError(
      'SOURCE_SCHEMA',
      `${name} was rewritten or altered ${RESTARTS + 1} times while it was read`,
      'Ask again when its definition is at rest.',
    )
  }

  /** False when the table is no longer what was planned. */
  async function readChunks(
    id: string,
    published: Published,
    clients: readonly pg.Client[],
    rate: number | null,
  ): Promise<boolean> {
    const name = tableName(published.table)
    const left = [...requests.chunks(id, name)]
    let changed = false
    const work = async (client: pg.Client): Promise<void> => {
      while (!changed) {
        const chunk: Chunk | undefined = left.shift()
        if (chunk === undefined) return
        const begun = performance.now()
        const read = await readSelection(client, published, chunkSelection(chunk, published.filter), chunk.filenode)
        if (read === null) {
          changed = true
          return
        }
        requests.chunkDone(id, name, chunk, read)
        const part = requests.part(id, name)
        options.progress?.(name, part?.rows ?? 0, part?.expected ?? 0)
        if (rate === null) continue
        await sleep((read / rate) * 1_000 * clients.length - (performance.now() - begun), stop.signal)
      }
    }
    await allOf(clients.map(work))
    return !changed
  }

  async function readPiece(id: string, published: Published, selections: readonly Selection[]): Promise<void> {
    const name = tableName(published.table)
    requests.plan(id, name, [], 0)
    const client = await session()
    try {
      for (const selection of selections) {
        let read = await readSelection(client, published, selection, null)
        for (let tries = 0; read === null && tries < RESTARTS; tries++) {
          published = (await publishedTables(client, options.publication)).get(name) ?? published
          read = await readSelection(client, published, selection, null)
        }
        if (read !== null) requests.chunkDone(id, name, null, read)
      }
    } finally {
      await end(client)
    }
  }

  /** The rows of these that the source has no more, within windows: they leave as deletes. */
  async function sweepTable(id: string, published: Published, live: LiveRows): Promise<void> {
    const { table } = published
    const name = tableName(table)
    if (table.key.length === 0) return
    const client = await session()
    try {
      for (const rows of live.of(name, KEYS)) {
        const gone = await sweepRows(client, published, rows)
        if (gone > 0) requests.deleted(id, name, gone)
      }
    } finally {
      await end(client)
    }
  }

  async function sweepRows(client: pg.Client, published: Published, rows: readonly LiveRow[]): Promise<number> {
    const { table } = published
    const selection = keySelection(
      published,
      rows.map((row) => row.key),
    )
    for (let pause = 20; ; pause = Math.min(1_000, pause * 2)) {
      let gone = 0
      const verdict = await inWindow(client, table, selection.leaf, async () => {
        const there = new Set<string>()
        for await (const found of guardedRows(table, copyRows(client, table, selection))) {
          for (const row of found) there.add(rowKey(table, row))
        }
        const missing = rows
          .filter((row) => !there.has(JSON.stringify(row.key)))
          .map((row) => ({ ...row, row: tupleOf(table, row.row) }))
        return (placing, closed) => {
          const left = missing.filter(({ row }) => !closed.touched(table, row))
          gone = left.length
          return left.map((row) => goneRow(table, row, placing))
        }
      })
      if (verdict === 'done') return gone
      await sleep(pause, stop.signal)
    }
  }

  async function serve(id: string, request: Request): Promise<void> {
    const client = await session()
    let tables: Map<string, Published>
    try {
      tables = await publishedTables(client, options.publication)
    } finally {
      await end(client)
    }
    const wanted = tablesOf(request, tables, (table) => stops.verdict(table) !== null)
    const heals = request.kind === 'tables' && request.sweep
    // What the stream brings from here on counts again; what it left out is read.
    for (const name of heals ? wanted : []) {
      if (stops.verdict(name) !== null && isInForce(name)) stops.resume(name, position(epoch, markers.lsn, 0))
    }
    for (const name of wanted) {
      if (isOver(requests.part(id, name)?.outcome)) continue
      const published = tables.get(name)
      await coded(id, name, async () => {
        if (published === undefined) throw unpublished(name)
        await read(id, request, published, tables)
      })
    }
    if (request.kind !== 'tables' || request.sweep) await sweep(id, request, wanted, tables)
    for (const name of wanted) {
      if (isOver(requests.part(id, name)?.outcome)) continue
      if (isInForce(name)) {
        warn(`${name} is stopped: what was read of it does not make it whole`)
        requests.partDone(id, name, 'TABLE_STOPPED')
        continue
      }
      requests.partDone(id, name, 'done')
      if (!heals) continue
      stops.lift(name)
      // a child that is not published has no rows to mend
      for (const child of childrenOf(name)) if (!tables.has(child)) stops.lift(child)
    }
    if (id === options.first) markers.snapshotIsWhole()
    const whole = Promise.withResolvers<void>()
    let lsn: Lsn = 0
    ready.push(() => {
      lsn = markers.lsn
      return marked(whole.resolve)()
    })
    await unlessStopped(whole.promise, stop.signal)
    requests.finish(id, lsn)
  }

  async function* history(): AsyncGenerator<readonly Change[]> {
    for await (const changes of options.history()) {
      stop.signal.throwIfAborted()
      yield changes
    }
  }

  /** Whether the stream leaves the table's changes out. */
  function isInForce(table: string): boolean {
    return stops.leavesOut(table, position(epoch, Number.MAX_SAFE_INTEGER, 0))
  }

  async function read(
    id: string,
    request: Request,
    published: Published,
    tables: ReadonlyMap<string, Published>,
  ): Promise<void> {
    switch (request.kind) {
      case 'tables':
        return readTable(id, published, request.workers ?? WORKERS, request.rate ?? null)
      case 'rows':
        return readPiece(
          id,
          published,
          groups(request.keys, KEYS).map((keys) => keySelection(published, keys)),
        )
      case 'incidents': {
        const selections = groups(request.references, KEYS).map((some) => incidentSelection(published, some, tables))
        return readPiece(
          id,
          published,
          selections.filter((each) => each !== null),
        )
      }
    }
  }

  async function sweep(
    id: string,
    request: Request,
    wanted: readonly string[],
    tables: ReadonlyMap<string, Published>,
  ): Promise<void> {
    const live = await liveRows(history(), wantedOf(request, wanted), options.directory)
    try {
      for (const name of wanted) {
        const published = tables.get(name)
        if (published === undefined || isOver(requests.part(id, name)?.outcome)) continue
        await coded(id, name, () => sweepTable(id, published, live))
      }
    } finally {
      live.close()
    }
  }

  /** What keeps one table from being read is its outcome; the others go on. */
  async function coded(id: string, table: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof PipelineError) || !OUTCOMES.has(error.code)) throw error
      warn(`${error.message} (${error.code})`)
      requests.partDone(id, table, error.code)
    }
  }

  async function serveAll(): Promise<void> {
    for (let next = requests.next(); next !== null && !stop.signal.aborted; next = requests.next()) {
      await serve(next.id, next.request)
    }
    if (marks.remembered <= rememberMost) return
    const client = await session()
    const { rows } = await client.query<{ xmin: string }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
    )
    await end(client)
    marks.forget(Number(BigInt.asUintN(32, BigInt(rows[0]!.xmin))))
    rememberMost = Math.max(REMEMBERED, 2 * marks.remembered)
  }

  /** Whether there is something to do is looked at each time the stream rests. */
  function wake(): void {
    if (!begun || serving !== null || stop.signal.aborted || failure !== null) return
    if (!asked && marks.remembered <= rememberMost) return
    asked = false
    serving = serveAll()
      .catch((error: unknown) => {
        if (!stop.signal.aborted) failure = error
      })
      .finally(() => (serving = null))
  }

  function want(id: string, request: Request): void {
    requests.add(id, request)
    asked = true
  }

  return {
    queue: (table) => want(randomUUID(), { kind: 'tables', tables: [table], sweep: true }),
    observer: {
      committed: marks.committed,
      moved: (reference, at) => want(`moved ${at}`, { kind: 'incidents', references: [reference] }),
      message: ({ prefix, content }) => {
        if (prefix === watermarkPrefix(namespace)) return marks.message(content.toString('utf8'))
        if (prefix !== requestPrefix(namespace)) return
        const found = requestOf(content)
        if (found === null) return warn('a request to read rows again is malformed: it is left aside')
        want(found.id, found.request)
      },
      pending: async () => {
        if (failure !== null) throw failure
        wake()
        return ready.shift()?.() ?? null
      },
    },
    begin: () => {
      begun = true
    },
    close: async () => {
      stop.abort(new Error('stopped'))
      for (const client of sessions) client.connection.stream.destroy()
      await serving
    },
  }
}

const OUTCOMES: ReadonlySet<string> = new Set(['SOURCE_SCHEMA', 'PUBLICATION', 'GRANT_MISSING'])

function isOver(outcome: string | undefined): boolean {
  return outcome !== undefined && outcome !== 'reading'
}

function unpublished(table: string): PipelineError {
  return new PipelineError(
    'PUBLICATION',
    `${table} is not published`,
    'Name a table of the publication, as schema.table.',
  )
}

/** A table that stopped has stopped its children: they are healed together. */
function tablesOf(
  request: Request,
  tables: ReadonlyMap<string, Published>,
  isStopped: (table: string) => boolean,
): string[] {
  switch (request.kind) {
    case 'tables': {
      if (request.tables === null) return [...tables.keys()]
      const named = request.tables.flatMap((name) => [
        name,
        ...(request.sweep && isStopped(name)
          ? childrenOf(name).filter((child) => tables.has(child) && isStopped(child))
          : []),
      ])
      const known = [...tables.keys()].filter((name) => named.includes(name))
      return [...known, ...named.filter((name) => !tables.has(name))]
    }
    case 'rows':
      return [request.table]
    case 'incidents':
      return [...tables.values()]
        .filter((each) => incidentSelection(each, request.references, tables) !== null)
        .map(({ table }) => tableName(table))
  }
}

function wantedOf(
  request: Request,
  tables: readonly string[],
): (table: string, key: string, of: string | null) => boolean {
  const names = new Set(tables)
  switch (request.kind) {
    case 'tables':
      return (table) => names.has(table)
    case 'rows': {
      const keys = new Set(request.keys.map((key) => JSON.stringify(key)))
      return (table, key) => table === request.table && keys.has(key)
    }
    case 'incidents': {
      const references = new Set(request.references)
      return (table, _, reference) => names.has(table) && reference !== null && references.has(reference)
    }
  }
}

function shapeOf({ columns }: Table): string {
  return columns.map(({ name, oid, modifier }) => `${name} ${oid} ${modifier}`).join(',')
}

async function* guardedRows<T>(table: Table, rows: AsyncGenerator<T>): AsyncGenerator<T> {
  while (true) {
    const next = await tableErrors(table, () => rows.next())
    if (next.done === true) return
    yield next.value
  }
}

function sizeOf(row: Tuple | null): number {
  return row === null ? 0 : row.end - row.start
}

function groups<T>(items: readonly T[], size: number): T[][] {
  const made: T[][] = []
  for (let at = 0; at < items.length; at += size) made.push(items.slice(at, at + size))
  return made
}

/** All have ended, then the first error: a worker that goes on would use what the others leave. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(work)
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** What is waited for, or the signal's reason. */
function unlessStopped<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => reject(signal.reason as Error)
    if (signal.aborted) return stopped()
    signal.addEventListener('abort', stopped, { once: true })
    waited.finally(() => signal.removeEventListener('abort', stopped)).then(resolve, reject)
  })
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const stopped = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', stopped)
        resolve()
      },
      Math.max(0, ms),
    )
    signal.addEventListener('abort', stopped, { once: true })
  })
}
