/** The migration history's paths (rule service.runs), and those by which a migrator elsewhere keeps it. */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import { storableText } from '../schemas/nomis-payload.ts'
import { ErrorResponse } from './errors.ts'
import { activeRuns, allRuns, beginRun, failures, readRun, updateRun } from './history-records.ts'
import { MIGRATE_REPORTS } from './roles.ts'
import type { Sql } from './source.ts'

const tags = ['Migration history']
const config = { roles: [MIGRATE_REPORTS] }
const audited = { roles: [MIGRATE_REPORTS], audited: 'CHANGE_MIGRATION_HISTORY' }

const Type = z.object({ type: z.enum(['INCIDENTS', 'INCIDENTS_ONLY', 'INCIDENTS_FOLLOW']) })
const Id = z.object({ id: z.string().max(40) })
const Status = z.enum(['STARTED', 'COMPLETED', 'CANCELLED_REQUESTED', 'CANCELLED'])
const Count = z.int().min(0)

const Run = z.object({
  migrationId: z.string(),
  whenStarted: z.string(),
  whenEnded: z.string().nullable(),
  estimatedRecordCount: z.number(),
  recordsMigrated: z.number(),
  recordsFailed: z.number(),
  migrationType: z.string(),
  status: Status,
  filter: z.string().nullable(),
})

const NomisId = z.int().min(1).max(9_999_999_999)
const Failure = z.object({ nomisIncidentId: NomisId, code: storableText(40, 1), reason: storableText(500) })

const Update = z.object({
  recordsMigrated: Count.optional(),
  estimatedRecordCount: Count.optional(),
  filter: storableText(1_000).optional(),
  status: Status.optional(),
  failed: z.array(Failure).max(1_000).optional(),
  recovered: z.array(NomisId).max(1_000).optional(),
})

export function historyRecordRoutes(server: FastifyInstance, source: pg.Pool): void {
  const app = server.withTypeProvider<ZodTypeProvider>()
  const sql: Sql = async (text, values) => (await source.query(text, [...(values ?? [])])).rows

  app.get(
    '/migrate/history/all/:type',
    {
      config,
      schema: { tags, summary: 'Every run of a type, newest first', params: Type, response: { 200: z.array(Run) } },
    },
    ({ params }) => allRuns(sql, params.type),
  )
  app.get(
    '/migrate/history/active/:type',
    { config, schema: { tags, summary: 'The run that has not ended', params: Type, response: { 200: z.array(Run) } } },
    ({ params }) => activeRuns(sql, params.type),
  )
  app.post(
    '/migrate/history/active/:type',
    {
      config: audited,
      schema: {
        tags,
        summary: 'Goes on with the run that has not ended, or begins one',
        params: Type,
        body: z.object({ estimatedRecordCount: Count }),
        response: { 200: Run },
      },
    },
    ({ params, body }) => beginRun(source, params.type, body.estimatedRecordCount),
  )
  app.get(
    '/migrate/history/failures',
    {
      config,
      schema: {
        tags,
        summary: 'What could not be brought over, until it is',
        response: { 200: z.array(Failure.extend({ migrationId: z.string() })) },
      },
    },
    () => failures(sql),
  )
  app.get(
    '/migrate/history/:id',
    { config, schema: { tags, summary: 'A run', params: Id, response: { 200: Run, 404: ErrorResponse } } },
    ({ params }) => readRun(sql, params.id),
  )
  app.patch(
    '/migrate/history/:id',
    {
      config: audited,
      schema: { tags, summary: 'Where a run is', params: Id, body: Update, response: { 200: Run, 404: ErrorResponse } },
    },
    ({ params, body }) => updateRun(source, params.id, body),
  )
}
