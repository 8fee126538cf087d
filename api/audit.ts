/**
 * Who saw or changed what, and why: one record for each answered request of a route that is audited, in the form of
 * hmpps-audit. It is durable before the answer leaves; where it cannot be, there is no answer.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Subject } from './access.ts'
import { reasonOf } from './reason.ts'

export interface AuditRecord {
  /** The route's verb and thing: `VIEW_INCIDENT_REPORT`. */
  readonly what: string
  readonly when: Date
  readonly who: string
  readonly clientId: string
  /** The trace that the request belongs to; its own id where it came with none. */
  readonly operationId: string
  readonly correlationId: string
  readonly subject: Subject | null
  /** As the caller gave it in X-Reason, decoded. */
  readonly why: string | null
  /** The route, the status of its answer and the names of the filters: no value of any. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface Audit {
  /** Resolves when the record is durable. */
  write(record: AuditRecord): Promise<void>
  /** Resolves when records can be read. */
  ready(): Promise<void>
}

/** Nothing was shown and nothing done. */
const NOT_RECORDED = new Set([400, 401, 413, 414, 415, 429])

const TRACE = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}$/

export function recordAccess(app: FastifyInstance, audit: Audit): void {
  const recorded = new WeakSet<FastifyRequest>()
  app.addHook('onSend', async (request, reply, payload) => {
    const record = recorded.has(request) ? null : recordOf(request, reply)
    if (record === null) return payload
    recorded.add(request) // the answer that says that this failed is not recorded again
    await audit.write(record).catch((error: unknown) => {
      request.log.error({ route: request.routeOptions.url, code: codeOf(error) }, 'an access could not be recorded')
      throw new AuditFailed()
    })
    return payload
  })
}

/** Answered with 503: what cannot be recorded is not shown. */
class AuditFailed extends Error {
  override readonly name = 'AuditFailed'
  readonly code = 'EAUDIT'
}

function recordOf(request: FastifyRequest, reply: FastifyReply): AuditRecord | null {
  const { caller, routeOptions, headers } = request
  const { audited } = routeOptions.config
  if (audited === undefined || (caller as typeof caller | undefined) === undefined) return null
  if (NOT_RECORDED.has(reply.statusCode)) return null
  if (reply.statusCode >= 500 && request.method === 'GET') return null
  const [, trace] = TRACE.exec(String(headers['traceparent'] ?? '')) ?? []
  return {
    what: audited,
    when: new Date(),
    who: caller.username,
    clientId: caller.clientId,
    operationId: trace ?? request.id,
    correlationId: request.id,
    subject: request.subject ?? subjectOf(request),
    why: reasonOf(headers),
    details: { method: request.method, route: routeOptions.url, status: reply.statusCode, filters: filtersOf(request) },
  }
}

/** Parameters have been accepted by the route's schema by the time that an answer is recorded. */
function subjectOf({ params, query }: FastifyRequest): Subject | null {
  const named = { ...(query as object | null), ...(params as object | null) } as Record<string, unknown>
  const person = named['prisonerNumber'] ?? named['involvingPrisonerNumber']
  if (typeof person === 'string') return { id: person.slice(0, 100), type: 'PRISONER_ID' }
  const report = named['reference'] ?? named['id']
  return typeof report === 'string' ? { id: report.slice(0, 100), type: 'INCIDENT_REPORT' } : null
}

/** Those that the route knows: an unknown name could be anything. */
function filtersOf({ query }: FastifyRequest): string[] {
  return Object.entries((query ?? {}) as Record<string, unknown>)
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([name]) => name)
}

function codeOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string }
  return code ?? name ?? 'unknown'
}
