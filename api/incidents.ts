/** Incident reports of both models, as the present service answers them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import type { z } from 'zod'
import { caseloadsOf } from './authorise.ts'
import { MOST_GROUPS, readCounts } from './counts.ts'
import { badRequest, ErrorResponse, reportNotFound } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { page } from './page.ts'
import {
  CountQuery,
  DetailsQuery,
  FreshHeaders,
  Reference,
  ReportId,
  ReportQuery,
  sortsBy,
  type ReportFilters,
} from './parameters.ts'
import { readPage, readReport, type WhichReport } from './queries.ts'
import { VIEW_REPORTS } from './roles.ts'
import { ReportBasic, ReportCounts, ReportPage, ReportWithDetails } from './shapes.ts'

type ReportPage = z.infer<typeof ReportPage>
type ReportBasic = z.infer<typeof ReportBasic>
type ReportWithDetails = z.infer<typeof ReportWithDetails>

const DEFAULT_SIZE = 20

const tags = ['Incident reports']
const roles = [VIEW_REPORTS]
const fresh = { tags, headers: FreshHeaders }
const notFound = { 404: ErrorResponse, 409: ErrorResponse }

/** What a report has many of, each alone under its own path. */
const PARTS = {
  questions: 'questions',
  'prisoners-involved': 'prisonersInvolved',
  'staff-involved': 'staffInvolved',
  'correction-requests': 'correctionRequests',
  'description-addendums': 'descriptionAddendums',
} as const satisfies Record<string, keyof ReportWithDetails>

export function incidentRoutes(server: FastifyInstance, database: pg.Pool): void {
  const app = server.withTypeProvider<ZodTypeProvider>()

  async function answerReport(
    request: FastifyRequest,
    reply: FastifyReply,
    which: Omit<WhichReport, 'caseloads'>,
    part?: keyof ReportWithDetails,
  ): Promise<FastifyReply> {
    const asked = { ...which, caseloads: caseloadsOf(request) }
    const report = await answerFresh(database, reply, (query) => readReport<ReportWithDetails>(query, asked))
    if (report === undefined) return reportNotFound(reply)
    return reply.send(part === undefined ? report : report[part])
  }

  app.get(
    '/incident-reports',
    {
      config: { roles, audited: 'SEARCH_INCIDENT_REPORTS' },
      schema: {
        ...fresh,
        summary: 'Finds incident reports, a page at a time',
        querystring: ReportQuery,
        response: { 200: ReportPage, 409: ErrorResponse },
      },
    },
    (request, reply) =>
      answerFresh(database, reply, (query) =>
        reportPage(query, { asked: request.query, caseloads: caseloadsOf(request) }),
      ),
  )

  app.get(
    '/incident-reports/counts',
    {
      config: { roles, audited: 'SEARCH_INCIDENT_REPORTS' },
      schema: {
        ...fresh,
        summary: 'How many incident reports there are of each prison, type, status or month',
        querystring: CountQuery,
        response: { 200: ReportCounts, 409: ErrorResponse },
      },
    },
    async (request, reply) => {
      const { by, ...asked } = request.query
      const { total, groups } = await answerFresh(database, reply, (query) =>
        readCounts(query, { by, asked, caseloads: caseloadsOf(request) }),
      )
      if (groups.length > MOST_GROUPS) return badRequest(reply, `more than ${MOST_GROUPS} groups: ask for fewer`)
      return { by, total, counts: groups }
    },
  )

  for (const [by, params, path] of [
    ['id', ReportId, '/incident-reports/:id'],
    ['reference', Reference, '/incident-reports/reference/:reference'],
  ] as const) {
    const value = (given: unknown): string => (given as Record<string, string>)[by]!
    const config = { roles, audited: 'VIEW_INCIDENT_REPORT' }
    server.get(
      path,
      {
        config,
        schema: {
          ...fresh,
          summary: `An incident report by its ${by}`,
          params,
          response: { 200: ReportBasic, ...notFound },
        },
      },
      (request, reply) => answerReport(request, reply, { by, value: value(request.params), shape: 'basic' }),
    )
    server.get(
      `${path}/with-details`,
      {
        config,
        schema: {
          ...fresh,
          summary: `An incident report by its ${by}, with all that belongs to it`,
          params,
          querystring: DetailsQuery,
          response: { 200: ReportWithDetails, ...notFound },
        },
      },
      (request, reply) => {
        const { includeHistory } = request.query as z.infer<typeof DetailsQuery>
        const shape = includeHistory === 'true' ? 'detailsWithHistory' : 'details'
        return answerReport(request, reply, { by, value: value(request.params), shape })
      },
    )
  }

  for (const [path, part] of Object.entries(PARTS)) {
    server.get(
      `/incident-reports/:id/${path}`,
      {
        config: { roles, audited: 'VIEW_INCIDENT_REPORT' },
        schema: {
          ...fresh,
          summary: `The ${path.replace('-', ' ')} of an incident report`,
          params: ReportId,
          response: { 200: ReportWithDetails.shape[part], ...notFound },
        },
      },
      (request, reply) =>
        answerReport(
          request,
          reply,
          { by: 'id', value: (request.params as z.infer<typeof ReportId>).id, shape: 'details' },
          part,
        ),
    )
  }
}

async function reportPage(
  query: Parameters<typeof readPage>[0],
  { asked, caseloads }: { asked: ReportQuery; caseloads: ReportFilters['caseloads'] },
): Promise<ReportPage> {
  const number = asked.page ?? 0
  const size = asked.size ?? DEFAULT_SIZE
  const { total, content } = await readPage<ReportBasic>(
    query,
    { asked, caseloads },
    { offset: number * size, size, sort: asked.sort },
  )
  const sort = sortsBy(asked.sort).map(({ property, direction }) => `${property},${direction}`)
  return page(content, { number, size, total, sort })
}
