/** Incident reports of both models, as the present service answers them. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import type { z } from 'zod'
import { ErrorResponse, reportNotFound } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { Reference, ReportId, ReportQuery, sortsBy } from './parameters.ts'
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

  for (const [by, params] of [
    ['id', ReportId],
    ['reference', Reference],
  ] as const) {
    for (const shape of ['basic', 'details'] as const) {
      const path = by === 'id' ? '/incident-reports/:id' : '/incident-reports/reference/:reference'
      server.get(
        shape === 'basic' ? path : `${path}/with-details`,
        {
          schema: {
            tags,
            summary: `An incident report by its ${by}${shape === 'basic' ? '' : ', with all that belongs to it'}`,
            params,
            response: {
              200: shape === 'basic' ? ReportBasic : ReportWithDetails,
              400: ErrorResponse,
              404: ErrorResponse,
            },
          },
        },
        (request, reply) => {
          const value = (request.params as Record<string, string>)[by]!
          return answerReport(reply, { by, value, shape })
        },
      )
    }
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
