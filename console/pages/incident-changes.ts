/** Creating, amending, closing and reopening incidents: the API decides, the pages say beforehand what it would refuse. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MAINTAIN_REPORTS } from '../../api/roles.ts'
import { formText, text } from '../fields.ts'
import { after, CONFLICT, opened, problemOf, standOf, submit, writtenUrl, type Told } from '../incident-editing.ts'
import { missing, readDetails } from '../incident-reading.ts'
import type { Details } from '../incident-view.ts'
import { mayOpen } from '../navigation.ts'
import { permissions } from '../permissions.ts'
import { activeTypes } from './incident-types.ts'

const FIELDS = ['incidentDateAndTime', 'location', 'title', 'description'] as const
type Field = (typeof FIELDS)[number]
type Values = Record<Field, string>

export function incidentChangePages(app: FastifyInstance): void {
  app.get('/incidents/new', async (request, reply) => {
    if (!(await mayOpen(request, reply, [MAINTAIN_REPORTS]))) return reply
    return showNew(request, reply, {})
  })

  app.post('/incidents/new', async (request, reply) => {
    if (!(await mayOpen(request, reply, [MAINTAIN_REPORTS]))) return reply
    const form = request.body as Record<string, unknown>
    const given = { ...valuesOf(form), type: text(form['type']) }
    const answer = await request.api<Details>('/incident-reports', { method: 'POST', body: given })
    if (answer.body === null) return showNew(request, reply, given, problemOf(answer.message))
    return reply.redirect(writtenUrl(answer.body.reportReference, answer.body.modifiedAt))
  })

  app.get('/incidents/:which/amend', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const values = stored(details)
    return reply.view('incident-amend.njk', { details, values, was: values, version: details.modifiedAt })
  })

  app.post('/incidents/:which/amend', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const form = request.body as Record<string, unknown>
    const values = valuesOf(form)
    const was = wasOf(form)
    const version = text(form['version'])
    const changed = Object.fromEntries(
      FIELDS.filter((name) => values[name] !== was[name]).map((name) => [name, values[name]]),
    )
    if (Object.keys(changed).length === 0) return reply.redirect(`/incidents/${details.reportReference}`)
    const answer = await request.api<{ modifiedAt: string }>(`/incident-reports/${details.id}`, {
      method: 'PATCH',
      body: changed,
      ...(details.nomisStatus === null ? { ifMatch: version } : {}),
    })
    if (answer.body !== null) {
      return reply.redirect(writtenUrl(details.reportReference, answer.body.modifiedAt))
    }
    if (answer.errorCode !== CONFLICT) {
      void reply.code(answer.status >= 500 ? 503 : answer.status)
      return reply.view('incident-amend.njk', { details, values, was, version, problem: problemOf(answer.message) })
    }
    return showConflict(request, reply, { values, was, version })
  })

  app.get('/incidents/:which/status', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const show = statusForm(request, reply, { status: '', comment: '', original: '' })
    return show(details, await standOf(request, details))
  })

  app.post('/incidents/:which/status', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const form = request.body as Record<string, unknown>
    const given = { status: text(form['status']), comment: text(form['comment']), original: text(form['original']) }
    const body = { newStatus: given.status, ...correction(given) }
    const show = statusForm(request, reply, given)
    return submit(request, reply, { details, change: { method: 'PATCH', path: '/status', body }, show })
  })
}

interface GivenStatus {
  readonly status: string
  readonly comment: string
  readonly original: string
}

function statusForm(request: FastifyRequest, reply: FastifyReply, given: GivenStatus) {
  return async (details: Details, told: Told): Promise<FastifyReply> =>
    reply.view('incident-status.njk', { details, may: await permissions(request, details), given, ...told })
}

function correction({ status, comment, original }: GivenStatus) {
  if (comment === '' && original === '') return {}
  return {
    correctionRequest: {
      descriptionOfChange: comment === '' ? 'NO DETAILS GIVEN' : comment,
      ...(original === '' ? {} : { originalReportReference: original }),
      ...(status === 'DUPLICATE' ? { userAction: 'MARK_DUPLICATE' } : {}),
    },
  }
}

async function showNew(
  request: FastifyRequest,
  reply: FastifyReply,
  given: Partial<Values & { type: string }>,
  problem?: string,
): Promise<FastifyReply> {
  const types = await activeTypes(request)
  if (problem !== undefined) void reply.code(400)
  return reply.view('incident-new.njk', {
    types: types.types,
    given,
    problem: problem ?? types.problem,
    caseloads: request.session!.caseloads,
  })
}

/** What stands now beside what was typed, which is kept; sending the form again is then on what was seen. */
async function showConflict(
  request: FastifyRequest,
  reply: FastifyReply,
  { values, was, version }: { values: Values; was: Values; version: string },
): Promise<FastifyReply> {
  const { body: details, ...answer } = await readDetails(request, { modifiedAt: after(version) })
  if (details === null) return missing(reply, { ...answer, body: null }, false)
  const now = stored(details)
  void reply.code(409)
  return reply.view('incident-amend.njk', {
    details,
    values,
    was: now,
    version: details.modifiedAt,
    conflict: {
      by: details.modifiedBy,
      at: details.modifiedAt,
      status: details.status,
      fields: FIELDS.filter((name) => now[name] !== was[name]).map((name) => ({
        name,
        was: was[name],
        now: now[name],
        typed: values[name],
      })),
    },
  })
}

function stored(details: Details): Values {
  return {
    incidentDateAndTime: details.incidentDateAndTime.slice(0, 16),
    location: details.location,
    title: details.title,
    description: details.description.replaceAll('\r\n', '\n'),
  }
}

function valuesOf(form: Record<string, unknown>): Values {
  return Object.fromEntries(FIELDS.map((name) => [name, formText(form[name])])) as Values
}

function wasOf(form: Record<string, unknown>): Values {
  return Object.fromEntries(FIELDS.map((name) => [name, formText(form[`was-${name}`])])) as Values
}
