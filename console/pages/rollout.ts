/** Which prison reports which type where, until when NOMIS may change its own, and what keeps NOMIS from going. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ADMINISTER_REPORTS, OPERATE_READ } from '../../api/roles.ts'
import type { NomisStatus } from '../../api/nomis-status.ts'
import { ALL, CUT_OFF_MONTHS } from '../../api/rules.ts'
import { TYPES } from '../../transforms/codes.ts'
import { mayOpen } from '../navigation.ts'
import { text } from '../fields.ts'
import { reasonProblem } from '../reason.ts'

interface Decided {
  readonly prison: string
  readonly type: string
  readonly reportedIn: 'DPS' | 'NOMIS'
  readonly dpsFrom: string
  readonly cutOff: string
  readonly pastCutOff: boolean
  readonly cutOffMonths: number
  readonly changedBy: string
  readonly changedAt: string
}

interface Given {
  readonly prison: string
  readonly type: string
  readonly dpsFrom: string
  readonly cutOffMonths: string
  readonly reason: string
}

export function rolloutPage(app: FastifyInstance): void {
  const roles = [OPERATE_READ, ADMINISTER_REPORTS]

  app.get('/rollout', async (request, reply) => {
    if (!(await mayOpen(request, reply, roles))) return reply
    return show(request, reply, {})
  })

  app.post('/rollout', async (request, reply) => {
    if (!(await mayOpen(request, reply, [ADMINISTER_REPORTS]))) return reply
    const form = request.body as Record<string, unknown>
    const given: Given = {
      prison: text(form['prison']).toUpperCase(),
      type: text(form['type']),
      dpsFrom: text(form['dpsFrom']),
      cutOffMonths: text(form['cutOffMonths']),
      reason: text(form['reason']),
    }
    const unreasoned = reasonProblem(given.reason)
    if (unreasoned !== null) return show(request, reply, { given, problem: unreasoned })
    const answer = await request.api(`/rollout/${encodeURIComponent(given.prison)}/${encodeURIComponent(given.type)}`, {
      method: 'PUT',
      body: { dpsFrom: given.dpsFrom, cutOffMonths: Number(given.cutOffMonths) },
      reason: given.reason,
    })
    if (answer.body !== null) return reply.redirect('/rollout?saved=1')
    const problem = (answer.message ?? 'It could not be saved.').replace('Validation failure: ', '')
    return show(request, reply, { given, problem })
  })
}

async function show(
  request: FastifyRequest,
  reply: FastifyReply,
  { given, problem }: { readonly given?: Given; readonly problem?: string },
): Promise<FastifyReply> {
  const [decided, status] = await Promise.all([
    request.api<Decided[]>('/rollout'),
    request.api<NomisStatus>('/nomis/status'),
  ])
  if (problem !== undefined) void reply.code(400)
  return reply.view('rollout.njk', {
    decided: decided.body ?? [],
    status: status.body,
    prisons: byPrison(status.body?.rows ?? []),
    unknown: decided.message ?? status.message,
    given: given ?? { prison: '', type: ALL, dpsFrom: '', cutOffMonths: String(CUT_OFF_MONTHS.byDefault), reason: '' },
    problem,
    saved: text((request.query as Record<string, unknown>)['saved']) !== '',
    mayChange: request.session!.roles.includes(ADMINISTER_REPORTS),
    types: [ALL, ...TYPES.map(([type]) => type)],
    months: CUT_OFF_MONTHS,
  })
}

/** What remains in NOMIS, prison by prison. */
function byPrison(rows: NomisStatus['rows']) {
  return [...Map.groupBy(rows, ({ prison }) => prison)].map(([prison, its]) => ({
    prison,
    migrated: its.reduce((sum, { migrated }) => sum + migrated, 0),
    openInNomis: its.reduce((sum, { openInNomis }) => sum + openInNomis, 0),
    rows: its,
  }))
}
