/** Reading one table: in chunks by a few workers, or some of its rows; and finding those that are gone. */
import type pg from 'pg'
import { tableName, type Table, type Tuple } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import {
  chunkSelection,
  copyRows,
  keySelection,
  planTable,
  publishedTables,
  tableErrors,
  type Published,
  type Selection,
} from './chunks.ts'
import { goneRow, readRows } from './placed.ts'
import type { ReaderSessions } from './reader-sessions.ts'
import type { Chunk, RequestStore } from './request-store.ts'
import { tupleOf, type LiveRow, type LiveRows } from './sweep.ts'
import { allOf, sleep } from './waiting.ts'
import { rowKey } from './watermarks.ts'
import type { Windows } from './windows.ts'

export interface TableReaderOptions {
  readonly publication: string
  /** What of a table's file is read at once. */
  readonly chunkBytes: number
  readonly windows: Windows
  readonly sessions: ReaderSessions
  readonly requests: RequestStore
  readonly signal: AbortSignal
  warn(sentence: string): void
  progress?(table: string, rows: number, expected: number): void
}

/** Of one table of a request; what they return is durable. SOURCE_SCHEMA, GRANT_MISSING. */
export interface TableReader {
  /**
   * Every row, or those that were left over. `rate` is rows a second, at most. False when the table was paused before the
   * last of them: they are left over.
   */
  whole(id: string, published: Published, workers: number, rate: number | null): Promise<boolean>
  some(id: string, published: Published, selections: readonly Selection[]): Promise<void>
  /** The rows of these that the source has no more, within windows: they leave as deletes. */
  sweep(id: string, published: Published, live: LiveRows): Promise<void>
}

/** How many rows are looked up by key in one window. */
export const KEYS = 1_000
/** How often a table that changes under its readers is begun again before it is given up. */
const RESTARTS = 5

export function tableReader(options: TableReaderOptions): TableReader {
  const { publication, windows, sessions, requests, signal, warn } = options

  /** Reads a selection until a window is good; the rows handed on, or null when the table is no longer the planned one. */
  async function readSelection(
    client: pg.Client,
    { table }: Published,
    selection: Selection,
    filenode: string | null,
  ): Promise<number | null> {
    for (let pause = 20; ; pause = Math.min(1_000, pause * 2)) {
      let handedOn = 0
      const verdict = await windows.read(client, table, selection.leaf, async (seen) => {
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
      await sleep(pause, signal)
    }
  }

  async function whole(id: string, published: Published, workers: number, rate: number | null): Promise<boolean> {
    const name = tableName(published.table)
    const part = requests.part(id, name)
    if (part !== null && requests.chunks(id, name).length === 0) return true
    if (requests.isPaused(name)) return false
    const clients = await Promise.all(Array.from({ length: workers }, sessions.open))
    try {
      let fresh = part === null
      for (let restarts = part?.restarts ?? 0; restarts <= RESTARTS; restarts++) {
        if (fresh) {
          const { chunks, expected } = await planTable(clients[0]!, published.table, options.chunkBytes)
          requests.plan(id, name, chunks, expected)
        }
        const verdict = await readChunks(id, published, clients, rate)
        if (verdict !== 'changed') return verdict === 'done'
        fresh = true
        warn(`${name} was rewritten or altered while it was read: it is begun again`)
        published = (await publishedTables(clients[0]!, publication)).get(name) ?? published
      }
    } finally {
      await Promise.all(clients.map(sessions.end))
    }
    throw new PipelineError(
      'SOURCE_SCHEMA',
      `${name} was rewritten or altered ${RESTARTS + 1} times while it was read`,
      'Ask again when its definition is at rest.',
    )
  }

  /** `changed`: the table is no longer what was planned. */
  async function readChunks(
    id: string,
    published: Published,
    clients: readonly pg.Client[],
    rate: number | null,
  ): Promise<'done' | 'paused' | 'changed'> {
    const name = tableName(published.table)
    const left = [...requests.chunks(id, name)]
    let verdict: 'done' | 'paused' | 'changed' = 'done'
    const work = async (client: pg.Client): Promise<void> => {
      while (verdict !== 'changed' && left.length > 0) {
        if (requests.isPaused(name)) {
          if (verdict === 'done') verdict = 'paused'
          return
        }
        const chunk: Chunk | undefined = left.shift()
        if (chunk === undefined) return
        const begun = performance.now()
        const read = await readSelection(client, published, chunkSelection(chunk, published.filter), chunk.filenode)
        if (read === null) {
          verdict = 'changed'
          return
        }
        requests.chunkDone(id, name, chunk, read)
        const part = requests.part(id, name)
        options.progress?.(name, part?.rows ?? 0, part?.expected ?? 0)
        if (rate === null) continue
        await sleep((read / rate) * 1_000 * clients.length - (performance.now() - begun), signal)
      }
    }
    await allOf(clients.map(work))
    return verdict
  }

  async function some(id: string, published: Published, selections: readonly Selection[]): Promise<void> {
    const name = tableName(published.table)
    requests.plan(id, name, [], 0)
    const client = await sessions.open()
    try {
      for (const selection of selections) {
        let read = await readSelection(client, published, selection, null)
        for (let tries = 0; read === null && tries < RESTARTS; tries++) {
          published = (await publishedTables(client, publication)).get(name) ?? published
          read = await readSelection(client, published, selection, null)
        }
        if (read !== null) requests.chunkDone(id, name, null, read)
      }
    } finally {
      await sessions.end(client)
    }
  }

  /** The rows of these that the source has no more, within windows: they leave as deletes. */
  async function sweep(id: string, published: Published, live: LiveRows): Promise<void> {
    const { table } = published
    const name = tableName(table)
    if (table.key.length === 0) return
    const client = await sessions.open()
    try {
      for (const rows of live.of(name, KEYS)) {
        const gone = await sweepRows(client, published, rows)
        if (gone > 0) requests.deleted(id, name, gone)
      }
    } finally {
      await sessions.end(client)
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
      const verdict = await windows.read(client, table, selection.leaf, async () => {
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
      await sleep(pause, signal)
    }
  }

  return { whole, some, sweep }
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
