/** The shapes of the captured tables as they were last seen: what a change of a table is compared with after a restart. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { tableName } from '../../core/change.ts'
import type { Shape } from './schema-change.ts'
import { guarded } from './state.ts'

export interface Shapes {
  /** By `schema.table`. */
  readonly all: ReadonlyMap<string, Shape>
  put(shape: Shape): void
  /** The oid of the publication that these tables were found in; null when none is known. */
  readonly publication: number | null
  setPublication(oid: number): void
  reset(): void
  close(): void
}

/** DISK_FULL, SINK. */
export function openShapes(directory: string): Shapes {
  const file = join(directory, 'shapes.sqlite')
  const db = guarded(file, () => new DatabaseSync(file))
  guarded(file, () =>
    db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;
      CREATE TABLE IF NOT EXISTS shape (tab TEXT PRIMARY KEY, shape TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS publication (only INTEGER PRIMARY KEY CHECK (only = 1), oid INTEGER NOT NULL)`),
  )
  const put = db.prepare('INSERT OR REPLACE INTO shape VALUES (?, ?)')
  const putPublication = db.prepare('INSERT OR REPLACE INTO publication VALUES (1, ?)')
  let publication = (db.prepare('SELECT oid FROM publication').get() as { oid: number } | undefined)?.oid ?? null
  const all = new Map<string, Shape>()
  for (const { tab, shape } of db.prepare('SELECT tab, shape FROM shape').all() as { tab: string; shape: string }[])
    all.set(tab, JSON.parse(shape) as Shape)
  return {
    all,
    put: ({ table, oid, lastColumn, fileNode, numbers }) => {
      const shape: Shape = { table, oid, lastColumn, fileNode, numbers }
      guarded(file, () => put.run(tableName(table), JSON.stringify(shape)))
      all.set(tableName(table), shape)
    },
    get publication() {
      return publication
    },
    setPublication: (oid) => {
      guarded(file, () => putPublication.run(oid))
      publication = oid
    },
    reset: () => {
      guarded(file, () => db.exec('DELETE FROM shape; DELETE FROM publication'))
      all.clear()
      publication = null
    },
    close: () => db.close(),
  }
}
