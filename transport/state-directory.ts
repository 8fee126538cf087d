/** The state directory belongs to one process at a time. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PipelineError } from '../core/error.ts'
import { topicFileError } from './embedded-file.ts'

export interface StateDirectory {
  /** Absolute. */
  readonly path: string
  release(): void
}

/** A lock whose database object is collected would be gone. */
const held = new Set<DatabaseSync>()

/**
 * Makes the directory if it is missing and locks it until `release` or the end of the process, however it ends: the
 * lock is one of the operating system's, taken by SQLite. The directory can be entered by other users (PostgreSQL runs
 * as its own); what is private in it has its own mode. STATE_LOCKED when another process has it, CONFIG when the
 * directory cannot be used.
 */
export async function lockStateDirectory(given: string): Promise<StateDirectory> {
  const path = resolve(given)
  const holder = join(path, 'lock.pid')
  const db = openLock(path)
  try {
    db.exec('BEGIN EXCLUSIVE')
    writeFileSync(holder, `${process.pid}\n`)
  } catch (error) {
    db.close()
    const fault = topicFileError(holder, error)
    if (!(fault instanceof PipelineError) || fault.code !== 'STATE_LOCKED') throw fault
    throw new PipelineError(
      'STATE_LOCKED',
      `The state directory ${path} is in use by ${holderText(holder)}.`,
      'End that process, or give this one another STATE_DIR.',
      { cause: error },
    )
  }
  held.add(db)
  return {
    path,
    release: () => {
      if (held.delete(db)) db.close()
    },
  }
}

function openLock(path: string): DatabaseSync {
  try {
    if (!existsSync(path)) {
      mkdirSync(path, { recursive: true })
      chmodSync(path, 0o755) // whatever the umask says
    }
    return new DatabaseSync(join(path, 'lock.sqlite'), { timeout: 0 })
  } catch (error) {
    throw new PipelineError(
      'CONFIG',
      `The state directory ${path} cannot be used: ${(error as Error).message}.`,
      'Give STATE_DIR a directory that this process may write.',
      { cause: error },
    )
  }
}

function holderText(holder: string): string {
  try {
    return `the process ${readFileSync(holder, 'utf8').trim()}`
  } catch {
    return 'another process'
  }
}
