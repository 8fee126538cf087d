/** What every command is run by. */
import { parseConfig, type Config } from '../config.ts'
import { EXIT, exitCode, PipelineError } from '../core/error.ts'
import type { Environment } from '../runtime.ts'

/** How long an orderly end may take: a supervisor kills after ten. */
const ORDERLY_MS = 8_000

/** Parses the configuration, runs the command, and turns whatever ends it into one sentence and an exit code. */
export async function main(command: (config: Config, signal: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController()
  let interrupted = false
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      interrupted ||= name === 'SIGINT'
      // Nothing is lost by not waiting: a restart is a recovery.
      if (stop.signal.aborted) process.exit(interrupted ? EXIT.interrupted : EXIT.done)
      setTimeout(() => process.exit(interrupted ? EXIT.interrupted : EXIT.done), ORDERLY_MS).unref()
      stop.abort()
    })
  }
  try {
    const code = await command(parseConfig(process.env), stop.signal)
    process.exitCode = interrupted ? EXIT.interrupted : code
  } catch (error) {
    process.stderr.write(`${sentence(error)}\n`)
    process.exitCode = exitCode(error)
  }
  // What a library leaves open must not keep the process: everything of ours is durable and closed.
  setTimeout(() => process.exit(), 2_000).unref()
}

function sentence(error: unknown): string {
  if (error instanceof PipelineError) return `${error.code}: ${error.message}\n  ${error.remedy}`
  return `UNEXPECTED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}

/** What a stage stands on, with a progress bar where somebody looks. */
export async function environment(config: Config): Promise<Environment> {
  const [{ logger, metrics }, { tableProgress }] = await Promise.all([
    import('../observability.ts'),
    import('./progress.ts'),
  ])
  return { config, log: logger(config.LOG_LEVEL), metrics: metrics(), progress: tableProgress() }
}
