/** Incident reports of both models, as the present service answers them. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import type { z } from 'zod'
import { ErrorResponse, reportNotFound } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { DetailsQuery, Reference, ReportId, ReportQuery, sortsBy } from './parameters.ts'
import { readPage, readReport, type WhichReport } from './queries.ts'
import { ReportBasic, ReportPage, ReportWithDetails } from './shapes.ts'

type ReportPage = z.infer<typeof ReportPage>
type ReportBasic = z.infer<typeof ReportBasic>

const DEFAULT_SIZE = 20

const tags = ['Incident reports']

export function incidentRoutes(server: FastifyInstance, database: pg.Pool): void {
  const app = server.withTypeProvider<ZodTypeProvider>()

  async function answerReport(reply: FastifyReply, which: WhichReport): Promise<FastifyReply> {
    const report = await answerFresh(database, reply, (query) => readReport(query, which))
    return report === undefined ? reportNotFound(reply) : reply.send(report)
  }

  app.get(
    '/incident-reports',
    {
      schema: {
        tags,
        summary: 'Finds incident reports, a page at a time',
        querystring: ReportQuery,
        response: { 200: ReportPage, 400: ErrorResponse },
      },
    },
    (request, reply) => answerFresh(database, reply, (query) => reportPage(query, request.query)),
  )

  for (const [by, params, path] of [
    ['id', ReportId, '/incident-reports/:id'],
    ['reference', Reference, '/incident-reports/reference/:reference'],
  ] as const) {
    const value = (given: unknown): string => (given as Record<string, string>)[by]!
    const errors = { 400: ErrorResponse, 404: ErrorResponse }
    server.get(
      path,
      {
        schema: {
          tags,
          summary: `An incident report by its ${by}`,
          params,
          response: { 200: ReportBasic, ...errors },
        },
      },
      (request, reply) => answerReport(reply, { by, value: value(request.params), shape: 'basic' }),
    )
    server.get(
      `${path}/with-details`,
      {
        schema: {
          tags,
          summary: `An incident report by its ${by}, with all that belongs to it`,
          params,
          querystring: DetailsQuery,
          response: { 200: ReportWithDetails, ...errors },
        },
      },
      (request, reply) => {
        const { includeHistory } = request.query as z.infer<typeof DetailsQuery>
        const shape = includeHistory === 'true' ? 'detailsWithHistory' : 'details'
        return answerReport(reply, { by, value: value(request.params), shape })
      },
    )
  }
}

async function reportPage(query: Parameters<typeof readPage>[0], asked: ReportQuery): Promise<ReportPage> {
  const number = asked.page ?? 0
  const size = asked.size ?? DEFAULT_SIZE
  const { total, content } = await readPage<ReportBasic>(query, asked, { offset: number * size, size })
  return {
    content,
    number,
    size,
    totalElements: total,
    totalPages: Math.ceil(total / size),
    numberOfElements: content.length,
    sort: sortsBy(asked.sort).map(({ property, direction }) => `${property},${direction}`),
  }
}
