/**
 * Row changes as both systems make them, at about so many a second, from a process of their own: a measurement in the
 * same one would wait for them.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'

const LOAD = fileURLToPath(new URL('./arriving-load.ts', import.meta.url))
/** The load finds its rate by a burst of some hundred rows, which is no part of what is measured. */
const SETTLING_MS = 2_000

/** For as long as `work` takes; with how many rows a second were committed. */
export async function whileArriving<T>(
  url: string,
  rowsPerSecond: number,
  work: () => Promise<T>,
): Promise<{ value: T; rowsPerSecond: number }> {
  const stop = await startArriving(url, rowsPerSecond)
  await pause(SETTLING_MS)
  try {
    const value = await work()
    return { value, rowsPerSecond: await stop() }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Resolves when they arrive; what it gives back ends them, with how many rows a second were committed. */
async function startArriving(url: string, rowsPerSecond: number): Promise<() => Promise<number>> {
  const child = fork(LOAD, [url, String(rowsPerSecond)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: true,
  })
  let ending = false
  child.once('exit', (code) => {
    if (!ending) throw new Error(`the load ended by itself with exit code ${code}`)
  })
  await once(child, 'message')
  return async () => {
    ending = true
    const said = once(child, 'message')
    child.send('stop')
    return Number((await said)[0])
  }
}
