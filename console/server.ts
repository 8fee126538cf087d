/**
 * The console: GOV.UK pages for those who run the pipeline, look incidents up, and answer for what is shown. Rendered
 * here, over the API with the reader's own token, so that roles and caseloads hold once. Works without script.
 */
import { fileURLToPath } from 'node:url'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import files from '@fastify/static'
import view from '@fastify/view'
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import nunjucks from 'nunjucks'
import { answerPageErrors } from './errors.ts'
import { filters } from './filters.ts'
import { protectForms } from './forms.ts'
import { homeLinks } from './navigation.ts'
import { openSessions, type SessionOptions } from './session.ts'
import { signInRoutes, type SignIn } from './sign-in.ts'
import { apiClient } from './api-client.ts'

export interface ConsoleOptions extends SessionOptions {
  /** `http://127.0.0.1:8080` */
  readonly apiUrl: string
  /** Where people open the console; cookies are secure when it is https. */
  readonly publicUrl: string
  readonly signIn: SignIn
  readonly log?: FastifyBaseLogger
  /** The pages; each registers its routes. */
  readonly pages: readonly ((app: FastifyInstance) => void)[]
}

/** A report's description may be long, an amendment of 3,000 answers too. */
const MAX_BODY_BYTES = 4 << 20

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const DESIGN = here('../node_modules/govuk-frontend/dist')

export async function buildConsole(options: ConsoleOptions): Promise<FastifyInstance> {
  const { log, publicUrl, apiUrl, pages, signIn } = options
  const app: FastifyInstance = fastify({
    ...(log === undefined ? { logger: false } : { loggerInstance: log }),
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: 400 },
    logController: new LogController({ disableRequestLogging: true }),
  })
  const secure = new URL(publicUrl).protocol === 'https:'
  await app.register(cookie)
  await app.register(formbody, { bodyLimit: MAX_BODY_BYTES })
  await app.register(helmet, {
    enableCSPNonces: true,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'self'", ...signIn.origins],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
        objectSrc: ["'none'"],
      },
    },
    strictTransportSecurity: secure,
    referrerPolicy: { policy: 'same-origin' },
  })
  await app.register(files, { root: `${DESIGN}/govuk`, prefix: '/design/', maxAge: '1d', decorateReply: false })
  await app.register(files, { root: here('assets'), prefix: '/assets/', maxAge: '1h', decorateReply: false })
  await app.register(view, {
    engine: { nunjucks },
    templates: [here('views'), DESIGN],
    options: { autoescape: true, onConfigure: (environment: nunjucks.Environment) => filters(environment) },
    includeViewExtension: false,
  })
  const sessions = openSessions({ ...options, secure })
  app.decorateRequest('session', null)
  app.decorateRequest('api')
  app.addHook('onRequest', async (request, reply) => {
    request.session = await sessions.read(request)
    request.api = apiClient(apiUrl, request.session?.token ?? null)
    reply.locals = {
      cspNonce: reply.cspNonce.script,
      reader: request.session,
      links: homeLinks(request.session?.roles ?? [], request.url),
    }
    reply.header('Cache-Control', 'no-store')
  })
  answerPageErrors(app)
  protectForms(app)
  signInRoutes(app, { sessions, signIn, publicUrl })
  for (const page of pages) page(app)
  await app.ready()
  return app
}
