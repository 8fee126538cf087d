/** The one SQLite file of the embedded topics: how it is opened, what is in it, and how its errors read. */
import { closeSync, mkdirSync, openSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PipelineError } from '../core/error.ts'

/** Rises when a table below changes. */
const FILE_VERSION = 1

/**
 * A log is one partition of one topic. Its records' ids are `log.id * LOG_SPAN + offset`, so that all records lie in
 * one tree, each log in a run of its own, without an index beside it. `cleaned` is how far compaction has come, and
 * `latest` says where each key of the cleaned part was seen last: it is kept by the cleaner, never by the writer.
 * A place's `height` is its note (core/place.ts).
 */
const SCHEMA = `
  CREATE TABLE log (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    next INTEGER NOT NULL, cleaned INTEGER NOT NULL, UNIQUE (topic, partition)
  );
  CREATE TABLE record (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, key BLOB NOT NULL, value BLOB);
  CREATE TABLE latest (
    log INTEGER NOT NULL, key BLOB NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (log, key)
  ) WITHOUT ROWID;
  CREATE TABLE place (
    topic TEXT NOT NULL, reader TEXT NOT NULL, partition INTEGER NOT NULL,
    next INTEGER NOT NULL, height TEXT NOT NULL, PRIMARY KEY (topic, reader, partition)
  ) WITHOUT ROWID;
`

/** Offsets stay below this: 30 years of a million records a day in one partition, times a hundred. */
export const LOG_SPAN = 2 ** 40

export interface TopicFile {
  readonly path: string
  readonly db: DatabaseSync
  /** One durable transaction; nothing of it stays when `work` throws. DISK_FULL, STATE_LOCKED or SINK. */
  transaction<T>(work: () => T): T
  /** One state of the file for everything that `work` reads; it does not write. */
  snapshot<T>(work: () => T): T
  /** Runs `work` with SQLite's errors in the project's words. */
  guard<T>(work: () => T): T
  /** Bytes in use, without pages that wait to be used again. */
  bytes(): number
  close(): void
}

const FILE = 'topics.sqlite'

/** Whether topics have been made in this directory. */
export function holdsTopics(directory: string): boolean {
  return existsSync(join(directory, FILE))
}

/** Opens `topics.sqlite`, made if it is missing. STATE_VERSION when a newer version wrote it. */
export function openTopicFile(directory: string): TopicFile {
  const path = join(directory, FILE)
  const db = guarded(path, () => {
    mkdirSync(directory, { recursive: true })
    closeSync(openSync(path, 'a', 0o600)) // rows in clear: for nobody but the owner; SQLite's other files follow
    return new DatabaseSync(path, { timeout: 5000 })
  })
  try {
    guarded(path, () => prepare(db, path))
  } catch (error) {
    db.close()
    throw error
  }

  const pageSize = Number(db.prepare('PRAGMA page_size').get()!['page_size'])
  const pages = db.prepare(
    'SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count) AS used',
  )
  const look = db.prepare('BEGIN')
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  return {
    path,
    db,
    guard: (work) => guarded(path, work),
    snapshot: (work) =>
      guarded(path, () => {
        if (db.isTransaction) return work()
        look.run()
        try {
          return work()
        } finally {
          commit.run()
        }
      }),
    transaction: (work) =>
      guarded(path, () => {
        begin.run()
        try {
          const result = work()
          commit.run()
          return result
        } catch (error) {
          if (db.isTransaction) db.exec('ROLLBACK')
          throw error
        }
      }),
    bytes: () => Number(pages.get()!['used']) * pageSize,
    close: () => db.close(),
  }
}

function prepare(db: DatabaseSync, path: string): void {
  const version = Number(db.prepare('PRAGMA user_version').get()!['user_version'])
  if (version > FILE_VERSION) {
    throw new PipelineError(
      'STATE_VERSION',
      `The topic file ${path} has format ${version}; this version reads up to ${FILE_VERSION}.`,
      'Start the version that wrote it, or give another STATE_DIR.',
    )
  }
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864')
  if (version === 0) db.exec(`BEGIN; ${SCHEMA} PRAGMA user_version = ${FILE_VERSION}; COMMIT`)
}

const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26

function guarded<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw topicFileError(path, error)
  }
}

/** An error of SQLite or of the file system as the project's own; others stay what they are. */
export function topicFileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PipelineError || !('code' in error)) return error
  const result = 'errcode' in error ? Number(error.errcode) & 0xff : null
  if (result === null && !('syscall' in error)) return error
  if (result === SQLITE_FULL || error.code === 'ENOSPC') {
    return new PipelineError(
      'DISK_FULL',
      `No space is left on the device of the topic file ${path}.`,
      'Free space on it; what was not written is written again by itself.',
      { cause: error },
    )
  }
  if (result === SQLITE_BUSY || result === SQLITE_LOCKED) {
    return new PipelineError(
      'STATE_LOCKED',
      `Another process holds the topic file ${path}.`,
      'End the other process, or give this one another STATE_DIR.',
      { cause: error },
    )
  }
  if (result === SQLITE_CORRUPT || result === SQLITE_NOTADB) {
    return new PipelineError(
      'SINK_FOREIGN',
      `The topic file ${path} is damaged or no topic file: ${error.message}.`,
      'Restore it from a copy, or move it away and take a new snapshot (`source adopt`).',
      { cause: error },
    )
  }
  return new PipelineError(
    'SINK',
    `The topic file ${path} cannot be used: ${error.message}.`,
    'Check the directory, its owner and its device.',
    { cause: error },
  )
}
