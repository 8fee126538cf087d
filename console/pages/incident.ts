/** One incident: everything of it, everything that happened to it, and one hidden value at a time for a reason. */
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import type { IncidentHistory } from '../../api/history.ts'
import type { IncidentLineage } from '../../api/lineage.ts'
import { VIEW_REPORTS } from '../../api/roles.ts'
import { apiPath, missing, readDetails, whichOf } from '../incident-reading.ts'
import { incidentView } from '../incident-view.ts'
import { masking, pathWords, textAt } from '../masking.ts'
import { mayOpen } from '../navigation.ts'
import type { Operations } from '../operations.ts'
import { timeline, withPlaces } from '../timeline.ts'
import { permissions } from '../permissions.ts'
import { reasonProblem } from '../reason.ts'
import { text } from '../fields.ts'

type History = z.infer<typeof IncidentHistory>
type Lineage = z.infer<typeof IncidentLineage>

export function incidentPage({ places }: Pick<Operations, 'places'>) {
  return (app: FastifyInstance): void => {
    app.get('/incidents/:which', async (request, reply) => {
      const path = apiPath(request)
      if (path === null) return reply.callNotFound()
      if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return reply
      const written = text((request.query as Record<string, unknown>)['written'])
      const details = await readDetails(request, written === '' ? undefined : { modifiedAt: written })
      if (details.body === null) return missing(reply, details, written !== '')
      const [history, lineage] = await Promise.all([
        request.api<History>(`${path}/history`),
        request.api<Lineage>(`${path}/lineage`),
      ])
      const hidden = masking(request.session!.roles)
      const query = request.query as Record<string, unknown>
      const told = timeline(history.body?.amendments ?? [], lineage.body?.rows ?? [], {
        masking: hidden,
        page: Number.parseInt(text(query['changes']), 10) || 1,
      })
      const files = query['files'] === undefined ? null : await withPlaces(told, places).catch(() => null)
      return reply.view('incident.njk', {
        which: details.body.reportReference,
        details: details.body,
        incident: incidentView(details.body, hidden),
        masked: hidden.masked,
        may: await permissions(request, details.body),
        asOf: details.asOf,
        lsn: details.lsn,
        stale: written !== '' && details.body.modifiedAt < written,
        history: history.body,
        historyProblem: history.message ?? lineage.message,
        elsewhere: lineage.body?.elsewhere ?? null,
        timeline: files ?? told,
        files: query['files'] === undefined ? 'unasked' : files === null ? 'unread' : 'shown',
      })
    })

    app.get('/incidents/:which/reveal', async (request, reply) => {
      if (apiPath(request) === null) return reply.callNotFound()
      if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return reply
      const path = text((request.query as Record<string, unknown>)['field'])
      return reply.view('reveal.njk', { which: whichOf(request), path, field: pathWords(path) })
    })

    app.post('/incidents/:which/reveal', async (request, reply) => {
      const api = apiPath(request)
      if (api === null) return reply.callNotFound()
      if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return reply
      const form = request.body as Record<string, unknown>
      const [path, reason] = [text(form['field']), text(form['reason'])]
      const said = { which: whichOf(request), path, field: pathWords(path), reason }
      const why = `Reveals ${path}: ${reason}`
      const problem = reasonProblem(reason, why)
      if (problem !== null) return reply.code(400).view('reveal.njk', { ...said, problem })
      // with its reason, so that the API records it before it answers: what cannot be recorded is not shown
      const answer = path.startsWith('amendments.')
        ? await request.api<unknown>(`${api}/history`, { reason: why })
        : await request.api<unknown>(`${api}/with-details?includeHistory=true`, { reason: why })
      if (answer.body === null) return missing(reply, answer, false)
      const value = textAt(answer.body, path)
      if (value === null)
        return reply.code(404).view('reveal.njk', { ...said, problem: 'There is no such field any more.' })
      return reply.view('reveal.njk', { ...said, value })
    })
  }
}
