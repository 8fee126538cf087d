/** Stages as the processes that they are in production: started, killed, started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url))

export interface StageProcess {
  readonly name: string
  /** Everything it has written to stderr, over all its lives. */
  log(): string
  /** `kill -9`, then started again. */
  crash(): Promise<void>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
}

/** `incidents <arguments>` with this environment. One that ends by itself stays away: its exit code is the test's to see. */
export function startStage(
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): StageProcess {
  let log = ''
  let child: ChildProcess = launch()
  /** One after the other: two at once would start it twice. */
  let crashes: Promise<void> = Promise.resolve()

  function launch(): ChildProcess {
    const started = spawn(process.execPath, [CLI, ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        METRICS_PORT: '0',
        LOG_LEVEL: 'warn',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    started.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()))
    return started
  }

  function ended(): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
    return new Promise((resolve) => child.once('exit', resolve))
  }

  return {
    name,
    log: () => log,
    crash: () => {
      crashes = crashes.then(async () => {
        child.kill('SIGKILL')
        await ended()
        child = launch()
      })
      return crashes
    },
    stop: async () => {
      child.kill('SIGTERM')
      return ended()
    },
  }
}
