/** What the forms of an incident have in common: opening it, the version that was seen, and somebody else's change since. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { IncidentHistory } from '../api/history.ts'
import { MAINTAIN_REPORTS, VIEW_REPORTS } from '../api/roles.ts'
import type { ApiAnswer } from './api-client.ts'
import { apiPath, missing, readDetails } from './incident-reading.ts'
import type { Details } from './incident-view.ts'
import { masking } from './masking.ts'
import { mayOpen } from './navigation.ts'
import { timeline, type Timeline } from './timeline.ts'
import { text } from './fields.ts'

/** NOMIS's conflict code for a report that somebody else has changed. */
export const CONFLICT = 307

/** The report as it stands; null when that has been answered already. */
export async function opened(
  request: FastifyRequest,
  reply: FastifyReply,
  roles: readonly string[] = [MAINTAIN_REPORTS],
): Promise<Details | null> {
  if (apiPath(request) === null) {
    reply.callNotFound()
    return null
  }
  if (!(await mayOpen(request, reply, roles))) return null
  if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return null
  const details = await readDetails(request)
  if (details.body !== null) return details.body
  await missing(reply, details, false)
  return null
}

/** Behind this time, in text order. */
export function after(modifiedAt: string): string {
  // lies before whatever may follow the seconds
  return `${modifiedAt}!`
}

/** As a person reads it: the codes of a list stand in the form already. */
export function problemOf(message: string | null): string {
  return (message ?? 'It could not be saved.')
    .replace('Validation failure: ', '')
    .replaceAll(/must be one of [A-Z\d_]+(, [A-Z\d_]+)+/g, 'must be one of the list')
}

/** What a form was opened on: hidden in it, and sent back. */
export interface Stand {
  /** The report's modifiedAt. */
  readonly version: string
  /** The newest change that the store had; '' for none. */
  readonly seen: string
}

/** What a form says beside its fields. */
export interface Told extends Stand {
  readonly problem?: string
  readonly conflict?: Conflict
}

/** Somebody else was faster. */
export interface Conflict {
  readonly by: string
  readonly at: string
  readonly status: string
  /** Everything that has changed since the form was opened. */
  readonly changes: Timeline
}

export async function standOf(request: FastifyRequest, details: Details): Promise<Stand> {
  return { version: details.modifiedAt, seen: (await amendments(request)).at(-1)?.position ?? '' }
}

interface Change {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Behind that of the report. */
  readonly path: string
  readonly body?: unknown
  readonly reason?: string
}

interface Submitted {
  readonly details: Details
  readonly change: Change
  /** The form again, with what was typed. */
  show(details: Details, told: Told): FastifyReply | Promise<FastifyReply>
  /** Where it leads; the report's page unless given. */
  readonly done?: string
}

/**
 * Has the API change the report as it was seen, and leads to its page. Where somebody else was faster the form comes back
 * with what they changed, on what stands now: sending it again is then deliberate.
 */
export async function submit(
  request: FastifyRequest,
  reply: FastifyReply,
  { details, change: { path, ...change }, show, done }: Submitted,
): Promise<FastifyReply> {
  const form = request.body as Record<string, unknown>
  const stand = { version: text(form['version']), seen: text(form['seen']) }
  const answer = await request.api<unknown>(`/incident-reports/${details.id}${path}`, {
    ...change,
    ...(details.nomisStatus === null ? { ifMatch: stand.version } : {}),
  })
  if (answer.status < 300) return reply.redirect(done ?? writtenUrl(details.reportReference, after(stand.version)))
  void reply.code(answer.status >= 500 ? 503 : answer.status)
  if (answer.errorCode !== CONFLICT) return show(details, { ...stand, problem: problemOf(answer.message) })
  const { body: now, ...rest } = await readDetails(request, { modifiedAt: after(stand.version) })
  if (now === null) return missing(reply, { ...rest, body: null }, false)
  return show(now, { ...(await standOf(request, now)), conflict: await conflictOf(request, now, stand.seen) })
}

export function writtenUrl(reference: string, modifiedAt: string): string {
  return `/incidents/${reference}?written=${encodeURIComponent(modifiedAt)}`
}

async function conflictOf(request: FastifyRequest, now: Details, seen: string): Promise<Conflict> {
  const since = (await amendments(request)).filter(({ position }) => position > seen)
  const changes = timeline(since, [], { masking: masking(request.session!.roles), page: 1 })
  return { by: now.modifiedBy, at: now.modifiedAt, status: now.status, changes }
}

async function amendments(request: FastifyRequest): Promise<z.infer<typeof IncidentHistory>['amendments']> {
  const answer: ApiAnswer<z.infer<typeof IncidentHistory>> = await request.api(`${apiPath(request)}/history`)
  return answer.body?.amendments ?? []
}
