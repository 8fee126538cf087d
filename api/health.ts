/** Health, readiness and info as every HMPPS service answers them. None of it names a host or an error's text. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type pg from 'pg'
import { z } from 'zod'
import { readFreshness } from './freshness.ts'
import { warm } from './warm.ts'

const Status = z.enum(['UP', 'DOWN'])

const Health = z.object({
  status: Status,
  components: z.record(z.string(), z.object({ status: Status, details: z.record(z.string(), z.string()).optional() })),
})
type Health = z.infer<typeof Health>

const Probe = z.object({ status: Status })

/** What is known of the running build; nothing of it is needed. */
export interface Build {
  readonly version?: string
  readonly branch?: string
  readonly productId?: string
}

/** Whether another service answers. It may fail as well. */
export type Dependency = () => Promise<boolean>

export interface HealthOptions {
  readonly database: pg.Pool
  /** By name. They are told, but do not decide whether answers can be given. */
  readonly dependencies: Readonly<Record<string, Dependency>>
  readonly build: Build
  /** How long an answer of /health stands, in milliseconds. */
  readonly cacheMs: number
}

const tags = ['Health']

export function healthRoutes(app: FastifyInstance, { database, build, dependencies, cacheMs }: HealthOptions): void {
  // what cannot be made ready now is made when it is asked for
  const warmed = remembered(Infinity, () => warm(database).catch(() => {}))
  const readiness = remembered(cacheMs, () => readStore(database, warmed))
  const health = remembered(cacheMs, async () => withDependencies(await readiness(), dependencies))

  const probe = { schema: { tags, summary: 'Whether the process runs', response: { 200: Probe } } }
  for (const path of ['/health/liveness', '/health/ping']) app.get(path, probe, () => ({ status: 'UP' }))
  app.get('/ping', { schema: { tags, summary: 'pong' } }, (_, reply) => reply.type('text/plain').send('pong'))

  const whole = { tags, response: { 200: Health, 503: Health } }
  app.get('/health', { schema: { ...whole, summary: 'Whether the parts of the service work' } }, async (_, reply) =>
    answer(reply, await health()),
  )
  app.get(
    '/health/readiness',
    { schema: { ...whole, summary: 'Whether the store holds the first snapshot whole, so that answers can be given' } },
    async (_, reply) => answer(reply, await readiness()),
  )

  app.get('/info', { schema: { tags, summary: 'What is running' } }, () => ({
    git: { branch: build.branch ?? 'unknown' },
    build: { artifact: 'incidents', name: 'incidents', version: build.version ?? 'unknown' },
    productId: build.productId ?? 'unknown',
    uptime: process.uptime(),
  }))
}

function answer(reply: FastifyReply, health: Health): FastifyReply {
  return reply.code(health.status === 'UP' ? 200 : 503).send(health)
}

/** The tables whose changes are not followed until they are repaired. */
async function readStopped(database: pg.Pool): Promise<string[]> {
  const { rows } = await database.query<{ name: string }>(
    `SELECT DISTINCT unnest(stopped) AS name FROM prisons.incidents_place ORDER BY 1`,
  )
  return rows.map(({ name }) => name)
}

/** Ready means also that the first to ask waits for nothing that could be done before. */
async function readStore(database: pg.Pool, warmed: () => Promise<void>): Promise<Health> {
  try {
    const { whole, upTo } = await readFreshness(database)
    const snapshot = { status: whole ? ('UP' as const) : ('DOWN' as const) }
    const stopped = await readStopped(database)
    if (whole) await warmed()
    const details = {
      ...(upTo === null ? {} : { dataAsOf: upTo.committedAt }),
      ...(stopped.length === 0 ? {} : { stopped: stopped.join(', ') }),
    }
    return {
      status: snapshot.status,
      components: {
        operationalStore: { status: 'UP' },
        snapshot: { ...snapshot, ...(Object.keys(details).length === 0 ? {} : { details }) },
      },
    }
  } catch {
    return { status: 'DOWN', components: { operationalStore: { status: 'DOWN' }, snapshot: { status: 'DOWN' } } }
  }
}

async function withDependencies(
  { status, components }: Health,
  dependencies: HealthOptions['dependencies'],
): Promise<Health> {
  const told = await Promise.all(
    Object.entries(dependencies).map(async ([name, answers]) => [name, await answers().catch(() => false)] as const),
  )
  const others = told.map(([name, up]) => [name, { status: up ? ('UP' as const) : ('DOWN' as const) }] as const)
  return {
    status: told.every(([, up]) => up) ? status : 'DOWN',
    components: { ...components, ...Object.fromEntries(others) },
  }
}

/** Probes come often and from several sides; one answer does for all of a moment. */
function remembered<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let until = -Infinity
  let value: Promise<T> | null = null
  return () => {
    if (value !== null && performance.now() < until) return value
    until = performance.now() + ms
    value = read()
    return value
  }
}
