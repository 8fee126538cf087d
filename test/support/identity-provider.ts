/** An identity provider as RFC 6749 4.1 and RFC 7636 have it: a code for whoever comes, a token for the right verifier. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { demoIdentity, type TokenFor } from '../../api/demo-identity.ts'

export interface IdentityProvider {
  readonly authorizeUrl: string
  readonly tokenUrl: string
  readonly jwksUrl: string
  readonly clientId: string
  readonly clientSecret: string
  /** Whether it refuses every code. */
  refuses: boolean
  close(): void
}

/** Everybody who comes is `person`. Ends with `close`. */
export async function identityProvider(person: TokenFor): Promise<IdentityProvider> {
  const [clientId, clientSecret] = ['console', 'its secret']
  const identity = await demoIdentity({ production: false })
  const begun = new Map<string, string>()
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://provider')
    const json = { 'content-type': 'application/json' }
    if (url.pathname === '/jwks') return void response.writeHead(200, json).end(JSON.stringify(identity.jwks))
    if (url.pathname === '/authorize') {
      const code = `code-${begun.size}`
      begun.set(code, url.searchParams.get('code_challenge')!)
      const back = new URL(url.searchParams.get('redirect_uri')!)
      back.search = new URLSearchParams({ code, state: url.searchParams.get('state')! }).toString()
      return void response.writeHead(302, { location: back.href }).end()
    }
    void bodyOf(request).then(async (body) => {
      const verifier = createHash('sha256').update(body.get('code_verifier')!).digest('base64url')
      const basic = Buffer.from(`${clientId}:${encodeURIComponent(clientSecret)}`).toString('base64')
      const authorised = request.headers.authorization === `Basic ${basic}`
      const right = authorised && begun.get(body.get('code')!) === verifier && !provider.refuses
      if (!right) return response.writeHead(400).end('{"error":"invalid_grant"}')
      const token = await identity.token(person)
      return response.writeHead(200, json).end(JSON.stringify({ access_token: token }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider: IdentityProvider = {
    authorizeUrl: `${at}/authorize`,
    tokenUrl: `${at}/token`,
    jwksUrl: `${at}/jwks`,
    clientId,
    clientSecret,
    refuses: false,
    close: () => void server.close(),
  }
  return provider
}

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return new URLSearchParams(text)
}
