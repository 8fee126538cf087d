/** One stage as a process on Kafka. */
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
