/** Reading one incident for a page: by its reference or id, and as new as what was just written. */
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiAnswer } from './api-client.ts'
import type { Details } from './incident-view.ts'

/** How long a page waits for the store to have what was just written. */
const WRITTEN_MS = 5_000
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

export function whichOf(request: FastifyRequest): string {
  return (request.params as { which: string }).which
}

/** Null for what is neither a reference nor an id. */
export function apiPath(request: FastifyRequest): string | null {
  const which = whichOf(request)
  if (/^\d{1,25}$/.test(which)) return `/incident-reports/reference/${which}`
  return UUID.test(which) ? `/incident-reports/${which.toLowerCase()}` : null
}

/**
 * With everything that belongs to it. What was just written is in the source and comes to the store in a moment: with
 * `since` the answer waits for it, some seconds.
 */
export async function readDetails(
  request: FastifyRequest,
  since?: { readonly modifiedAt: string },
): Promise<ApiAnswer<Details>> {
  const until = Date.now() + WRITTEN_MS
  for (;;) {
    const answer = await request.api<Details>(`${apiPath(request)}/with-details?includeHistory=true`)
    if (since === undefined || Date.now() > until) return answer
    if (answer.body !== null && answer.body.modifiedAt >= since.modifiedAt) return answer
    if (answer.body === null && answer.status !== 404) return answer
    await pause(200)
  }
}

export function missing(reply: FastifyReply, answer: ApiAnswer<unknown>, written: boolean): FastifyReply {
  if (answer.status === 404 && written) {
    return reply.view('message.njk', {
      heading: 'The report has been saved',
      paragraphs: ['It is on its way to the store that these pages read. Reload this page in a moment.'],
    })
  }
  const known = [400, 403, 404].includes(answer.status)
  void reply.code(known ? answer.status : 503)
  return reply.view('message.njk', {
    heading: answer.status === 404 ? 'There is no such incident' : 'The incident cannot be shown',
    paragraphs: [
      answer.status === 404
        ? 'Check its number. An incident of a prison that you do not work with is not shown either.'
        : (answer.message ?? ''),
    ],
    link: { href: '/incidents', text: 'Search incidents' },
  })
}
