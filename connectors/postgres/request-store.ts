/** What is asked for outside the stream, and how far it is: kept before the LSN of the request is acknowledged. */
import type { DatabaseSync } from 'node:sqlite'
import type { Hold, Request } from './requests.ts'

/** A run of a table's pages. */
export interface Chunk {
  /** The table or partition, quoted. */
  readonly leaf: string
  /** The file that the pages are in: another one has its rows elsewhere. */
  readonly filenode: string
  readonly first: number
  /** The page behind the last. */
  readonly last: number
}

/** One table of a request. */
export interface Part {
  readonly table: string
  /** `reading`, `done`, or the code of what kept the table from being read. */
  readonly outcome: string
  /** Rows handed on so far, and about how many there are. */
  readonly rows: number
  readonly expected: number
  /** Rows deleted because the source has them no more. */
  readonly deleted: number
  /** How often the table was begun again because its file or shape had changed. */
  readonly restarts: number
}

export interface Progress {
  readonly id: string
  readonly request: Request
  readonly done: boolean
  readonly parts: readonly Part[]
  /** The LSN whose marker says that all rows are in the raw topic; 0 until then. */
  readonly lsn: number
}

export interface RequestStore {
  /** Keeps a request; one that is known already is left as it is. */
  add(id: string, request: Request): void
  /** The oldest that is not done and not among these. */
  next(except: ReadonlySet<string>): { readonly id: string; readonly request: Request } | null
  /** Keeps that reading a table outside the stream is held up, or is no longer. */
  hold(tables: readonly string[], kind: Hold['kind']): void
  isPaused(table: string): boolean
  find(id: string): Progress | null
  part(id: string, table: string): Part | null
  /** The chunks of a table that are still to be read. */
  chunks(id: string, table: string): readonly Chunk[]
  /** Begins a table, or begins it again. */
  plan(id: string, table: string, chunks: readonly Chunk[], expected: number): void
  /** A chunk's rows are durable. */
  chunkDone(id: string, table: string, chunk: Chunk | null, rows: number): void
  deleted(id: string, table: string, rows: number): void
  partDone(id: string, table: string, outcome: string): void
  finish(id: string, lsn: number): void
  /** Within a transaction of the caller's. */
  clear(): void
}

export const REQUEST_SCHEMA = `
  CREATE TABLE IF NOT EXISTS request (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body TEXT NOT NULL, done INTEGER NOT NULL, lsn INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS part (
    request TEXT, tab TEXT, outcome TEXT NOT NULL, rows INTEGER NOT NULL, expected INTEGER NOT NULL,
    deleted INTEGER NOT NULL, restarts INTEGER NOT NULL, PRIMARY KEY (request, tab)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS chunk (
    request TEXT, tab TEXT, leaf TEXT, first INTEGER, last INTEGER NOT NULL, filenode TEXT NOT NULL,
    PRIMARY KEY (request, tab, leaf, first)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS paused (tab TEXT PRIMARY KEY) WITHOUT ROWID;`

/** How many finished requests are remembered. */
const REMEMBERED = 1_000

interface RequestRow {
  readonly id: string
  readonly body: string
  readonly done: number
  readonly lsn: number
}

export function requestStore(db: DatabaseSync, inTransaction: (work: () => void) => void): RequestStore {
  const insert = db.prepare(
    'INSERT OR IGNORE INTO request VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM request), ?, 0, 0)',
  )
  const open = db.prepare('SELECT id, body FROM request WHERE done = 0 ORDER BY seq')
  const pause = db.prepare('INSERT OR IGNORE INTO paused VALUES (?)')
  const resume = db.prepare('DELETE FROM paused WHERE tab = ?')
  const paused = db.prepare('SELECT 1 FROM paused WHERE tab = ?')
  const insertPart = db.prepare(
    `INSERT INTO part VALUES (?, ?, 'reading', 0, ?, 0, 0)
     ON CONFLICT DO UPDATE SET rows = 0, expected = excluded.expected, restarts = restarts + 1`,
  )
  const dropChunks = db.prepare('DELETE FROM chunk WHERE request = ? AND tab = ?')
  const insertChunk = db.prepare('INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?)')
  const dropChunk = db.prepare('DELETE FROM chunk WHERE request = ? AND tab = ? AND leaf = ? AND first = ?')
  const addRows = db.prepare('UPDATE part SET rows = rows + ? WHERE request = ? AND tab = ?')
  const addDeleted = db.prepare('UPDATE part SET deleted = deleted + ? WHERE request = ? AND tab = ?')
  const setOutcome = db.prepare(
    `INSERT INTO part VALUES (?, ?, ?, 0, 0, 0, 0) ON CONFLICT DO UPDATE SET outcome = excluded.outcome`,
  )
  const setDone = db.prepare('UPDATE request SET done = 1, lsn = ? WHERE id = ?')
  const chunksOf = db.prepare(
    'SELECT leaf, filenode, first, last FROM chunk WHERE request = ? AND tab = ? ORDER BY leaf, first',
  )
  const partOf = db.prepare(`${PART} AND tab = ?`)

  return {
    add: (id, request) => inTransaction(() => void insert.run(id, JSON.stringify(request))),
    next: (except) => {
      for (const row of open.iterate() as Iterable<unknown> as Iterable<RequestRow>) {
        if (!except.has(row.id)) return { id: row.id, request: JSON.parse(row.body) as Request }
      }
      return null
    },
    hold: (tables, kind) =>
      inTransaction(() => {
        for (const table of tables) (kind === 'pause' ? pause : resume).run(table)
      }),
    isPaused: (table) => paused.get(table) !== undefined,
    find: (id) => progressOf(db, id),
    part: (id, table) => (partOf.get(id, table) as Part | undefined) ?? null,
    chunks: (id, table) => chunksOf.all(id, table) as unknown as Chunk[],
    plan: (id, table, chunks, expected) =>
      inTransaction(() => {
        dropChunks.run(id, table)
        insertPart.run(id, table, expected)
        for (const { leaf, first, last, filenode } of chunks) insertChunk.run(id, table, leaf, first, last, filenode)
      }),
    chunkDone: (id, table, chunk, rows) =>
      inTransaction(() => {
        if (chunk !== null) dropChunk.run(id, table, chunk.leaf, chunk.first)
        addRows.run(rows, id, table)
      }),
    deleted: (id, table, rows) => inTransaction(() => void addDeleted.run(rows, id, table)),
    partDone: (id, table, outcome) =>
      inTransaction(() => {
        dropChunks.run(id, table)
        setOutcome.run(id, table, outcome)
      }),
    finish: (id, lsn) =>
      inTransaction(() => {
        setDone.run(lsn, id)
        db.exec(`DELETE FROM request WHERE done = 1 AND seq <= (SELECT max(seq) FROM request) - ${REMEMBERED}`)
        db.exec('DELETE FROM part WHERE request NOT IN (SELECT id FROM request)')
      }),
    clear: () => db.exec('DELETE FROM request; DELETE FROM part; DELETE FROM chunk; DELETE FROM paused'),
  }
}

const PART = 'SELECT tab AS "table", outcome, rows, expected, deleted, restarts FROM part WHERE request = ?'

/** A request as it stands in a state file, of whichever process; null when it is not there. */
export function progressOf(db: DatabaseSync, id: string): Progress | null {
  const row = db.prepare('SELECT id, body, done, lsn FROM request WHERE id = ?').get(id) as RequestRow | undefined
  if (row === undefined) return null
  const parts = db.prepare(PART).all(id) as unknown as Part[]
  return { id, request: JSON.parse(row.body) as Request, done: row.done === 1, parts, lsn: row.lsn }
}
