/** Every stage in one process: the embedded runtime. */
import type { DemoIdentity } from '../api/demo-identity.ts'
import { required } from '../config.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import { capture, deliver, governed } from '../pipeline.ts'
import { finishSwap } from '../proof/replay-directories.ts'
import { analyticsDirectory, dprDirectory, embeddedRuntime, type Environment, type Runtime } from '../runtime.ts'
import { SINKS } from '../sinks/names.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'
import { yieldPool } from './background-threads.ts'
import { configuredConsole, consoleStage, type ConsoleStageOptions } from './console.ts'
import { serveMetrics } from './metrics-server.ts'
import { serve } from './serve.ts'
import { supervise, type Stage } from './supervision.ts'

/** Every stage of the embedded runtime on an open runtime; the API trusts `identity` where there is one. */
export function embeddedStages(
  runtime: Runtime,
  identity?: DemoIdentity,
  pages: ConsoleStageOptions | null = null,
): ReadonlyMap<string, Stage> {
  return new Map<string, Stage>([
    ['capture', (signal) => capture(runtime, signal)],
    ['unify', (signal) => governed(runtime, signal)],
    ...SINKS.map((name): [string, Stage] => [name, (signal) => deliver(runtime, name, signal)]),
    ['serve', (signal) => serve(runtime, signal, identity)],
    ...(pages === null
      ? []
      : [['console', (signal) => consoleStage(runtime, pages, signal)] satisfies [string, Stage]]),
  ])
}

export async function runEmbedded(environment: Environment, signal: AbortSignal): Promise<number> {
  const { config, log } = environment
  const url = required(config, 'DATABASE_URL')
  required(config, 'PSEUDONYM_KEY')
  if (config.KAFKA_BROKERS !== undefined) {
    throw new PipelineError(
      'CONFIG',
      'KAFKA_BROKERS is set, but run keeps its topics itself',
      'Unset it, or run capture, unify, deliver and serve.',
    )
  }
  const lock = await lockStateDirectory(config.STATE_DIR)
  try {
    // Where the store lies in the source's database, it must not be the store that is said to be away.
    await answers(url)
    for (const place of [dprDirectory(config), analyticsDirectory(config)]) await finishSwap(place)
    await yieldPool()
    const runtime = await embeddedRuntime(environment)
    const stopMetrics = serveMetrics(environment)
    try {
      await supervise(embeddedStages(runtime, undefined, configuredConsole(config)), log, signal)
    } finally {
      stopMetrics()
      await runtime.transport.close()
    }
  } finally {
    lock.release()
  }
  return EXIT.done
}

/** SOURCE_UNREACHABLE. */
async function answers(url: string): Promise<void> {
  await disconnect(await connect(url))
}
