/** What the reviewer reads: who saw or changed what, and why. */
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import type { Audit } from './audit.ts'
import { onSnapshot } from './database.ts'
import { page, pageOf } from './page.ts'
import { date, optional, paging, storableText } from './parameters.ts'
import { OPERATE_READ, REVIEW_AUDIT, VIEW_REPORTS } from './roles.ts'

const AuditQuery = z.object({
  who: optional(storableText('who', 1, 120)).describe('The username, or the client where no person stood behind it.'),
  what: optional(storableText('what', 1, 60)).describe('The verb and its thing, e.g. VIEW_INCIDENT_REPORT.'),
  subjectId: optional(storableText('subjectId', 1, 100)).describe(
    'A prisoner’s number, or a report’s id or reference.',
  ),
  from: date('from').describe('The first day, as London has it.'),
  until: date('until').describe('The last day, as London has it.'),
  ...paging,
})

const AuditEntry = z
  .object({
    id: z.int(),
    what: z.string(),
    when: z.string().describe('2024-07-01T12:34:56.789Z.'),
    who: z.string(),
    clientId: z.string(),
    service: z.string(),
    operationId: z.string().describe('The trace.'),
    subjectId: z.string().nullable(),
    subjectType: z.string(),
    correlationId: z.string().describe('The request.'),
    why: z.string().nullable().describe('As the caller gave it in X-Reason.'),
    details: z.string().describe('JSON: method, route, status and the names of the filters.'),
  })
  .describe('An access to the API.')

const AuditPage = pageOf(AuditEntry).describe('A page of audit records, the newest first.')
type AuditPage = z.infer<typeof AuditPage>

const COLUMNS = `id, what, to_char("when", 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "when", who, client_id AS "clientId",
  service, operation_id AS "operationId", subject_id AS "subjectId", subject_type AS "subjectType",
  correlation_id AS "correlationId", why, details`

const Analysis = z.object({ sql: z.string().min(1, 'sql is empty').max(20_000, 'sql is too long') })

/** What is asked of the published copy does not pass this API: who asks it records that here before. */
function analysisRoutes(server: FastifyInstance, audit: Audit): void {
  for (const [path, audited, summary] of [
    ['/analyses', 'RUN_ANALYSIS', 'Records that somebody runs SQL on the published copy'],
    ['/analyses/downloads', 'DOWNLOAD_ANALYSIS', 'Records that somebody takes a result of the published copy away'],
  ] as const) {
    server.withTypeProvider<ZodTypeProvider>().post(
      path,
      {
        config: { roles: [VIEW_REPORTS, OPERATE_READ], audited, onlyAsks: true },
        schema: { tags: ['Audit'], summary, body: Analysis, response: { 200: z.object({ digest: z.string() }) } },
      },
      async (request) => {
        await audit.ready()
        // the text may name somebody; its digest says whether two were the same
        const digest = createHash('sha256').update(request.body.sql).digest('hex')
        request.subject = { id: `sql:${digest}`, type: 'NOT_APPLICABLE' }
        return { digest }
      },
    )
  }
}

export function auditRoutes(server: FastifyInstance, database: pg.Pool, audit: Audit): void {
  analysisRoutes(server, audit)
  server.withTypeProvider<ZodTypeProvider>().get(
    '/audit',
    {
      config: { roles: [REVIEW_AUDIT], audited: 'SEARCH_AUDIT' },
      schema: {
        tags: ['Audit'],
        summary: 'Who saw or changed what, and why; the newest first',
        querystring: AuditQuery,
        response: { 200: AuditPage },
      },
    },
    async (request): Promise<AuditPage> => {
      const { page: number = 0, size = 20, who, what, subjectId, from: first, until: last } = request.query
      request.subject = { id: subjectId ?? who ?? 'all', type: 'AUDIT' }
      await audit.ready()
      const asked: readonly (readonly [condition: (value: string) => string, value: string | undefined])[] = [
        [(value) => `who = ${value}`, who],
        [(value) => `what = ${value}`, what],
        [(value) => `subject_id = ${value}`, subjectId],
        [(value) => `"when" >= ${midnight(value, 0)}`, first],
        [(value) => `"when" < ${midnight(value, 1)}`, last],
      ]
      const conditions = asked.filter(([, value]) => value !== undefined)
      const values = conditions.map(([, value]) => value)
      const where = ['true', ...conditions.map(([condition], i) => condition(`$${i + 1}`))].join(' AND ')
      const from = `FROM prisons.incidents_audit WHERE ${where}`
      const { result } = await onSnapshot(database, 'SELECT 1', async (query) => {
        const [counted] = await query<{ total: number }>(`SELECT count(*) AS total ${from}`, values)
        const total = counted?.total ?? 0
        const content = await query<z.infer<typeof AuditEntry>>(
          `SELECT ${COLUMNS} ${from} ORDER BY id DESC LIMIT $${values.length + 1} OFFSET $${values.length + 2}`,
          [...values, size, number * size],
        )
        return page(content, { number, size, total, sort: ['when,DESC'] })
      })
      return result
    },
  )
}

/** When the day begins in London, or the day `days` behind it. */
function midnight(day: string, days: number): string {
  return `((${day}::date + ${days})::timestamp AT TIME ZONE 'Europe/London')`
}
