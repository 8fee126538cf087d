/** A folder for what a process works with and nobody keeps; what a killed process left is removed by the next. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError } from './error.ts'

/** Copies of a bucket's files, the keys and hashes of a proof, an answer of the console, a zone that is verified. */
export type Purpose = 'dpr-of' | 'proof' | 'query' | 'verify'

const LEFT = /^incidents-(?:dpr-of|proof|query|verify)-(\d+)-/

/** Its path; only this process's user may enter it. CONFIG when there is no folder for temporary files, DISK_FULL. */
export function scratchFolder(purpose: Purpose): string {
  const parent = tmpdir()
  try {
    removeLeft(parent)
    return mkdtempSync(join(parent, `incidents-${purpose}-${process.pid}-`))
  } catch (error) {
    throw noSpaceFor(error, 'a folder for temporary files') ?? noFolder(parent, error as NodeJS.ErrnoException)
  }
}

/** DISK_FULL in place of an error that says so; null for any other. `what` was to be written. */
export function noSpaceFor(error: unknown, what: string): PipelineError | null {
  if (!/no space left|ENOSPC|disk quota|EDQUOT|max_temp_directory_size/i.test(String(error))) return null
  return new PipelineError(
    'DISK_FULL',
    `No space is left in ${tmpdir()} for ${what}.`,
    'Free space there, or set TMPDIR to a folder on a larger device, and start again.',
    { cause: error },
  )
}

function removeLeft(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = LEFT.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    try {
      rmSync(join(parent, name), { recursive: true, force: true })
    } catch {
      // another user's
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function noFolder(parent: string, { code, message }: NodeJS.ErrnoException): PipelineError {
  return new PipelineError(
    'CONFIG',
    `No folder can be made in ${parent}, where temporary files go (${code ?? message}).`,
    'Set TMPDIR to a folder that this process may write to.',
  )
}
