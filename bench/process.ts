/** A stage as a process, with what it costs. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cpuOf, peakRssOf } from './cpu.ts'

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url))

export interface Measured {
  readonly pid: number
  /** User and system time so far, in microseconds. */
  cpuMicros(): number
  peakRssMiB(): number
  stop(): Promise<void>
  /** `kill -9` */
  kill(): Promise<void>
}

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
  })
  const pid = child.pid!
  let ending = false
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
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
    pid,
    cpuMicros: () => cpuOf(pid),
    peakRssMiB: () => peakRssOf(pid),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}
