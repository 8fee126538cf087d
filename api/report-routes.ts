/** New incidents: made, amended, closed, reopened and deleted by the present service's paths (rule service.writes). */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import type { Clock } from './clock.ts'
import { ErrorResponse } from './errors.ts'
import { ReportId } from './parameters.ts'
import { ReasonHeaders } from './reason.ts'
import { addPart, changePart, deleteQuestions, putQuestions, removePart } from './report-parts.ts'
import { changeStatus, changeType, createReport, deleteReport, updateReport } from './report-changes.ts'
import type { OnReport } from './report-lock.ts'
import {
  ChangeStatus,
  ChangeType,
  CreateReport,
  PARTS,
  PutQuestions,
  QuestionCodes,
  UpdateReport,
} from './report-payloads.ts'
import { DELETE_REPORTS, MAINTAIN_REPORTS } from './roles.ts'
import { Question, ReportWithDetails } from './shapes.ts'

const tags = ['Incident report changes']
const roles = [MAINTAIN_REPORTS]
const errors = { 400: ErrorResponse, 404: ErrorResponse, 409: ErrorResponse }

/** Of a NOMIS record that was edited by hand it has the columns that can be. */
const Changed = z.unknown().describe('The report with its details.')
const Parts = z.array(z.unknown()).describe('The list as it is then.')

const headers = ReasonHeaders.extend({
  'if-match': z.string().max(40).optional().describe('The modifiedAt that was read: another one is a conflict, 307.'),
})

export function reportRoutes(server: FastifyInstance, source: pg.Pool, clock: Clock): void {
  const app = server.withTypeProvider<ZodTypeProvider>()

  const on = (request: FastifyRequest): OnReport => {
    const match = request.headers['if-match']?.replace(/^(W\/)?"|"$/g, '')
    const { id } = request.params as { id: string }
    return { source, caller: request.caller, clock, id, ...(match === undefined ? {} : { modifiedAt: match }) }
  }
  const described = (summary: string, audited: string) => ({
    config: { roles, audited },
    schema: { tags, summary, params: ReportId, headers },
  })

  app.post(
    '/incident-reports',
    {
      config: { roles, audited: 'CREATE_INCIDENT_REPORT' },
      schema: {
        tags,
        summary: 'Makes a draft, where the prison reports incidents of the type in DPS',
        body: CreateReport,
        response: { 201: ReportWithDetails, ...errors },
      },
    },
    async (request, reply) => {
      const report = await createReport({ source, caller: request.caller, clock }, request.body)
      request.subject = { id: report.id, type: 'INCIDENT_REPORT' }
      return reply.code(201).send(report)
    },
  )

  const change = described('Changes what is given of a report', 'AMEND_INCIDENT_REPORT')
  app.patch(
    '/incident-reports/:id',
    { ...change, schema: { ...change.schema, body: UpdateReport, response: { 200: Changed, ...errors } } },
    (request) => updateReport(on(request), request.body),
  )

  const status = described('Changes a report’s status: submits, closes, reopens, …', 'CHANGE_INCIDENT_REPORT_STATUS')
  app.patch(
    '/incident-reports/:id/status',
    { ...status, schema: { ...status.schema, body: ChangeStatus, response: { 200: Changed, ...errors } } },
    (request) => changeStatus(on(request), request.body),
  )

  const type = described(
    'Changes a report’s type: its questions go to the history, its prisoners are removed',
    'CHANGE_INCIDENT_REPORT_TYPE',
  )
  app.patch(
    '/incident-reports/:id/type',
    { ...type, schema: { ...type.schema, body: ChangeType, response: { 200: ReportWithDetails, ...errors } } },
    (request) => changeType(on(request), request.body.newType),
  )

  app.delete(
    '/incident-reports/:id',
    {
      config: { roles: [DELETE_REPORTS], audited: 'DELETE_INCIDENT_REPORT' },
      schema: {
        tags,
        summary: 'Deletes a report that was made in error, with everything of it',
        params: ReportId,
        headers,
        response: { 200: ReportWithDetails, ...errors },
      },
    },
    (request) => deleteReport(on(request)),
  )

  const questions = described('Adds questions, or replaces their responses', 'AMEND_INCIDENT_REPORT_QUESTIONS')
  app.put(
    '/incident-reports/:id/questions',
    {
      ...questions,
      schema: { ...questions.schema, body: PutQuestions, response: { 200: z.array(Question), ...errors } },
    },
    (request) => putQuestions(on(request), request.body),
  )
  const gone = described('Removes questions by their codes', 'AMEND_INCIDENT_REPORT_QUESTIONS')
  app.delete(
    '/incident-reports/:id/questions',
    {
      ...gone,
      schema: { ...gone.schema, querystring: QuestionCodes, response: { 200: z.array(Question), ...errors } },
    },
    (request) => deleteQuestions(on(request), request.query.code),
  )

  const Place = ReportId.extend({
    index: z.coerce.number({ error: 'index must be a whole number from 1' }).int().min(1).max(100_000),
  })
  for (const part of PARTS) {
    const path = `/incident-reports/:id/${part.path}`
    const audited = `AMEND_INCIDENT_REPORT_${part.what}`
    const schema = { tags, params: ReportId, headers, response: { 200: Parts, 201: Parts, ...errors } }
    app.post(
      path,
      { config: { roles, audited }, schema: { ...schema, summary: `Adds to ${part.path}`, body: part.schema } },
      async (request, reply) => reply.code(201).send(await addPart(on(request), part, request.body)),
    )
    app.patch(
      `${path}/:index`,
      {
        config: { roles, audited },
        schema: { ...schema, params: Place, summary: `Changes one of ${part.path}`, body: part.schema.partial() },
      },
      (request) => changePart(on(request), part, { index: request.params.index, given: request.body }),
    )
    app.delete(
      `${path}/:index`,
      {
        config: { roles, audited },
        schema: { ...schema, params: Place, summary: `Removes one of ${part.path}` },
      },
      (request) => removePart(on(request), part, request.params.index),
    )
  }
}
