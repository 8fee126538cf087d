/** The command line as a user has it: a process, its two outputs and its exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PATIENCE_MS } from './patience.ts'

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url))

export interface RunningCommand {
  readonly pid: number
  stdout(): string
  stderr(): string
  signal(name: NodeJS.Signals): void
  /** Resolves when stderr has it; rejects when the command ends before, or when patience ends. */
  says(pattern: RegExp): Promise<void>
  readonly ended: Promise<Ended>
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

export interface Reading {
  /** As behind `| true`: nobody reads stdout. */
  readonly stdout?: 'closed'
}

/** `incidents <arguments>`; nothing of this process's environment reaches it but PATH and HOME. */
export function startCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  reading: Reading = {},
): RunningCommand {
  const began = performance.now()
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH, HOME, METRICS_PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let over = false
  if (reading.stdout === 'closed') child.stdout.destroy()
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = once(child, 'close').then(([code]: (number | null)[]): Ended => {
    over = true
    return { code: code ?? null, stdout, stderr, seconds: (performance.now() - began) / 1000 }
  })
  return {
    pid: child.pid!,
    stdout: () => stdout,
    stderr: () => stderr,
    signal: (name) => void child.kill(name),
    says: async (pattern) => {
      const deadline = performance.now() + PATIENCE_MS
      while (!pattern.test(stderr)) {
        if (over || performance.now() > deadline) throw new Error(`it never said ${pattern}, but:\n${stderr}`)
        await sleep(50)
      }
    },
    ended,
  }
}

export function runCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  reading: Reading = {},
): Promise<Ended> {
  return startCommand(args, environment, reading).ended
}
