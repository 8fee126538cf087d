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
  setFlagsFromString(SMALL_HEAP[name])
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
 * V8 takes memory for speed by rules that know nothing of what else a stage holds. What lives in a sink is small beside
 * DuckDB's or PostgreSQL's share: its heap is collected at 1.4 of that instead of a multiple. What capture makes dies
 * within a batch: its young generation stays as small as it begins, a hundred mebibytes less. Neither costs CPU that
 * can be measured. Unify's outputs live longer than that: it keeps V8's own rules.
 */
const SMALL_HEAP: Readonly<Record<'capture' | 'unify' | SinkName, string>> = {
  capture: '--semi-space-growth-factor=1',
  unify: '',
  'dpr-raw': '--heap-growing-percent=40',
  operational: '--heap-growing-percent=40',
  analytics: '--heap-growing-percent=40',
}

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
