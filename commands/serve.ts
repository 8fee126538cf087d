/** The API as a process, or as a stage of the embedded runtime. */
import type { DemoIdentity } from '../api/demo-identity.ts'
import { serveApi, type TrustedIdentity } from '../api/serve.ts'
import type { Config } from '../config.ts'
import { EXIT } from '../core/error.ts'
import { operationalUrl, topicsOf, type Environment } from '../runtime.ts'
import { serveMetrics } from './metrics-server.ts'
import { supervise } from './supervision.ts'

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

/** The API until the signal; trusts `demo` where no provider is configured. */
export async function serve(
  { config, log, metrics }: Environment,
  signal: AbortSignal,
  demo?: DemoIdentity,
): Promise<void> {
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
