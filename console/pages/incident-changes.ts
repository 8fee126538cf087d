/** Creating, amending, closing and reopening incidents: the API decides, the pages say beforehand what it would refuse. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ADMINISTER_REPORTS, MAINTAIN_REPORTS, VIEW_REPORTS } from '../../api/roles.ts'
import { isEditable, refusedTransition } from '../../api/rules.ts'
import { STATUSES } from '../../transforms/codes.ts'
import { apiPath, missing, readDetails } from '../incident-reading.ts'
import type { Details } from '../incident-view.ts'
import { mayOpen } from '../navigation.ts'
import { text } from './incidents.ts'

interface Rollout {
  readonly cutOff: string | null
  readonly pastCutOff: boolean
}

export interface Permissions {
  readonly amend: boolean
  /** Statuses that it may become; none when it may not. */
  readonly statuses: readonly string[]
  /** Why something is not allowed; null when nothing is withheld. */
  readonly why: string | null
}

/** NOMIS's conflict code for a report that somebody else has changed. */
const CONFLICT = 307

/** What this reader may do with this incident, and why not. */
export async function permissions(request: FastifyRequest, details: Details): Promise<Permissions> {
  const roles = request.session!.roles
  const none = (why: string): Permissions => ({ amend: false, statuses: [], why })
  if (!roles.includes(MAINTAIN_REPORTS))
    return none('You can read this incident. Changing it takes the role MAINTAIN_INCIDENT_REPORTS.')
  if (details.nomisStatus !== null) {
    const place = `${encodeURIComponent(details.location || '*ALL*')}/${encodeURIComponent(details.type)}`
    const { body } = await request.api<Rollout>(`/rollout/${place}`)
    if (body === null || !body.pastCutOff) {
      const until = body?.cutOff == null ? '' : ` until ${body.cutOff}`
      return none(`This is a record of NOMIS. It is read-only here: NOMIS may still change it${until}.`)
    }
    if (!roles.includes(ADMINISTER_REPORTS)) {
      return none(`This is a record of NOMIS, past its cut-off on ${body.cutOff}. Only administrators change it now.`)
    }
    return { amend: true, statuses: nextStatuses(details), why: null }
  }
  const statuses = nextStatuses(details)
  if (isEditable(details.status)) return { amend: true, statuses, why: null }
  return { amend: false, statuses, why: 'The report is completed or on hold. Change its status first to amend it.' }
}

function nextStatuses({ nomisStatus, status: from, location }: Details): string[] {
  const all = STATUSES.map(({ status }) => status).filter((to) => to !== from)
  // Of NOMIS's records an administrator changes what NOMIS could hold.
  if (nomisStatus !== null) return all.filter((to) => NOMIS_HOLDS.has(to))
  return all.filter((to) => refusedTransition({ location, from, to, hasOriginal: true }) === null)
}

const NOMIS_HOLDS = new Set(['AWAITING_REVIEW', 'ON_HOLD', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'DUPLICATE'])

interface Constant {
  readonly code: string
  readonly description: string
  readonly active: boolean
}

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
    return reply.redirect(
      `/incidents/${answer.body.reportReference}?written=${encodeURIComponent(answer.body.modifiedAt)}`,
    )
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
      return reply.redirect(
        `/incidents/${details.reportReference}?written=${encodeURIComponent(answer.body.modifiedAt)}`,
      )
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
    return reply.view('incident-status.njk', { details, may: await permissions(request, details), given: {} })
  })

  app.post('/incidents/:which/status', async (request, reply) => {
    const details = await opened(request, reply)
    if (details === null) return reply
    const form = request.body as Record<string, unknown>
    const given = {
      status: text(form['status']),
      comment: text(form['comment']),
      original: text(form['original']),
      version: text(form['version']),
    }
    const answer = await request.api<{ modifiedAt: string }>(`/incident-reports/${details.id}/status`, {
      method: 'PATCH',
      body: { newStatus: given.status, ...correction(given) },
      ...(details.nomisStatus === null && given.version !== '' ? { ifMatch: given.version } : {}),
    })
    if (answer.body !== null) {
      return reply.redirect(
        `/incidents/${details.reportReference}?written=${encodeURIComponent(answer.body.modifiedAt)}`,
      )
    }
    void reply.code(answer.status >= 500 ? 503 : answer.status)
    const now =
      answer.errorCode === CONFLICT
        ? ((await readDetails(request, { modifiedAt: after(given.version) })).body ?? details)
        : details
    return reply.view('incident-status.njk', {
      details: now,
      may: await permissions(request, now),
      given,
      problem: problemOf(answer.message),
    })
  })
}

function correction({ status, comment, original }: { status: string; comment: string; original: string }) {
  if (comment === '' && original === '') return {}
  return {
    correctionRequest: {
      descriptionOfChange: comment === '' ? 'NO DETAILS GIVEN' : comment,
      ...(original === '' ? {} : { originalReportReference: original }),
      ...(status === 'DUPLICATE' ? { userAction: 'MARK_DUPLICATE' } : {}),
    },
  }
}

/** The report as it stands; null when that has been answered already. */
async function opened(request: FastifyRequest, reply: FastifyReply): Promise<Details | null> {
  if (apiPath(request) === null) {
    reply.callNotFound()
    return null
  }
  if (!(await mayOpen(request, reply, [MAINTAIN_REPORTS]))) return null
  if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return null
  const details = await readDetails(request)
  if (details.body !== null) return details.body
  await missing(reply, details, false)
  return null
}

async function showNew(
  request: FastifyRequest,
  reply: FastifyReply,
  given: Partial<Values & { type: string }>,
  problem?: string,
): Promise<FastifyReply> {
  const { body: types, message } = await request.api<Constant[]>('/constants/types')
  if (problem !== undefined) void reply.code(400)
  return reply.view('incident-new.njk', {
    types: (types ?? []).filter(({ active }) => active),
    given,
    problem: problem ?? message,
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

/** Behind this time, in text order. */
function after(modifiedAt: string): string {
  return `${modifiedAt} `
}

function stored(details: Details): Values {
  return {
    incidentDateAndTime: details.incidentDateAndTime.slice(0, 16),
    location: details.location,
    title: details.title,
    description: details.description.replaceAll('\r\n', '\n'),
  }
}

/** Browsers send line ends as CRLF, whatever was there. */
function formText(value: unknown): string {
  return text(value).replaceAll('\r\n', '\n')
}

function valuesOf(form: Record<string, unknown>): Values {
  return Object.fromEntries(FIELDS.map((name) => [name, formText(form[name])])) as Values
}

function wasOf(form: Record<string, unknown>): Values {
  return Object.fromEntries(FIELDS.map((name) => [name, formText(form[`was-${name}`])])) as Values
}

function problemOf(message: string | null): string {
  return (message ?? 'It could not be saved.').replace('Validation failure: ', '')
}
