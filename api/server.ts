/** The query API over the operational store, without a port: serve.ts opens one, tests inject. */
import swagger from '@fastify/swagger'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { answerErrors, answerFailure } from './errors.ts'
import { healthRoutes, type Build } from './health.ts'
import { incidentRoutes } from './incidents.ts'

export interface ApiOptions {
  /** Of api/database.ts. It stays the caller's to end. */
  readonly database: pg.Pool
  readonly log?: FastifyBaseLogger
  readonly build?: Build
  /** 2 s unless given. */
  readonly healthCacheMs?: number
}

export async function buildServer(options: ApiOptions): Promise<FastifyInstance> {
  const { database, log, build = {}, healthCacheMs = 2_000 } = options
  const app: FastifyInstance = fastify({
    ...(log === undefined ? { logger: false } : { loggerInstance: log }),
    // A request's query names people; what is logged of it is its route, below.
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: (error, request, reply) => void answerFailure(error, request, reply),
  })
  app.setValidatorCompiler(validatorCompiler)
  // The queries name every column; the response schemas are the contract in /v3/api-docs, held by tests.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  answerErrors(app)
  app.addHook('onResponse', async (request, reply) => {
    request.log.debug(
      { route: request.routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    )
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
    },
    transform: jsonSchemaTransform,
  })
  app.after(() => {
    incidentRoutes(app, database)
    healthRoutes(app, { database, build, cacheMs: healthCacheMs })
    app.get('/v3/api-docs', { schema: { hide: true } }, () => app.swagger())
  })
  await app.ready()
  return app
}
