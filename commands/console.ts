/** The console as a stage: pages, and the sampler behind them. */
import { join } from 'node:path'
import {
  ADMINISTER_REPORTS,
  DELETE_REPORTS,
  OPERATE_READ,
  OPERATE_WRITE,
  REVIEW_AUDIT,
  VIEW_REPORTS,
  MAINTAIN_REPORTS,
} from '../api/roles.ts'
import type { DemoIdentity } from '../api/demo-identity.ts'
import { required, type Config } from '../config.ts'
import { consolePages } from '../console/pages/all.ts'
import { ring, SAMPLE_MS } from '../console/ring.ts'
import { serveConsole } from '../console/serve.ts'
import { demoSignIn, providerSignIn, type DemoPerson, type SignIn } from '../console/sign-in.ts'
import { EXIT } from '../core/error.ts'
import { analyticsDirectory, kafkaRuntime, type Runtime, type Environment } from '../runtime.ts'
import { PUBLISHED_FILE } from '../sinks/analytics-publication.ts'
import { ANALYST_QUESTIONS } from '../sinks/analytics-questions.ts'
import { consoleOperations } from './console-operations.ts'
import { pipelineSampler } from './console-sampler.ts'
import { serveMetrics } from './metrics-server.ts'
import { pause } from '../core/pause.ts'
import { supervise } from './supervision.ts'

export interface ConsoleStageOptions {
  readonly signIn: SignIn
  readonly sessionSecret: string
  /** The stages run in this process, so that its metrics count rows. */
  readonly stagesHere: boolean
}

/** Pages until the signal. CONFIG when the port is taken. */
export async function consoleStage(runtime: Runtime, options: ConsoleStageOptions, signal: AbortSignal): Promise<void> {
  const { config, log, metrics } = runtime
  const apiUrl = config.API_URL ?? `http://127.0.0.1:${config.PORT}`
  const sampler = pipelineSampler({ runtime, apiUrl, stagesHere: options.stagesHere })
  const samples = ring()
  const operations = consoleOperations({ runtime, ring: samples, sampler, signal })
  try {
    const served = await serveConsole({
      host: config.HOST,
      port: config.CONSOLE_PORT,
      publicUrl: config.CONSOLE_URL ?? `http://localhost:${config.CONSOLE_PORT}`,
      apiUrl,
      sessionSecret: options.sessionSecret,
      signIn: options.signIn,
      log,
      pages: consolePages(operations, {
        file: join(analyticsDirectory(config), PUBLISHED_FILE),
        questions: ANALYST_QUESTIONS.map(({ question: title, sql }) => ({ title, sql })),
      }),
    })
    log.info({ url: served.url }, 'the console listens')
    try {
      while (!signal.aborted) {
        const sample = await sampler.sample()
        samples.add(sample)
        metrics.sampled(sample)
        await pause(SAMPLE_MS, signal)
      }
    } finally {
      await served.close()
    }
  } finally {
    await sampler.close()
    await operations.close()
  }
}

/** On Kafka, beside the other stages: `incidents console`. */
export async function runConsole(environment: Environment, signal: AbortSignal): Promise<number> {
  const { config, log } = environment
  required(config, 'KAFKA_BROKERS')
  required(config, 'DATABASE_URL')
  const options = { signIn: provider(config), sessionSecret: required(config, 'SESSION_SECRET'), stagesHere: false }
  const runtime = await kafkaRuntime(environment)
  const stopMetrics = serveMetrics(environment)
  try {
    await supervise(new Map([['console', (stop: AbortSignal) => consoleStage(runtime, options, stop)]]), log, signal)
  } finally {
    stopMetrics()
    await runtime.transport.close()
  }
  return EXIT.done
}

/** Null where nobody could sign in: no identity provider is configured. */
export function configuredConsole(config: Config): ConsoleStageOptions | null {
  if (config.OAUTH_AUTHORIZE_URL === undefined) return null
  return { signIn: provider(config), sessionSecret: required(config, 'SESSION_SECRET'), stagesHere: true }
}

function provider(config: Config): SignIn {
  return providerSignIn({
    authorizeUrl: required(config, 'OAUTH_AUTHORIZE_URL'),
    tokenUrl: required(config, 'OAUTH_TOKEN_URL'),
    clientId: required(config, 'OAUTH_CLIENT_ID'),
    clientSecret: required(config, 'OAUTH_CLIENT_SECRET'),
  })
}

const PEOPLE: readonly DemoPerson[] = [
  {
    username: 'OPERATOR',
    says: 'Runs the pipeline: sees everything, replays, repairs and skips',
    roles: [OPERATE_READ, OPERATE_WRITE, VIEW_REPORTS, REVIEW_AUDIT],
  },
  { username: 'WATCHER', says: 'Sees how the pipeline runs, and changes nothing', roles: [OPERATE_READ] },
  { username: 'REPORTER', says: 'Writes reports', roles: [VIEW_REPORTS, MAINTAIN_REPORTS] },
  {
    username: 'ADMINISTRATOR',
    says: 'Decides what is reported where, mends NOMIS’s records after their cut-off, and deletes what was made in error',
    roles: [VIEW_REPORTS, MAINTAIN_REPORTS, ADMINISTER_REPORTS, DELETE_REPORTS],
  },
  { username: 'MOORLAND', says: 'Reads the reports of one prison', roles: [VIEW_REPORTS], caseloads: ['MDI'] },
  { username: 'AUDITOR', says: 'Reads who has seen and changed what', roles: [REVIEW_AUDIT] },
]

/** Anybody may be anybody: for the demo alone. */
export function demoConsole(identity: DemoIdentity, sessionSecret: string, production: boolean): ConsoleStageOptions {
  const signIn = demoSignIn({ people: PEOPLE, token: (person) => identity.token(person) }, { production })
  return { signIn, sessionSecret, stagesHere: true }
}
