/**
 * Row changes as both systems make them, at about so many a second, from a process of their own: a measurement in the
 * same one would wait for them.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { cpuOf } from './cpu.ts'

const LOAD = fileURLToPath(new URL('./arriving-load.ts', import.meta.url))

export interface Arriving {
  /** User and system time so far, in microseconds. */
  cpuMicros(): number
  /** Resolves with how many rows a second were committed. */
  stop(): Promise<number>
}

/** Resolves when they arrive. */
export async function startArriving(url: string, rowsPerSecond: number): Promise<Arriving> {
  const child = fork(LOAD, [url, String(rowsPerSecond)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  let ending = false
  child.once('exit', (code) => {
    if (!ending) throw new Error(`the load ended by itself with exit code ${code}`)
  })
  await once(child, 'message')
  return {
    cpuMicros: () => cpuOf(child.pid!),
    stop: async () => {
      ending = true
      const said = once(child, 'message')
      child.send('stop')
      return Number((await said)[0])
    },
  }
}
