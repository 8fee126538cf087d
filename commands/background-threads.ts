/** The pool's threads (files; what DuckDB writes, publishes, flushes) give way to the thread that carries and answers. */
import { readdir, readFile } from 'node:fs/promises'
import { getPriority, setPriority } from 'node:os'
import { platform } from 'node:process'

/** Of the scheduler's forty steps; at ten a thread gets a ninth of what one beside it gets, and all of an idle core. */
const STEPS_BELOW = 10
const LOWEST = 19
const POOL = 'libuv-worker'

/**
 * Lowers the priority of this process's pool; a thread that one of them starts inherits it, so DuckDB is to be opened
 * later. Once, at the start. Does nothing where threads have no priority of their own (anywhere but on Linux).
 */
export async function yieldPool(): Promise<void> {
  if (platform !== 'linux') return
  await readFile('/proc/self/comm') // the pool starts with the first file, where nothing asked for one yet
  const priority = Math.min(LOWEST, getPriority() + STEPS_BELOW)
  for (const task of await readdir('/proc/self/task')) {
    if ((await nameOf(task)) === POOL) lower(Number(task), priority)
  }
}

async function nameOf(task: string): Promise<string> {
  return (await readFile(`/proc/self/task/${task}/comm`, 'utf8').catch(() => '')).trim()
}

/** Where the system refuses, the thread goes on as it is. */
function lower(task: number, priority: number): void {
  try {
    setPriority(task, priority)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error
  }
}
