/**
 * Serves one request to read rows again: its tables one after the other, parents before children, then what the source
 * has no more. What is done stands in the request store; a crash goes on behind it.
 */
import type { Change } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { position } from '../../core/position.ts'
import { incidentSelection, keySelection, publishedTables, type Published } from './chunks.ts'
import type { Heights } from './heights.ts'
import type { Markers } from './markers.ts'
import type { Parents } from './parents.ts'
import type { ReaderSessions } from './reader-sessions.ts'
import type { RequestStore } from './request-store.ts'
import type { Request } from './requests.ts'
import { childrenOf, type Stops } from './stopped.ts'
import { liveRows } from './sweep.ts'
import { KEYS, tableReader } from './table-reader.ts'
import { tablesOf, wantedOf } from './wanted.ts'
import type { Windows } from './windows.ts'

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

/** How many read one table at once. */
export const WORKERS = 2

interface Reading {
  readonly sessions: ReaderSessions
  readonly beside: Windows
  readonly signal: AbortSignal
}

/** Resolves with false when a table that is paused keeps the request from being done: the others of it are. */
export function requestReader(
  options: RereadOptions,
  { sessions, beside, signal }: Reading,
): (id: string, request: Request) => Promise<boolean> {
  const { markers, requests, stops, epoch, warn } = options
  const reader = tableReader({ ...options, windows: beside, sessions, signal })

  async function serve(id: string, request: Request): Promise<boolean> {
    const client = await sessions.open()
    let tables: Map<string, Published>
    try {
      tables = await publishedTables(client, options.publication)
    } finally {
      await sessions.end(client)
    }
    const wanted = tablesOf(request, tables, (table) => stops.verdict(table) !== null)
    const heals = request.kind === 'tables' && request.sweep
    // What the stream brings from here on counts again; what it left out is read.
    for (const name of heals ? wanted : []) {
      if (stops.verdict(name) !== null && isInForce(name)) stops.resume(name, position(epoch, markers.lsn, 0))
    }
    const heldUp = new Set<string>()
    for (const name of wanted) {
      if (isOver(requests.part(id, name)?.outcome)) continue
      const published = tables.get(name)
      await coded(id, name, async () => {
        if (published === undefined) throw unpublished(name)
        // a child's rows find their incident by their parents': they wait for them
        const waits = [...heldUp].some((parent) => childrenOf(parent).includes(name))
        if (waits || !(await read(id, request, published, tables))) heldUp.add(name)
      })
    }
    const whole = wanted.filter((name) => !heldUp.has(name))
    if (whole.length > 0 && (request.kind !== 'tables' || request.sweep)) await sweep(id, request, whole, tables)
    for (const name of whole) {
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
    if (heldUp.size > 0) return false
    if (id === options.first) markers.snapshotIsWhole()
    requests.finish(id, await beside.marked())
    return true
  }

  async function* history(): AsyncGenerator<readonly Change[]> {
    for await (const changes of options.history()) {
      signal.throwIfAborted()
      yield changes
    }
  }

  /** Whether the stream leaves the table's changes out. */
  function isInForce(table: string): boolean {
    return stops.leavesOut(table, position(epoch, Number.MAX_SAFE_INTEGER, 0))
  }

  /** False when the table was paused before it was whole. */
  async function read(
    id: string,
    request: Request,
    published: Published,
    tables: ReadonlyMap<string, Published>,
  ): Promise<boolean> {
    switch (request.kind) {
      case 'tables':
        return reader.whole(id, published, request.workers ?? WORKERS, request.rate ?? null)
      case 'rows':
        await reader.some(
          id,
          published,
          groups(request.keys, KEYS).map((keys) => keySelection(published, keys)),
        )
        return true
      case 'incidents': {
        const selections = groups(request.references, KEYS).map((some) => incidentSelection(published, some, tables))
        await reader.some(
          id,
          published,
          selections.filter((each) => each !== null),
        )
        return true
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
        await coded(id, name, () => reader.sweep(id, published, live))
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

  return serve
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

function groups<T>(items: readonly T[], size: number): T[][] {
  const made: T[][] = []
  for (let at = 0; at < items.length; at += size) made.push(items.slice(at, at + size))
  return made
}
