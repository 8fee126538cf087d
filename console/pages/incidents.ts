/** Searching incidents of both models. */
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import { VIEW_REPORTS, MAINTAIN_REPORTS } from '../../api/roles.ts'
import type { ReportPage } from '../../api/shapes.ts'
import { STATUSES, TYPES } from '../../transforms/codes.ts'
import { originOf } from '../incident-view.ts'
import { masking } from '../masking.ts'
import { text } from '../fields.ts'
import { mayOpen } from '../navigation.ts'

/** As the form names them, and as the API does. */
const FILTERS = {
  reference: 'reference',
  prison: 'location',
  type: 'type',
  status: 'status',
  from: 'incidentDateFrom',
  until: 'incidentDateUntil',
  prisoner: 'involvingPrisonerNumber',
} as const

type Asked = Record<keyof typeof FILTERS, string>

const SIZE = 20

export function incidentsPage(app: FastifyInstance): void {
  app.get('/incidents', async (request, reply) => {
    if (!(await mayOpen(request, reply, [VIEW_REPORTS]))) return reply
    const { roles } = request.session!
    const given = request.query as Record<string, unknown>
    const asked = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, text(given[name])])) as Asked
    asked.prison = asked.prison.toUpperCase()
    asked.prisoner = asked.prisoner.toUpperCase()
    const page = Math.max(1, Math.min(1_000_000, Number.parseInt(text(given['page']), 10) || 1))
    const query = new URLSearchParams({ page: String(page - 1), size: String(SIZE) })
    for (const [name, parameter] of Object.entries(FILTERS)) query.set(parameter, asked[name as keyof Asked])
    const answer = await request.api<z.infer<typeof ReportPage>>(`/incident-reports?${query.toString()}`)
    const hidden = masking(roles)
    if (answer.body === null) void reply.code(answer.status === 400 ? 400 : 503)
    return reply.view('incidents.njk', {
      asked,
      problem: answer.message,
      asOf: answer.asOf,
      types: TYPES.map(([type]) => type),
      statuses: STATUSES.map(({ status }) => status),
      mayCreate: roles.includes(MAINTAIN_REPORTS),
      masked: hidden.masked,
      total: answer.body?.totalElements ?? null,
      reports: (answer.body?.content ?? []).map((report, i) => ({
        ...report,
        title: hidden.show('Report', 'title', report.title, `content.${i}.title`).text,
        origin: originOf(report),
      })),
      pagination: pagination(asked, page, answer.body?.totalPages ?? 0),
    })
  })
}

/** GOV.UK's pagination, with the filters kept. */
export function pagination(asked: Readonly<Record<string, string>>, page: number, pages: number) {
  if (pages < 2) return null
  const href = (to: number): string => {
    const given = Object.entries(asked).filter(([, value]) => value !== '')
    return `?${new URLSearchParams([...given, ['page', String(to)]]).toString()}`
  }
  const near = [1, page - 1, page, page + 1, pages].filter((each) => each >= 1 && each <= pages)
  const numbers = [...new Set(near)].sort((a, b) => a - b)
  return {
    ...(page > 1 ? { previous: { href: href(page - 1) } } : {}),
    ...(page < pages ? { next: { href: href(page + 1) } } : {}),
    items: numbers.flatMap((each, i) => [
      ...(i > 0 && each > numbers[i - 1]! + 1 ? [{ ellipsis: true }] : []),
      { number: each, href: href(each), current: each === page },
    ]),
  }
}
