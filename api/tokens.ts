/** Tokens as HMPPS Auth signs them: who calls, with which roles, for which prisons. */
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import type { Caller } from './access.ts'

/** Who is behind a token. Null when it is not one of ours, has expired, or has no caller; fails when no key can be read. */
export type VerifyToken = (token: string) => Promise<Caller | null>

interface TokenOptions {
  /** Tokens of any other are refused; of any when it is absent. */
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
}

/** HMPPS Auth signs with RS256 alone: neither `none` nor a public key taken for a secret passes. */
const ALGORITHMS = ['RS256']
const CLOCK_SKEW_SECONDS = 5

/** A key that is not known is asked for again after this long at the earliest, so a new one works within it. */
const COOLDOWN_MS = 15_000
const TIMEOUT_MS = 3_000

/**
 * So long a token that was found good counts as such without its signature being checked again: a key that is withdrawn
 * stops working within it, as it does by the keys' own cache.
 */
const REMEMBERED_MS = 30_000
const MOST_REMEMBERED = 1_000

const Claims = z.object({
  client_id: z.string().min(1),
  user_name: z.string().min(1).optional(),
  authorities: z.array(z.string()).optional(),
  /** A list, as HMPPS Auth writes it, or one text as RFC 9068 does. */
  scope: z.union([z.array(z.string()), z.string().transform((text) => text.split(' '))]).optional(),
  caseloads: z.array(z.string()).optional(),
})

/** No key is known: no token is accepted. */
export const refuseEveryToken: VerifyToken = () => Promise.resolve(null)

/** Against the keys at `url`, which are kept: those known go on working while it does not answer. */
export function remoteTokens(url: string, options: TokenOptions = {}): VerifyToken {
  const remote = createRemoteJWKSet(new URL(url), { cooldownDuration: COOLDOWN_MS, timeoutDuration: TIMEOUT_MS })
  return verifyTokens(async (header, token) => {
    try {
      return await remote(header, token)
    } catch (error) {
      const known = remote.jwks()
      if (isRefusal(error) || known === undefined) throw error
      return createLocalJWKSet(known)(header, token)
    }
  }, options)
}

export function verifyTokens(keys: JWTVerifyGetKey, { issuer, audience }: TokenOptions = {}): VerifyToken {
  const accepted = {
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_SKEW_SECONDS,
    requiredClaims: ['exp'],
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  }
  const remembered = new Map<string, { readonly caller: Caller; readonly until: number }>()

  function remember(token: string, caller: Caller, { exp = 0 }: JWTPayload): void {
    const [oldest] = remembered.keys()
    if (remembered.size >= MOST_REMEMBERED) remembered.delete(oldest!)
    remembered.delete(token)
    remembered.set(token, { caller, until: Math.min(Date.now() + REMEMBERED_MS, exp * 1_000) })
  }

  return async (token) => {
    const known = remembered.get(token)
    if (known !== undefined && Date.now() < known.until) return known.caller
    try {
      const { payload } = await jwtVerify(token, keys, accepted)
      const caller = callerOf(payload)
      if (caller !== null) remember(token, caller, payload)
      return caller
    } catch (error) {
      if (isRefusal(error)) return null
      throw new KeysUnavailable('the keys of the identity provider cannot be read', { cause: error })
    }
  }
}

/** Whether a token is good cannot be known at the moment. */
class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable'
  readonly code = 'EKEYS'
}

/** What is wrong with the token itself. A key set that cannot be fetched or read says nothing of a token. */
function isRefusal(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false
  // jose throws its plain base class for an answer other than 200 or other than JSON.
  return error instanceof errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC'
}

/** A claim of another form than agreed is no claim: above all `caseloads`, whose absence opens every prison. */
function callerOf(payload: JWTPayload): Caller | null {
  const claims = Claims.safeParse(payload)
  if (!claims.success) return null
  const { client_id: clientId, user_name, authorities = [], scope = [], caseloads } = claims.data
  return {
    username: user_name ?? clientId,
    clientId,
    roles: new Set(authorities),
    scopes: new Set(scope),
    caseloads: caseloads === undefined ? null : new Set(caseloads),
  }
}
