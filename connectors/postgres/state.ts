/**
 * What capture keeps in the state directory: the parent index, and which rows are asked for outside the stream. All of it
 * can be made again: the index from the raw topic, the first snapshot by reading it again, a request by asking again.
 */
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { PipelineError } from '../../core/error.ts'
import { BEGINNING, type Position } from '../../core/position.ts'
import { requestStore, REQUEST_SCHEMA, type RequestStore } from './request-store.ts'

export interface CaptureState {
  /** Up to where the parent index is whole; '' when it has never been merged. */
  readonly position: Position
  findParent(table: string, key: string): string | undefined
  /** Merges entries (a null reference removes) and records the position, durably. */
  mergeParents(
    entries: Iterable<readonly [table: string, key: string, reference: string | null]>,
    position: Position,
  ): void
  /** Forgets everything: the slot is new. */
  reset(): void
  /** Forgets the index and begins another. */
  rebuildParents(): Rebuild
  /** By partition, how far the raw topic reached when it was last noted; empty when it never was. */
  readonly ends: readonly number[]
  /** Notes it, durably. */
  keepEnds(ends: readonly number[]): void
  readonly requests: RequestStore
  close(): void
}

/** An index in the making: entries in any order, the newest of a key counts. A crash leaves none. */
export interface Rebuild {
  /** A null reference says that the row is gone. */
  note(entries: Iterable<readonly [table: string, key: string, reference: string | null, at: Position]>): void
  /** Makes it the index, whole up to the position. */
  finish(position: Position): void
}

const VERSION = 4

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS parent (tab TEXT, key TEXT, reference TEXT NOT NULL, PRIMARY KEY (tab, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS position (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS topic_end (part INTEGER PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
  DROP TABLE IF EXISTS snapshot;
  ${REQUEST_SCHEMA}
  PRAGMA user_version=${VERSION};
`

/** STATE_VERSION when a newer version of the pipeline wrote it; DISK_FULL, SINK. */
export function openState(directory: string): CaptureState {
  const file = join(directory, 'capture.sqlite')
  const db = guarded(file, () => new DatabaseSync(file))
  try {
    return captureState(file, db)
  } catch (error) {
    db.close()
    throw error
  }
}

function captureState(file: string, db: DatabaseSync): CaptureState {
  guarded(file, () => db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000'))
  const version = (db.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
  if (version > VERSION) {
    throw new PipelineError(
      'STATE_VERSION',
      `${file} has format ${version}, this version of the pipeline knows ${VERSION}`,
      'Run the newer version again, or move the file away: the index is then made again from the raw topic.',
    )
  }
  if (version < VERSION) inTransaction(db, file, () => db.exec(SCHEMA))
  const find = db.prepare('SELECT reference FROM parent WHERE tab = ? AND key = ?')
  const put = db.prepare('INSERT OR REPLACE INTO parent VALUES (?, ?, ?)')
  const drop = db.prepare('DELETE FROM parent WHERE tab = ? AND key = ?')
  const setPosition = db.prepare('INSERT OR REPLACE INTO position VALUES (1, ?)')
  const findEnds = db.prepare('SELECT next FROM topic_end ORDER BY part')
  const putEnd = db.prepare('INSERT INTO topic_end VALUES (?, ?)')
  const found = db.prepare('SELECT value FROM position').get() as { value: string } | undefined
  let position = (found?.value ?? BEGINNING) as Position
  const requests = requestStore(db, (work) => inTransaction(db, file, work))

  return {
    get position() {
      return position
    },
    findParent: (table, key) => (find.get(table, key) as { reference: string } | undefined)?.reference,
    mergeParents: (entries, to) => {
      inTransaction(db, file, () => {
        for (const [table, key, reference] of entries) applyEntry(put, drop, table, key, reference)
        setPosition.run(to)
      })
      position = to
    },
    reset: () => {
      inTransaction(db, file, () => {
        db.exec('DELETE FROM parent; DELETE FROM position; DELETE FROM topic_end')
        requests.clear()
      })
      position = BEGINNING
    },
    rebuildParents: () => {
      inTransaction(db, file, () => db.exec(REBUILT))
      position = BEGINNING
      const note = db.prepare(NOTE)
      return {
        note: (entries) =>
          inTransaction(db, file, () => {
            for (const entry of entries) note.run(...entry)
          }),
        finish: (to) => {
          inTransaction(db, file, () => {
            db.exec('INSERT INTO parent SELECT tab, key, reference FROM rebuilt WHERE reference IS NOT NULL')
            db.exec('DROP TABLE rebuilt')
            setPosition.run(to)
          })
          position = to
        },
      }
    },
    get ends() {
      return (findEnds.all() as unknown as { next: number }[]).map(({ next }) => next)
    },
    keepEnds: (ends) =>
      inTransaction(db, file, () => {
        db.exec('DELETE FROM topic_end')
        for (const [partition, next] of ends.entries()) putEnd.run(partition, next)
      }),
    requests,
    close: () => db.close(),
  }
}

const REBUILT = `
  DELETE FROM parent;
  DELETE FROM position;
  DROP TABLE IF EXISTS rebuilt;
  CREATE TABLE rebuilt (tab TEXT, key TEXT, reference TEXT, at TEXT NOT NULL, PRIMARY KEY (tab, key)) WITHOUT ROWID;
`
const NOTE = `
  INSERT INTO rebuilt VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET reference = excluded.reference, at = excluded.at WHERE excluded.at >= rebuilt.at`

function applyEntry(
  put: StatementSync,
  drop: StatementSync,
  table: string,
  key: string,
  reference: string | null,
): void {
  if (reference === null) drop.run(table, key)
  else put.run(table, key, reference)
}

function inTransaction(db: DatabaseSync, file: string, work: () => void): void {
  guarded(file, () => {
    try {
      db.exec('BEGIN IMMEDIATE')
      work()
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  })
}

const SQLITE_FULL = 13

/** Runs `work` on a file of the state directory. DISK_FULL when there is no room for it, SINK for everything else. */
export function guarded<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const { code, errcode, message } = cause as { code?: string; errcode?: number; message?: string }
    if (code === 'ENOSPC' || code === 'EDQUOT' || errcode === SQLITE_FULL) {
      throw new PipelineError(
        'DISK_FULL',
        `no space is left on the device of ${file}`,
        'Make room in STATE_DIR; the pipeline goes on where it was.',
        { cause },
      )
    }
    throw new PipelineError(
      'SINK',
      `${file} cannot be used: ${message ?? 'no reason given'}`,
      'Mend the file system of STATE_DIR or its permissions; the pipeline goes on where it was.',
      { cause },
    )
  }
}
