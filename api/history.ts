/** What happened to an incident, and what it was before. */
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { z } from 'zod'
import { readAmendments } from './amendments.ts'
import { caseloadsOf } from './authorise.ts'
import type { Query } from './database.ts'
import { ErrorResponse, reportNotFound } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { FreshHeaders, Reference, ReportId } from './parameters.ts'
import { readReport, type WhichReport } from './queries.ts'
import { VIEW_REPORTS } from './roles.ts'
import { ReportWithDetails } from './shapes.ts'

const Values = z.record(z.string(), z.unknown()).nullable()

export const Amendment = z
  .object({
    entity: z.string().describe('The kind of row: Report, PrisonerInvolvement, Response ….'),
    id: z.string().describe('The row’s UUID.'),
    what: z.enum(['created', 'changed', 'removed']),
    model: z.string().describe('The model whose row it is: DPS or NOMIS.'),
    sourceTable: z.string(),
    changedBy: z
      .string()
      .nullable()
      .describe('Username: whom the report names in the same transaction, else whom a new row names; null if neither.'),
    readOutsideStream: z
      .boolean()
      .describe('True when the row was read as it stood, in a snapshot or a repair: when it became so is not known.'),
    position: z.string().describe('Where the change sits in the source’s history; text order is history order.'),
    lsn: z.string().describe('The WAL position as PostgreSQL prints it: 16/B374D848.'),
    transactionId: z.int().nullable().describe('The source’s; null outside the stream.'),
    committedAt: z.string().describe('2024-07-01T11:34:56.789000Z.'),
    before: Values.describe('Of a change the fields that differ, of a removal the whole row.'),
    after: Values.describe('Of a change the fields that differ, of a creation the whole row.'),
  })
  .describe('What one change did to one row.')

export const IncidentHistory = z
  .object({
    ...ReportWithDetails.pick({
      id: true,
      reportReference: true,
      type: true,
      status: true,
      historyOfStatuses: true,
      history: true,
      questions: true,
      incomplete: true,
    }).shape,
    knownSince: z
      .string()
      .nullable()
      .describe('When the oldest amendment was committed. Amendments of before the first snapshot are nowhere.'),
    amendments: z.array(Amendment).describe('Oldest first, of every row of the incident in both models.'),
  })
  .describe('The statuses and types that a report had, its questions and answers as they were, and every amendment.')

type IncidentHistory = z.infer<typeof IncidentHistory>
type Asked = Omit<WhichReport, 'shape'>

export function historyRoutes(server: FastifyInstance, database: pg.Pool): void {
  for (const [by, params, path] of [
    ['id', ReportId, '/incident-reports/:id/history'],
    ['reference', Reference, '/incident-reports/reference/:reference/history'],
  ] as const) {
    server.get(
      path,
      {
        config: { roles: [VIEW_REPORTS], audited: 'VIEW_INCIDENT_REPORT_HISTORY' },
        schema: {
          tags: ['Incident reports'],
          headers: FreshHeaders,
          summary: `Everything that happened to an incident report, by its ${by}`,
          params,
          response: { 200: IncidentHistory, 404: ErrorResponse, 409: ErrorResponse },
        },
      },
      async (request, reply) => {
        const value = (request.params as Record<string, string>)[by]!
        const asked: Asked = { by, value, caseloads: caseloadsOf(request) }
        const found = await answerFresh(database, reply, (query) => readHistory(query, asked))
        return found === undefined ? reportNotFound(reply) : reply.send(found)
      },
    )
  }
}

/** Undefined when there is no such report, or not for these caseloads. */
async function readHistory(query: Query, asked: Asked): Promise<IncidentHistory | undefined> {
  const report = await readReport<z.infer<typeof ReportWithDetails>>(query, { ...asked, shape: 'detailsWithHistory' })
  if (report === undefined) return undefined
  const { id, reportReference, type, status, historyOfStatuses, history, questions, incomplete } = report
  const amendments = await readAmendments(query, reportReference)
  return {
    id,
    reportReference,
    type,
    status,
    historyOfStatuses,
    history,
    questions,
    incomplete,
    knownSince: amendments[0]?.committedAt ?? null,
    amendments,
  }
}
