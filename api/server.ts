/** The query API over the operational store, without a port: serve.ts opens one, tests inject. */
import { randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { assaultRoutes } from './assaults.ts'
import { recordAccess, type Audit } from './audit.ts'
import { auditRoutes } from './audit-routes.ts'
import { authorise } from './authorise.ts'
import { constantRoutes } from './constants.ts'
import { answerErrors, answerFailure } from './errors.ts'
import { healthRoutes, type Build, type Dependency } from './health.ts'
import { historyRoutes } from './history.ts'
import { incidentRoutes } from './incidents.ts'
import { lineageRoutes } from './lineage.ts'
import { writeRoutes, type WriteOptions } from './write-routes.ts'
import type { VerifyToken } from './tokens.ts'

export interface ApiOptions {
  /** Of api/database.ts. It stays the caller's to end. */
  readonly database: pg.Pool
  readonly verify: VerifyToken
  /** The incident database, for the routes that write; without it there are none. */
  readonly writes?: WriteOptions
  /** What the raw topic is called: lineage names it. */
  readonly rawTopic?: string
  readonly audit: Audit
  readonly log?: FastifyBaseLogger
  readonly build?: Build
  /** What /health tells beside the store, by name. */
  readonly dependencies?: Readonly<Record<string, Dependency>>
  /** 2 s unless given. */
  readonly healthCacheMs?: number
  /** Of one client; 60,000 unless given. */
  readonly requestsPerMinute?: number
  /** Told of each answer. */
  readonly observe?: (answer: Answered) => void
  /** Routes that are there in this process alone, with those of their paths that need no token. */
  readonly more?: { readonly open: ReadonlySet<string>; routes(app: FastifyInstance): void }
}

export interface Answered {
  readonly method: string
  /** As it was registered, without values; `none` for a path that no route has. */
  readonly route: string
  readonly status: number
  readonly seconds: number
}

const MAX_BODY_BYTES = 1 << 20

/** Beyond this a path is not looked at; below it the route says what its parameter must be. */
const MAX_PARAMETER = 4_096

/** No page is served here that would need more. */
const CONTENT_POLICY = { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } }

export async function buildServer(options: ApiOptions): Promise<FastifyInstance> {
  const { database, verify, audit, log, build = {}, dependencies = {}, healthCacheMs = 2_000, more } = options
  const app: FastifyInstance = fastify({
    ...(log === undefined ? { logger: false } : { loggerInstance: log }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAMETER },
    // A request's query names people; what is logged of it is its route, below.
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: (error, request, reply) => void answerFailure(error, request, reply),
  })
  app.setValidatorCompiler(validatorCompiler)
  // The queries name every column; the response schemas are the contract in /v3/api-docs, held by tests.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  answerErrors(app)
  authorise(app, verify, more?.open)
  recordAccess(app, audit)
  observeAnswers(app, options.observe)
  await app.register(helmet, { contentSecurityPolicy: CONTENT_POLICY })
  await app.register(rateLimit, {
    max: options.requestsPerMinute ?? 60_000,
    timeWindow: 60_000,
    keyGenerator: (request) => (request.caller as typeof request.caller | undefined)?.clientId ?? request.ip,
    errorResponseBuilder: () => ({ statusCode: 429 }),
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Prison incident reports',
        description:
          'Incident reports of NOMIS and DPS in one shape. `X-Data-As-Of` and `X-Source-LSN` say how new an answer is.',
        version: build.version ?? 'unknown',
      },
      components: { securitySchemes: { 'bearer-jwt': { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    },
    transform: jsonSchemaTransform,
  })
  incidentRoutes(app, database)
  if (options.writes !== undefined) writeRoutes(app, options.writes)
  historyRoutes(app, database)
  lineageRoutes(app, options)
  assaultRoutes(app, database)
  constantRoutes(app, database)
  auditRoutes(app, database, audit)
  healthRoutes(app, { database, build, dependencies, cacheMs: healthCacheMs })
  app.get('/v3/api-docs', { schema: { hide: true } }, () => app.swagger())
  more?.routes(app)
  await app.ready()
  return app
}

function observeAnswers(app: FastifyInstance, observe: ApiOptions['observe']): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, log } = request
    const route = routeOptions.url ?? 'none'
    const { statusCode: status, elapsedTime } = reply
    observe?.({ method, route, status, seconds: elapsedTime / 1000 })
    const { username, clientId } = (request.caller as typeof request.caller | undefined) ?? {}
    log.debug({ route, status, ms: Math.round(elapsedTime), username, clientId }, 'answered')
  })
}
