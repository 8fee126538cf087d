/** Capture as a process that somebody starts again whenever it ends, as in production. */
import { fork, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CaptureStep } from '../../connectors/postgres/steps.ts'
import { CODES, type Code } from '../../core/error.ts'

const CHILD = fileURLToPath(new URL('../support/chaos-child.ts', import.meta.url))
const AGAIN_MS = 200
const LOG_LINES = 40

export interface Failpoint {
  readonly step: CaptureStep
  /** The how manieth time it gets there. */
  readonly count: number
}

export interface CaptureProcess {
  /** `kill -9`; resolves when it is gone. It is started again by itself. */
  kill(): Promise<void>
  /** As `kill`, but the next one dies by itself there. */
  failAt(failpoint: Failpoint): Promise<void>
  /** Whether the failpoint has been reached since `failAt`. */
  readonly failed: boolean
  /** Ends without a fault that passes by itself: each needs a person. One sentence each; asked once. */
  takeVerdicts(): string[]
  /** How often it has been started. */
  readonly starts: number
  /** The newest lines of its log. */
  log(): string
  stop(): Promise<void>
}

export function captureProcess(environment: Readonly<Record<string, string>>): CaptureProcess {
  const { PATH = '', HOME = '' } = process.env
  const lines: string[] = []
  let verdicts: string[] = []
  let failpoint: Failpoint | null = null
  let failed = false
  let starts = 0
  let stopped = false
  let child: ChildProcess
  let killed: ChildProcess | null = null
  let gone: Promise<void>

  function launch(): void {
    starts += 1
    const failing = failpoint
    const env = {
      PATH,
      HOME,
      ...environment,
      ...(failing === null ? {} : { FAILPOINT: `${failing.step}:${failing.count}` }),
    }
    const started = fork(CHILD, [], { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let last = ''
    child = started
    started.stderr!.on('data', (chunk: Buffer) => {
      last = chunk.toString()
      lines.push(...last.trimEnd().split('\n'))
      lines.splice(0, Math.max(0, lines.length - LOG_LINES))
    })
    gone = new Promise((resolve) =>
      started.once('close', (code, signal) => {
        const isOurs = killed === started
        if (signal === 'SIGKILL' && !isOurs && failing !== null && failpoint === failing) {
          failed = true
          failpoint = null
        } else if (!isOurs && !stopped) judge(code, last)
        resolve()
        if (!stopped) void sleep(isOurs ? 0 : AGAIN_MS).then(() => stopped || launch())
      }),
    )
  }

  function judge(code: number | null, last: string): void {
    const said = last.trimEnd().split('\n').at(-1) ?? ''
    const name = /^([A-Z_]+): /.exec(said)?.[1] as Code | undefined
    if (name !== undefined && CODES[name]?.retriable) return
    verdicts.push(`capture ended with ${code} and would not have been right to start again: ${said}`)
  }

  async function kill(): Promise<void> {
    const ended = gone
    killed = child
    child.kill('SIGKILL')
    await ended
  }

  launch()
  return {
    kill: async () => {
      failpoint = null
      await kill()
    },
    failAt: async (given) => {
      failpoint = given
      failed = false
      await kill()
    },
    get failed() {
      return failed
    },
    takeVerdicts: () => {
      const taken = verdicts
      verdicts = []
      return taken
    },
    get starts() {
      return starts
    },
    log: () => lines.join('\n'),
    stop: async () => {
      stopped = true
      await kill()
    },
  }
}
