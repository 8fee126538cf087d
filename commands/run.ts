/** Stages as processes: one alone on Kafka, or all of them together in the embedded runtime. */
import { createServer } from 'node:http'
import { required, type Config } from '../config.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import type { Logger, Metrics } from '../observability.ts'
import {
  capture,
  deliver,
  embeddedRuntime,
  governed,
  kafkaRuntime,
  operationalUrl,
  SINKS,
  type Runtime,
  type SinkName,
} from '../pipeline.ts'
import { serveApi } from '../api/serve.ts'
import { supervise, type Stage } from './supervision.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'

export interface Environment {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly progress?: NonNullable<Runtime['progress']>
}

/** Every stage of the embedded runtime on an open runtime. */
export function embeddedStages(runtime: Runtime): ReadonlyMap<string, Stage> {
  return new Map<string, Stage>([
    ['capture', (signal) => capture(runtime, signal)],
    ['unify', (signal) => governed(runtime, signal)],
    ...SINKS.map((name): [string, Stage] => [name, (signal) => deliver(runtime, name, signal)]),
    ['serve', (signal) => serve(runtime.config, runtime.log, signal)],
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
    const runtime = await embeddedRuntime(environment)
    const stopMetrics = serveMetrics(environment)
    try {
      await supervise(embeddedStages(runtime), log, signal)
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

export async function runServe(environment: Environment, signal: AbortSignal): Promise<number> {
  const { config, log } = environment
  operationalUrl(config)
  const stopMetrics = serveMetrics(environment)
  try {
    await supervise(new Map([['serve', (stop: AbortSignal) => serve(config, log, stop)]]), log, signal)
  } finally {
    stopMetrics()
  }
  return EXIT.done
}

/** The API until the signal. On 127.0.0.1 alone, as long as it does not ask who is calling. */
async function serve(config: Config, log: Logger, signal: AbortSignal): Promise<void> {
  const server = await serveApi({ databaseUrl: operationalUrl(config), host: '127.0.0.1', port: config.PORT, log })
  log.info({ url: server.url }, 'the API listens')
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })
  await server.close()
}

function serveMetrics({ config, metrics, log }: Environment): () => void {
  if (config.METRICS_PORT === 0) return () => {}
  const server = createServer((_, response) => {
    metrics.registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  server.on('error', (error) => log.warn({ port: config.METRICS_PORT }, `metrics are not served: ${error.message}`))
  server.listen(config.METRICS_PORT, '127.0.0.1')
  return () => server.close()
}
