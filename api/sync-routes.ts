/** NOMIS's incidents into the incident database, by the present service's paths (rules nomis.payload, nomis.sync). */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import { NomisSyncRequest } from '../schemas/nomis-payload.ts'
import type { Clock } from './clock.ts'
import { ErrorResponse } from './errors.ts'
import { ReportId } from './parameters.ts'
import { Refusal } from './refusal.ts'
import { MIGRATE_REPORTS } from './roles.ts'
import { deleteIncident, upsertIncident } from './sync.ts'

const tags = ['Synchronisation']
const roles = [MIGRATE_REPORTS]

/** The largest incident that the tables can hold is far below. */
const MOST_BYTES = 2 << 20

export function syncRoutes(server: FastifyInstance, source: pg.Pool, clock: Clock): void {
  const app = server.withTypeProvider<ZodTypeProvider>()

  app.post(
    '/sync/upsert',
    {
      config: { roles, audited: 'SYNCHRONISE_INCIDENT_REPORT' },
      bodyLimit: MOST_BYTES,
      schema: {
        tags,
        summary: 'Makes or changes an incident as NOMIS has it, with everything that belongs to it',
        querystring: z.object({ migrationId: z.string().max(40).optional().describe('Kept with the mapping.') }),
        body: NomisSyncRequest,
        response: {
          200: z.object({ id: z.string() }).describe('Changed.'),
          201: z.object({ id: z.string() }).describe('Made.'),
          400: ErrorResponse,
          404: ErrorResponse,
          409: ErrorResponse.describe(
            '302 exists (its id in moreInfo), 303 modified in DPS, 304 read-only, 305 past the cut-off, 306 reported in DPS.',
          ),
        },
      },
    },
    async (request, reply) => {
      const { id, created } = await upsertIncident(source, request.body, {
        clock,
        label: request.query.migrationId,
      })
      request.subject = { id, type: 'INCIDENT_REPORT' }
      return reply.code(created ? 201 : 200).send({ id })
    },
  )

  app.delete(
    '/sync/:id',
    {
      config: { roles, audited: 'DELETE_SYNCHRONISED_INCIDENT_REPORT' },
      schema: {
        tags,
        summary: 'Takes out an incident that NOMIS deleted',
        params: ReportId,
        response: { 204: z.null(), 404: ErrorResponse, 409: ErrorResponse },
      },
    },
    async (request, reply) => {
      const there = await deleteIncident(source, request.params.id, { clock })
      if (!there) throw new Refusal('notFound', 'There is no report found')
      return reply.code(204).send(null)
    },
  )
}
