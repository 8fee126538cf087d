/**
 * Which change of the source made each row that the API serves. The API reads the operational store alone: which schema
 * wrote the record, and where the row stands in DPR's files and in DuckDB, is what `incidents lineage` says.
 */
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { z } from 'zod'
import { lsnText } from '../core/position.ts'
import { ENTITY_DEFINITIONS } from '../schemas/entity.ts'
import { OF_INCIDENT } from './amendments.ts'
import { caseloadsOf } from './authorise.ts'
import type { Query } from './database.ts'
import { ErrorResponse, reportNotFound } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { FreshHeaders, Reference, ReportId } from './parameters.ts'
import { readReport, type WhichReport } from './queries.ts'
import { VIEW_REPORTS } from './roles.ts'
import type { ReportBasic } from './shapes.ts'

export const RowLineage = z
  .object({
    entity: z.string(),
    id: z.string().describe('The row’s UUID.'),
    sourceTable: z.string(),
    sourceKey: z.string().describe('The source row’s primary key as text.'),
    storeTable: z.string().describe('The operational store’s table; the row’s key there is its id.'),
    position: z.string().describe('Where the change sits in the source’s history; text order is history order.'),
    lsn: z.string().describe('The WAL position of the row’s own record, as PostgreSQL prints it.'),
    transactionId: z.int().nullable().describe('The source’s; null for rows read outside the stream.'),
    committedAt: z.string().describe('2024-07-01T11:34:56.789000Z.'),
    topic: z.string().nullable().describe('The raw topic; null where the API was not told its name.'),
    partition: z.int(),
    offset: z.int(),
    rulesVersion: z.int().describe('The rules and policy that made the row.'),
  })
  .describe('Where a row comes from.')

export const IncidentLineage = z
  .object({
    id: z.string(),
    reportReference: z.string(),
    rows: z.array(RowLineage).describe('Every row of the incident in both models.'),
    elsewhere: z
      .string()
      .describe('The command that says what the API cannot: schema ids, files and rows of DPR, DuckDB and parquet.'),
  })
  .describe('The lineage of every row of an incident.')

type IncidentLineage = z.infer<typeof IncidentLineage>
type Asked = Omit<WhichReport, 'shape'>

export interface LineageOptions {
  readonly database: pg.Pool
  /** What the raw topic is called. */
  readonly rawTopic?: string
}

export function lineageRoutes(server: FastifyInstance, { database, rawTopic }: LineageOptions): void {
  for (const [by, params, path] of [
    ['id', ReportId, '/incident-reports/:id/lineage'],
    ['reference', Reference, '/incident-reports/reference/:reference/lineage'],
  ] as const) {
    server.get(
      path,
      {
        config: { roles: [VIEW_REPORTS], audited: 'VIEW_INCIDENT_REPORT_LINEAGE' },
        schema: {
          tags: ['Incident reports'],
          headers: FreshHeaders,
          summary: `Which change of the source made each row of an incident report, by its ${by}`,
          params,
          response: { 200: IncidentLineage, 404: ErrorResponse, 409: ErrorResponse },
        },
      },
      async (request, reply) => {
        const value = (request.params as Record<string, string>)[by]!
        const asked: Asked = { by, value, caseloads: caseloadsOf(request) }
        const found = await answerFresh(database, reply, (query) => readLineage(query, asked, rawTopic ?? null))
        return found === undefined ? reportNotFound(reply) : reply.send(found)
      },
    )
  }
}

const ROWS = OF_INCIDENT.map(
  (entity, order) => `
    SELECT ${order} AS nth, '${entity}' AS entity, id, source_table AS "sourceTable", source_key AS "sourceKey",
           'prisons.incidents_${ENTITY_DEFINITIONS[entity].table}' AS "storeTable", position, lsn,
           nullif(tx_id, 0) AS "transactionId",
           to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "committedAt",
           "partition", topic_offset AS "offset", rules_version AS "rulesVersion"
    FROM prisons.incidents_${ENTITY_DEFINITIONS[entity].table} WHERE reference = $1`,
).join(' UNION ALL ')

/** All of them but the entity's place in the order. */
const COLUMNS = `
  entity, id, "sourceTable", "sourceKey", "storeTable", position, lsn, "transactionId", "committedAt", "partition",
  "offset", "rulesVersion"`

type Stored = Omit<z.infer<typeof RowLineage>, 'lsn' | 'topic'> & { readonly lsn: number }

async function readLineage(query: Query, asked: Asked, topic: string | null): Promise<IncidentLineage | undefined> {
  const report = await readReport<z.infer<typeof ReportBasic>>(query, { ...asked, shape: 'basic' })
  if (report === undefined) return undefined
  const rows = await query<Stored>(
    `SELECT ${COLUMNS} FROM (${ROWS}) r ORDER BY nth, "sourceTable", length("sourceKey"), "sourceKey"`,
    [report.reportReference],
  )
  return {
    id: report.id,
    reportReference: report.reportReference,
    rows: rows.map(({ lsn, ...row }) => ({ ...row, lsn: lsnText(lsn), topic })),
    elsewhere: `incidents lineage ${report.reportReference}`,
  }
}
