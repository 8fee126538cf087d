/** Changing an incident's type, and deleting one that was made in error: both take something away, and say so before. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { DELETE_REPORTS } from '../../api/roles.ts'
import { text } from '../fields.ts'
import { opened, standOf, submit, type Told } from '../incident-editing.ts'
import type { Details } from '../incident-view.ts'
import { permissions } from '../permissions.ts'
import { reasonProblem } from '../reason.ts'
import { activeTypes } from './incident-types.ts'

export function incidentTypePages(app: FastifyInstance): void {
  app.get('/incidents/:which/type', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const { types } = await activeTypes(request)
    const { parts, why } = await permissions(request, details)
    const told = { ...(await standOf(request, details)), ...(parts ? {} : { problem: why ?? '' }) }
    return typeForm(reply, { types, newType: '' })(details, told)
  })

  app.post('/incidents/:which/type', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const newType = text((request.body as Record<string, unknown>)['newType'])
    const show = typeForm(reply, { types: (await activeTypes(request)).types, newType })
    return submit(request, reply, { details, change: { method: 'PATCH', path: '/type', body: { newType } }, show })
  })

  app.get('/incidents/:which/delete', async (request, reply) => {
    const details = await opened(request, reply, [DELETE_REPORTS])
    if (details === null) return reply
    return deleteForm(reply, '')(details, await standOf(request, details))
  })

  app.post('/incidents/:which/delete', async (request, reply) => {
    const details = await opened(request, reply, [DELETE_REPORTS])
    if (details === null) return reply
    const form = request.body as Record<string, unknown>
    const reason = text(form['reason'])
    const show = deleteForm(reply, reason)
    const problem = reasonProblem(reason)
    if (problem !== null) {
      void reply.code(400)
      return show(details, { version: text(form['version']), seen: text(form['seen']), problem })
    }
    const { reportReference } = details
    const change = { method: 'DELETE', path: '', reason } as const
    return submit(request, reply, { details, change, show, done: `/incidents/deleted?reference=${reportReference}` })
  })

  app.get('/incidents/deleted', async (request, reply) => {
    const reference = text((request.query as Record<string, unknown>)['reference']).replaceAll(/\D/g, '')
    return reply.view('message.njk', {
      heading: `Incident ${reference} has been deleted`,
      paragraphs: ['It goes from the stores, the files and the API within seconds. Who deleted it and why is kept.'],
      link: { href: '/incidents', text: 'Search incidents' },
    })
  })
}

function typeForm(
  reply: FastifyReply,
  given: { readonly types: readonly { readonly code: string }[]; readonly newType: string },
): (details: Details, told: Told) => FastifyReply {
  return (details, told) => reply.view('incident-type.njk', { details, ...given, ...told })
}

function deleteForm(reply: FastifyReply, reason: string): (details: Details, told: Told) => FastifyReply {
  return (details, told) => reply.view('incident-delete.njk', { details, reason, ...told })
}
