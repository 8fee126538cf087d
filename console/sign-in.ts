/** Signing in by OAuth2's code flow with PKCE (RFC 6749 4.1, RFC 7636), or, in the demo alone, by choosing who to be. */
import { createHash, randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { PipelineError } from '../core/error.ts'
import { keptForms } from './forms.ts'
import type { Sessions } from './session.ts'

export interface OAuthProvider {
  readonly authorizeUrl: string
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: string
}

export interface DemoPerson {
  readonly username: string
  readonly says: string
  readonly roles: readonly string[]
  readonly caseloads?: readonly string[]
}

export interface SignIn {
  /** Where forms may lead beside the console itself. */
  readonly origins: readonly string[]
  readonly provider: OAuthProvider | null
  /** Who one may be, and a token for them; null everywhere but in the demo. */
  readonly demo: { readonly people: readonly DemoPerson[]; token(person: DemoPerson): Promise<string> } | null
}

export function providerSignIn(provider: OAuthProvider): SignIn {
  return { origins: [new URL(provider.authorizeUrl).origin], provider, demo: null }
}

/** CONFIG in production: whoever reaches the page could be anybody. */
export function demoSignIn(demo: NonNullable<SignIn['demo']>, options: { readonly production: boolean }): SignIn {
  if (options.production) {
    throw new PipelineError(
      'CONFIG',
      'the console lets everybody choose who to be, and NODE_ENV is production',
      'Unset NODE_ENV, or set OAUTH_AUTHORIZE_URL, OAUTH_TOKEN_URL, OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET.',
    )
  }
  return { origins: [], provider: null, demo }
}

export interface SignInRoutes {
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly publicUrl: string
}

const ANSWER_MS = 10_000
const Returned = z.object({ code: z.string().min(1), state: z.string().min(1) })
const TokenAnswer = z.object({ access_token: z.string().min(1) })

export function signInRoutes(app: FastifyInstance, { sessions, signIn, publicUrl }: SignInRoutes): void {
  const redirectUri = new URL('/sign-in/callback', publicUrl).href

  app.get('/sign-in', async (request, reply) => {
    const next = localPath((request.query as { next?: unknown }).next)
    if (signIn.demo !== null) return reply.view('sign-in.njk', { people: signIn.demo.people, next })
    const state = randomBytes(24).toString('base64url')
    const verifier = randomBytes(32).toString('base64url')
    await sessions.remember(reply, 'sign-in', { state, verifier, next })
    const to = new URL(signIn.provider!.authorizeUrl)
    to.search = new URLSearchParams({
      response_type: 'code',
      client_id: signIn.provider!.clientId,
      redirect_uri: redirectUri,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString()
    return reply.redirect(to.href)
  })

  app.get('/sign-in/callback', async (request, reply) => {
    const begun = await sessions.recall(request, reply, 'sign-in')
    const returned = Returned.safeParse(request.query)
    if (signIn.provider === null || begun === null || !returned.success || returned.data.state !== begun['state']) {
      return refused(reply, 'The sign-in was not the one that was begun here.')
    }
    const token = await exchange(signIn.provider, returned.data.code, String(begun['verifier']), redirectUri)
    if (token === null) return refused(reply, 'The identity provider did not confirm the sign-in.')
    return enter(request, reply, token, localPath(begun['next']))
  })

  if (signIn.demo !== null) {
    const { people, token } = signIn.demo
    app.post('/sign-in', async (request, reply) => {
      const body = request.body as { username?: string; next?: string }
      const person = people.find(({ username }) => username === body.username)
      if (person === undefined) return refused(reply, 'There is nobody of this name in the demo.')
      return enter(request, reply, await token(person), localPath(body.next))
    })
  }

  app.post('/sign-out', async (_request, reply) => {
    sessions.end(reply)
    return reply.redirect('/sign-in')
  })

  async function enter(request: FastifyRequest, reply: FastifyReply, token: string, next: string) {
    await sessions.begin(reply, token)
    return reply.redirect(keptForms.has(request) ? '/continue' : next)
  }
}

/** Null when the provider refuses. */
async function exchange(
  provider: OAuthProvider,
  code: string,
  verifier: string,
  redirectUri: string,
): Promise<string | null> {
  const { clientId, clientSecret, tokenUrl } = provider
  const answer = await fetch(tokenUrl, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch(() => null)
  if (answer === null || !answer.ok) return null
  const parsed = TokenAnswer.safeParse(await answer.json().catch(() => null))
  return parsed.success ? parsed.data.access_token : null
}

function refused(reply: FastifyReply, why: string): FastifyReply {
  void reply.code(403)
  return reply.view('message.njk', {
    heading: 'You have not been signed in',
    paragraphs: [why],
    link: { href: '/sign-in', text: 'Sign in again' },
  })
}

/** A path of this console; anything else is the first page. */
export function localPath(given: unknown): string {
  return typeof given === 'string' && /^\/(?![/\\])[^\s\\]*$/.test(given) ? given : '/'
}
