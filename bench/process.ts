/** A stage as a process, with what it costs. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cpuOf, peakRssOf } from './cpu.ts'

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url))

export interface Measured {
  /** User and system time so far, in microseconds. */
  cpuMicros(): number
  peakRssMiB(): number
  stop(): Promise<void>
  /** `kill -9` */
  kill(): Promise<void>
}

/**
 * In a session of its own, as services run: the scheduler shares a core among sessions first. Where the benchmark ends
 * without stopping it, it is killed.
 */
export function startMeasured(args: readonly string[], environment: Readonly<Record<string, string>>): Measured {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      METRICS_PORT: '0',
      LOG_LEVEL: 'warn',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const pid = child.pid!
  let ending = false
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      process.off('exit', kill)
      if (!ending) throw new Error(`${args.join(' ')} ended by itself with exit code ${code}`)
      resolve()
    })
  })
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    ending = true
    child.kill(signal)
    await ended
  }
  return {
    cpuMicros: () => cpuOf(pid),
    peakRssMiB: () => peakRssOf(pid),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}
