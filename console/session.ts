/** Who reads: in an encrypted cookie, so that any process of the console can serve anybody. */
import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { decodeJwt, EncryptJWT, jwtDecrypt } from 'jose'
import { z } from 'zod'
import type { ApiClient } from './api-client.ts'

export interface Session {
  /** What the API is asked with; the API checks it, the console only reads what it says. */
  readonly token: string
  readonly username: string
  readonly roles: readonly string[]
  /** Null for all prisons. */
  readonly caseloads: readonly string[] | null
  /** Every form carries it. */
  readonly csrf: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null when nobody is signed in, or no longer. */
    session: Session | null
    api: ApiClient
  }
  interface FastifyReply {
    locals?: object
  }
}

export interface SessionOptions {
  /** Encrypts the cookie; the same for every process of one console. */
  readonly sessionSecret: string
}

export interface Sessions {
  read(request: FastifyRequest): Promise<Session | null>
  /** Signs in with a token of the identity provider. */
  begin(reply: FastifyReply, token: string): Promise<void>
  end(reply: FastifyReply): void
  /** A short-lived value for this browser alone, such as the state of a sign-in. */
  remember(reply: FastifyReply, name: string, value: object): Promise<void>
  recall(request: FastifyRequest, reply: FastifyReply, name: string): Promise<Record<string, unknown> | null>
}

const COOKIE = 'incidents-session'
/** No token is trusted for longer, whatever it says. */
const LONGEST = '8h'
const SHORT = '15m'

const Claims = z.object({
  client_id: z.string().optional(),
  user_name: z.string().optional(),
  authorities: z.array(z.string()).default([]),
  caseloads: z.array(z.string()).optional(),
  exp: z.number().optional(),
})

export function openSessions({ sessionSecret, secure }: SessionOptions & { readonly secure: boolean }): Sessions {
  const key = createHash('sha256').update(`incidents console session\0${sessionSecret}`).digest()
  const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure } as const

  async function seal(content: Record<string, unknown>, expires: string | number): Promise<string> {
    return new EncryptJWT(content)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(expires)
      .encrypt(key)
  }

  async function unseal(text: string | undefined): Promise<Record<string, unknown> | null> {
    if (text === undefined) return null
    return jwtDecrypt(text, key).then(
      ({ payload }) => payload,
      () => null,
    )
  }

  return {
    read: async (request) => {
      const found = await unseal(request.cookies[COOKIE])
      if (found === null) return null
      const { token, csrf } = found as { token: string; csrf: string }
      const claims = Claims.parse(decodeJwt(token))
      return {
        token,
        csrf,
        username: claims.user_name ?? claims.client_id ?? 'unknown',
        roles: claims.authorities,
        caseloads: claims.caseloads ?? null,
      }
    },
    begin: async (reply, token) => {
      const { exp } = Claims.parse(decodeJwt(token))
      const eightHours = Math.floor(Date.now() / 1000) + 8 * 3600
      const content = { token, csrf: randomBytes(24).toString('base64url') }
      const sealed = await seal(content, exp === undefined ? LONGEST : Math.min(exp, eightHours))
      void reply.setCookie(COOKIE, sealed, attributes)
    },
    end: (reply) => void reply.clearCookie(COOKIE, attributes),
    remember: async (reply, name, value) =>
      void reply.setCookie(`incidents-${name}`, await seal({ value }, SHORT), attributes),
    recall: async (request, reply, name) => {
      const found = await unseal(request.cookies[`incidents-${name}`])
      void reply.clearCookie(`incidents-${name}`, attributes)
      return (found?.['value'] as Record<string, unknown> | undefined) ?? null
    },
  }
}
