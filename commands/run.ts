/** Stages as processes: one alone on Kafka, or all of them together in the embedded runtime. */
import { required, type Config } from '../config.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import { EXIT, PipelineError } from '../core/error.ts'
import {
  capture,
  deliver,
  embeddedRuntime,
  governed,
  kafkaRuntime,
  operationalUrl,
  SINKS,
  topicsOf,
  type Runtime,
  type SinkName,
} from '../pipeline.ts'
import type { DemoIdentity } from '../api/demo-identity.ts'
import { serveApi, type TrustedIdentity } from '../api/serve.ts'
import { configuredConsole, consoleStage, type ConsoleStageOptions } from './console.ts'
import { serveMetrics, type Environment } from './environment.ts'
import { supervise, type Stage } from './supervision.ts'
import { lockStateDirectory } from '../transport/state-directory.ts'

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
    await supervise(new Map([['serve', (stop: AbortSignal) => serve(environment, stop)]]), log, signal)
  } finally {
    stopMetrics()
  }
  return EXIT.done
}

/** The API until the signal. */
async function serve({ config, log, metrics }: Environment, signal: AbortSignal, demo?: DemoIdentity): Promise<void> {
  const identity = trusted(config, demo)
  if (identity === undefined) log.warn('JWKS_URL is not set: the API accepts no token')
  const server = await serveApi({
    databaseUrl: operationalUrl(config),
    rawTopic: topicsOf(config).raw.name,
    sourceUrl: config.DATABASE_URL,
    host: config.HOST,
    port: config.PORT,
    identity,
    log,
    observe: metrics.answered,
  })
  log.info({ url: server.url }, 'the API listens')
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })
  await server.close()
}

/** An identity provider that is configured goes before the demo's. */
function trusted(config: Config, demo: DemoIdentity | undefined): TrustedIdentity | undefined {
  const { JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config
  if (jwksUrl !== undefined) return { jwksUrl, issuer, audience }
  return demo === undefined ? undefined : { demo }
}
