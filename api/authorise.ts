/** The one hook that holds every route to its roles, and the one check that no route comes without. */
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { ErrorResponse, forbidden, unauthorised } from './errors.ts'
import { ReasonHeaders } from './reason.ts'
import { ANY_ROLE } from './roles.ts'
import type { VerifyToken } from './tokens.ts'

/** What is open to everybody, since a load balancer or a reader of the description has no token. */
const OPEN = new Set([
  '/health',
  '/health/liveness',
  '/health/readiness',
  '/health/ping',
  '/ping',
  '/info',
  '/v3/api-docs',
])

const WRITE = 'write'

/** Longer tokens are not ours. */
const MAX_TOKEN = 8_192

/**
 * Each request of a route with roles has a caller, or is answered 401 or 403. What changes something asks for the token's
 * scope `write` too, as the present service does: a client that may only read stays one whatever roles it has. Registering
 * a route fails when it neither names a role nor is in `open`, and when it changes something without an audit record.
 */
export function authorise(app: FastifyInstance, verify: VerifyToken, open: ReadonlySet<string> = new Set()): void {
  app.decorateRequest('caller')
  app.decorateRequest('subject', null)
  app.addHook('onRoute', (route) => {
    const { roles, audited } = route.config ?? {}
    if (roles === undefined || roles.length === 0) {
      if (OPEN.has(route.url) || open.has(route.url)) return
      throw new Error(`${String(route.method)} ${route.url} names no role`)
    }
    if (audited === undefined && isPosted(route)) {
      throw new Error(`${String(route.method)} ${route.url} changes something, but nothing is recorded of it`)
    }
    describe(route, roles)
  })
  app.addHook('onRequest', async (request, reply) => {
    const { config, method } = request.routeOptions
    const { roles } = config
    if (roles === undefined || request.is404) return
    const token = bearer(request)
    const caller = token === null ? null : await verify(token)
    if (caller === null) return unauthorised(reply)
    request.caller = caller
    reply.header('Cache-Control', 'no-store')
    if (!roles.some((role) => role === ANY_ROLE || caller.roles.has(role))) return forbidden(reply)
    if (changesSomething({ method, config }) && !caller.scopes.has(WRITE)) return forbidden(reply)
    return
  })
}

type Route = Pick<RouteOptions, 'method' | 'config'>

function isPosted({ method }: Route): boolean {
  return [method].flat().some((each) => each !== 'GET' && each !== 'HEAD')
}

function changesSomething(route: Route): boolean {
  return isPosted(route) && route.config?.onlyAsks !== true
}

function bearer({ headers }: FastifyRequest): string | null {
  const [, token] = /^Bearer ([\w.~+/=-]+)$/i.exec(headers.authorization ?? '') ?? []
  return token === undefined || token.length > MAX_TOKEN ? null : token
}

/** What the route's description owes to its roles. */
function describe(route: RouteOptions, roles: readonly string[]): void {
  const { schema } = route
  if (schema === undefined || schema.security !== undefined) return
  const scope = changesSomething(route) ? ', and scope write' : ''
  const named = roles.includes(ANY_ROLE)
    ? 'Requires a token, whatever its roles.'
    : `Requires role ${roles.map((role) => role.replace('ROLE_', '')).join(' or ')}${scope}.`
  Object.assign(schema, {
    security: [{ 'bearer-jwt': [] }],
    headers: schema.headers ?? ReasonHeaders,
    description: schema.description === undefined ? named : `${schema.description} ${named}`,
    response: {
      ...(schema.response as object | undefined),
      400: ErrorResponse,
      401: ErrorResponse,
      403: ErrorResponse,
      429: ErrorResponse,
      503: ErrorResponse,
    },
  })
}

/** The prisons that a query is held to; null for all. */
export function caseloadsOf({ caller }: FastifyRequest): readonly string[] | null {
  return caller.caseloads === null ? null : [...caller.caseloads]
}
