/** Stages as the processes that they are in production: started, killed, started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../../core/error.ts'

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

/**
 * `incidents <arguments>` with this environment. Where it ends because source or target did not
 * answer it is started again, as compose does.
 */
export function startStage(
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): StageProcess {
  let log = ''
  let wanted = true
  let child: ChildProcess = launch()

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
    started.once('exit', (code) => {
      const mayPass = code === EXIT.source || code === EXIT.target // doubt, contract and the unexpected are for people
      if (!wanted || !mayPass) return
      log += `\n${name} ended with ${code} and is started again\n`
      setTimeout(() => {
        if (wanted && child === started) child = launch()
      }, 500)
    })
    return started
  }

  function ended(): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
    return new Promise((resolve) => child.once('exit', resolve))
  }

  return {
    name,
    log: () => log,
    crash: async () => {
      child.kill('SIGKILL')
      await ended()
      child = launch()
    },
    stop: async () => {
      wanted = false
      child.kill('SIGTERM')
      return ended()
    },
  }
}
