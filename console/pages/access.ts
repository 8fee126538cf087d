/** Who saw, changed, revealed and took away what, when, and why. */
import type { FastifyInstance } from 'fastify'
import { REVIEW_AUDIT } from '../../api/roles.ts'
import { csv } from '../csv.ts'
import { mayOpen } from '../navigation.ts'
import { text } from '../fields.ts'
import { pagination } from './incidents.ts'

interface Entry {
  readonly id: number
  readonly what: string
  readonly when: string
  readonly who: string
  readonly clientId: string
  readonly subjectId: string | null
  readonly subjectType: string
  readonly correlationId: string
  readonly why: string | null
  readonly details: string
}

interface Page {
  readonly content: readonly Entry[]
  readonly totalElements: number
  readonly totalPages: number
}

const FILTERS = ['who', 'what', 'subjectId', 'from', 'until'] as const
const SIZE = 50
const EXPORT_PAGES = 50
const EXPORT_SIZE = 1000
const COLUMNS = [
  'when',
  'who',
  'clientId',
  'what',
  'subjectType',
  'subjectId',
  'why',
  'details',
  'correlationId',
] as const

export function accessPage(app: FastifyInstance): void {
  app.get('/access', async (request, reply) => {
    if (!(await mayOpen(request, reply, [REVIEW_AUDIT]))) return reply
    const asked = askedOf(request.query)
    const page = Math.max(
      1,
      Math.min(1_000_000, Number.parseInt(text((request.query as { page?: unknown }).page), 10) || 1),
    )
    const query = new URLSearchParams({ ...asked, page: String(page - 1), size: String(SIZE) })
    const answer = await request.api<Page>(`/audit?${query.toString()}`)
    if (answer.body === null) void reply.code(answer.status === 400 ? 400 : 503)
    return reply.view('access.njk', {
      asked,
      exported: new URLSearchParams(asked).toString(),
      problem: answer.message,
      total: answer.body?.totalElements ?? null,
      entries: answer.body?.content ?? [],
      pagination: pagination(asked, page, answer.body?.totalPages ?? 0),
    })
  })

  app.get('/access.csv', async (request, reply) => {
    if (!(await mayOpen(request, reply, [REVIEW_AUDIT]))) return reply
    const asked = askedOf(request.query)
    const found: Entry[] = []
    for (let page = 0; page < EXPORT_PAGES; page++) {
      const query = new URLSearchParams({ ...asked, page: String(page), size: String(EXPORT_SIZE) })
      const answer = await request.api<Page>(`/audit?${query.toString()}`, { reason: 'Exported as CSV' })
      if (answer.body === null) {
        return reply.code(503).view('message.njk', { heading: 'The export failed', paragraphs: [answer.message] })
      }
      found.push(...answer.body.content)
      if (page + 1 >= answer.body.totalPages) break
    }
    // the export's own records push earlier ones over the border of a page
    const rows = [...new Map(found.map((entry) => [entry.id, entry])).values()]
    return reply
      .type('text/csv; charset=utf-8')
      .header('Content-Disposition', 'attachment; filename="access.csv"')
      .send(
        csv(
          COLUMNS,
          rows.map((entry) => COLUMNS.map((column) => entry[column])),
        ),
      )
  })
}

function askedOf(query: unknown): Record<(typeof FILTERS)[number], string> {
  const given = query as Record<string, unknown>
  return Object.fromEntries(FILTERS.map((name) => [name, text(given[name])])) as Record<
    (typeof FILTERS)[number],
    string
  >
}
