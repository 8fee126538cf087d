/** Keeping stages running: a fault that may pass is tried again from the stage's own place, every other ends the process. */
import { CODES, PipelineError } from '../core/error.ts'
import { errorFields, type Logger } from '../observability.ts'
import { pause } from '../core/pause.ts'

export type Stage = (signal: AbortSignal) => Promise<void>

/**
 * A stage that fails sooner than this the first time has never worked: its error is the configuration's. Longer than any
 * time that a connection is waited for.
 */
const SETTLED_MS = 15_000
const LONGEST_PAUSE_MS = 30_000

/** Runs the stages until the signal; rejects with the first error that trying again cannot help, the others stopped. */
export async function supervise(stages: ReadonlyMap<string, Stage>, log: Logger, signal: AbortSignal): Promise<void> {
  const stop = new AbortController()
  const all = AbortSignal.any([signal, stop.signal])
  const runs = [...stages].map(async ([name, stage]) => {
    try {
      await persist(name, stage, log, all)
    } finally {
      stop.abort()
    }
  })
  const ended = await Promise.allSettled(runs)
  const failed = ended.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function persist(name: string, stage: Stage, log: Logger, signal: AbortSignal): Promise<void> {
  let settled = false
  let wait = 500
  while (!signal.aborted) {
    const begun = performance.now()
    try {
      await stage(signal)
      return
    } catch (error) {
      if (signal.aborted) return
      const worked = performance.now() - begun >= SETTLED_MS
      settled ||= worked
      if (!settled || !isRetriable(error)) throw error
      wait = worked ? 500 : Math.min(wait * 2, LONGEST_PAUSE_MS)
      log.error(
        { stage: name, ...errorFields(error), againInMs: wait },
        error instanceof Error ? error.message : 'failed',
      )
      await pause(wait, signal)
    }
  }
}

function isRetriable(error: unknown): boolean {
  return error instanceof PipelineError && CODES[error.code].retriable
}
