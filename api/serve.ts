import type { FastifyBaseLogger } from 'fastify'
import { PipelineError } from '../core/error.ts'
import { auditStore } from './audit-store.ts'
import { openDatabase } from './database.ts'
import { demoIdentityRoutes, type DemoIdentity } from './demo-identity.ts'
import type { Build, Dependency } from './health.ts'
import { buildServer, type ApiOptions } from './server.ts'
import { openSource } from './source.ts'
import { refuseEveryToken, remoteTokens, type VerifyToken } from './tokens.ts'

/** Whose tokens are accepted. */
export type TrustedIdentity =
  | { readonly jwksUrl: string; readonly issuer?: string | undefined; readonly audience?: string | undefined }
  | { readonly demo: DemoIdentity }

export interface ServeOptions {
  /** The operational store. */
  readonly databaseUrl: string
  /** The incident database. Without it nothing can be written here. */
  readonly sourceUrl?: string | undefined
  /** What the raw topic is called: lineage names it. */
  readonly rawTopic?: string
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
  /** Without one no token is accepted: health, info and the description alone are answered. */
  readonly identity?: TrustedIdentity | undefined
  readonly log?: FastifyBaseLogger
  readonly build?: Build
  readonly observe?: ApiOptions['observe']
}

export interface Serving {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** Answers what has been asked, then ends. */
  close(): Promise<void>
}

/** Whom nobody outside this host reaches. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1', 'localhost']

/**
 * Opens the API's port. The store need not be there yet. CONFIG for a host that others reach without an identity
 * provider of its own standing, and for a port that is taken.
 */
export async function serveApi(options: ServeOptions): Promise<Serving> {
  const { rawTopic, databaseUrl, sourceUrl, host, port, identity, log, build, observe } = options
  const jwksUrl = identity !== undefined && 'jwksUrl' in identity ? identity.jwksUrl : null
  if (!LOOPBACK.includes(host) && jwksUrl === null) {
    throw new PipelineError(
      'CONFIG',
      `the API was to listen on ${host}, but it does not know whose tokens to accept`,
      'Set JWKS_URL, or let it listen on 127.0.0.1.',
    )
  }
  const database = openDatabase(databaseUrl)
  const audit = auditStore(databaseUrl)
  const source = sourceUrl === undefined ? null : openSource(sourceUrl)
  const dependencies: Record<string, Dependency> = {
    audit: () => audit.ready().then(() => true),
    ...(jwksUrl === null ? {} : { identityProvider: () => answers(jwksUrl) }),
  }
  const app = await buildServer({
    database,
    audit,
    verify: verifierOf(identity),
    ...(rawTopic === undefined ? {} : { rawTopic }),
    ...(source === null ? {} : { writes: { source } }),
    dependencies,
    ...(log === undefined ? {} : { log }),
    ...(build === undefined ? {} : { build }),
    ...(observe === undefined ? {} : { observe }),
    ...(identity !== undefined && 'demo' in identity ? { more: demoIdentityRoutes(identity.demo) } : {}),
  })
  const close = async (): Promise<void> => {
    await app.close()
    await Promise.all([audit.close(), database.end(), source?.end()])
  }
  try {
    return { url: await app.listen({ host, port }), close }
  } catch (error) {
    await close()
    throw new PipelineError(
      'CONFIG',
      `the API cannot listen on ${host}:${port}: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      'Set PORT to one that is free.',
    )
  }
}

function verifierOf(identity: TrustedIdentity | undefined): VerifyToken {
  if (identity === undefined) return refuseEveryToken
  if ('demo' in identity) return identity.demo.verify
  return remoteTokens(identity.jwksUrl, identity)
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(2_000) })
  await response.body?.cancel()
  return response.status === 200
}
