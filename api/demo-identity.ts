/**
 * An identity provider inside this process, for the demo alone: its key is made at the start and never leaves memory.
 * Whoever reaches its port can have any role, so it is refused in production.
 */
import type { FastifyInstance } from 'fastify'
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT, type JSONWebKeySet } from 'jose'
import { z } from 'zod'
import { PipelineError } from '../core/error.ts'
import { list, optional, storableText } from './parameters.ts'
import { VIEW_REPORTS } from './roles.ts'
import { verifyTokens, type VerifyToken } from './tokens.ts'

export interface TokenFor {
  /** Without one it is the client's own. */
  readonly username?: string | undefined
  readonly clientId?: string
  readonly roles?: readonly string[]
  /** To read and to write unless given. */
  readonly scope?: readonly string[]
  /** Absent for all prisons. */
  readonly caseloads?: readonly string[] | undefined
  /** As jose writes durations; twelve hours unless given. */
  readonly lives?: string
}

export interface DemoIdentity {
  readonly verify: VerifyToken
  readonly jwks: JSONWebKeySet
  token(given?: TokenFor): Promise<string>
}

const ISSUER = 'incidents-demo'
const KEY_ID = 'demo'
const CLIENT_ID = 'incidents-demo'

/** CONFIG in production. */
export async function demoIdentity(options: { production: boolean }): Promise<DemoIdentity> {
  if (options.production) {
    throw new PipelineError(
      'CONFIG',
      'the demo hands out tokens to whoever asks, and NODE_ENV is production',
      'Unset NODE_ENV, or run the stages with JWKS_URL set to those of your identity provider.',
    )
  }
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' }] }
  return {
    jwks,
    verify: verifyTokens(createLocalJWKSet(jwks), { issuer: ISSUER }),
    token: ({
      username,
      clientId = CLIENT_ID,
      roles = [VIEW_REPORTS],
      scope = ['read', 'write'],
      caseloads,
      lives = '12h',
    } = {}) =>
      new SignJWT({
        client_id: clientId,
        authorities: roles,
        scope,
        ...(username === undefined ? {} : { user_name: username }),
        ...(caseloads === undefined ? {} : { caseloads }),
      })
        .setProtectedHeader({ alg: 'RS256', kid: KEY_ID })
        .setIssuer(ISSUER)
        .setIssuedAt()
        .setExpirationTime(lives)
        .sign(privateKey),
  }
}

const JWKS_PATH = '/auth/.well-known/jwks.json'
const TOKEN_PATH = '/auth/token'

const TokenQuery = z.object({
  username: optional(storableText('username', 1, 120)),
  roles: list(z.string().regex(/^ROLE_[A-Z_]{1,80}$/, 'roles must look like ROLE_VIEW_INCIDENT_REPORTS')).describe(
    'Reads reports unless given.',
  ),
  caseloads: list(storableText('caseloads', 2, 20)).describe('All prisons unless given.'),
})

/** `GET /auth/token` hands a token to anybody; what buildServer's `more` takes. */
export function demoIdentityRoutes(identity: DemoIdentity): {
  open: ReadonlySet<string>
  routes(app: FastifyInstance): void
} {
  return {
    open: new Set([JWKS_PATH, TOKEN_PATH]),
    routes(app) {
      app.get(JWKS_PATH, { schema: { hide: true } }, () => identity.jwks)
      app.get(TOKEN_PATH, { schema: { hide: true, querystring: TokenQuery } }, async (request, reply) => {
        const { username, roles, caseloads } = request.query as z.infer<typeof TokenQuery>
        const token = await identity.token({
          username,
          ...(roles.length === 0 ? {} : { roles }),
          ...(caseloads.length === 0 ? {} : { caseloads }),
        })
        return reply.header('Cache-Control', 'no-store').send({ access_token: token, token_type: 'bearer' })
      })
    },
  }
}
