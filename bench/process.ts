/** A stage as a process, with what it costs. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url))
/** Clock ticks a second of /proc/<pid>/stat on Linux. */
const TICKS = 100

export interface Measured {
  /** User and system time so far, in microseconds. */
  cpuMicros(): number
  peakRssMiB(): number
  stop(): Promise<void>
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
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    cpuMicros: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS
    },
    peakRssMiB: () => {
      const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))
      return Math.round(Number(found?.[1] ?? 0) / 1024)
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
