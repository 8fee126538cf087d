/** One stage as a process on Kafka. */
import { setFlagsFromString } from 'node:v8'
import { required } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { capture, deliver, governed } from '../pipeline.ts'
import { finishSwap } from '../proof/replay-directories.ts'
import { analyticsDirectory, dprDirectory, kafkaRuntime, type Environment, type Runtime } from '../runtime.ts'
import type { SinkName } from '../sinks/names.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'
import { serveMetrics } from './metrics-server.ts'
import { supervise, type Stage } from './supervision.ts'

export async function runStage(
  environment: Environment,
  name: 'capture' | 'unify' | SinkName,
  signal: AbortSignal,
): Promise<number> {
  const { config, log } = environment
  required(config, 'KAFKA_BROKERS')
  required(config, 'SCHEMA_REGISTRY_URL')
  if (name !== 'capture') required(config, 'PSEUDONYM_KEY')
  if (name !== 'capture' && name !== 'unify') setFlagsFromString(SMALL_HEAP)
  const lock = name === 'capture' ? await lockStateDirectory(config.STATE_DIR) : null
  try {
    if (name === 'dpr-raw') await finishSwap(dprDirectory(config))
    if (name === 'analytics') await finishSwap(analyticsDirectory(config))
    const runtime = await kafkaRuntime(environment)
    const stopMetrics = serveMetrics(environment)
    try {
      await supervise(new Map([[name, stageOf(runtime, name)]]), log, signal)
    } finally {
      stopMetrics()
      await runtime.transport.close()
    }
  } finally {
    lock?.release()
  }
  return EXIT.done
}

/**
 * V8 lets a heap grow to a multiple of what lives in it before it collects: with a sink's, where DuckDB or PostgreSQL's
 * share is the larger, to 1.4 of it. That costs nothing that can be measured, and takes a third off the heap.
 */
const SMALL_HEAP = '--heap-growing-percent=40'

function stageOf(runtime: Runtime, name: 'capture' | 'unify' | SinkName): Stage {
  switch (name) {
    case 'capture':
      return (signal) => capture(runtime, signal)
    case 'unify':
      return (signal) => governed(runtime, signal)
    case 'dpr-raw':
    case 'operational':
    case 'analytics':
      return (signal) => deliver(runtime, name, signal)
  }
}
