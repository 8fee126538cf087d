/** Which NOMIS incident is which report: the mapping service's paths (rule service.mapping). */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import { ErrorResponse } from './errors.ts'
import { Refusal } from './refusal.ts'
import { MAP_INCIDENTS } from './roles.ts'
import type { Sql } from './source.ts'

const tags = ['Mapping']
const config = { roles: [MAP_INCIDENTS] }
const audited = { roles: [MAP_INCIDENTS], audited: 'CHANGE_INCIDENT_MAPPING' }

const numberMessage = 'a NOMIS incident id must be whole, from 1 to 9999999999'
const NomisId = z.coerce
  .number({ error: numberMessage })
  .int(numberMessage)
  .min(1, numberMessage)
  .max(9_999_999_999, numberMessage)
const DpsId = z.guid({ error: 'a DPS incident id must be a UUID' })
const labelMessage = 'a label must have at most 40 characters'
const Label = z
  .string({ error: labelMessage })
  .max(40, labelMessage)
  .regex(/^[\w:.-]*$/, 'a label must have letters, digits, and - : . _ alone')

const Mapping = z.object({
  dpsIncidentId: z.string(),
  nomisIncidentId: z.number(),
  label: z.string().nullable().describe('The run of the migrator that made it.'),
  mappingType: z.enum(['MIGRATED', 'NOMIS_CREATED', 'DPS_CREATED']),
  whenCreated: z.string(),
})
type Mapping = z.infer<typeof Mapping>

const Given = z.object({
  dpsIncidentId: DpsId,
  nomisIncidentId: z.int({ error: numberMessage }).min(1, numberMessage).max(9_999_999_999, numberMessage),
  label: Label.nullish(),
  mappingType: z.enum(['MIGRATED', 'NOMIS_CREATED', 'DPS_CREATED']),
})

const Duplicate = ErrorResponse.extend({
  moreInfo: z.object({ existing: Mapping.nullable(), duplicate: Given }),
}).describe('What is mapped already, and what was given.')

const COLUMNS = `incident_id AS "dpsIncidentId", nomis_incident_id AS "nomisIncidentId", label,
  mapping_type AS "mappingType", to_char(when_created, 'YYYY-MM-DD"T"HH24:MI:SS.MS') AS "whenCreated"`

const none = (): Refusal => new Refusal('notFound', 'There is no mapping found')

export function mappingRoutes(server: FastifyInstance, source: pg.Pool): void {
  const app = server.withTypeProvider<ZodTypeProvider>()
  const sql: Sql = async (text, values) => (await source.query(text, [...(values ?? [])])).rows
  const find = (where: string, values: readonly unknown[]): Promise<Mapping[]> =>
    sql<Mapping>(`SELECT ${COLUMNS} FROM migration.incident_mapping WHERE ${where}`, values)

  app.post(
    '/mapping/incidents',
    {
      config: audited,
      schema: {
        tags,
        summary: 'Maps a NOMIS incident to a report',
        body: Given,
        response: { 201: z.null(), 400: ErrorResponse, 409: Duplicate },
      },
    },
    async (request, reply) => {
      const { dpsIncidentId, nomisIncidentId, label, mappingType } = request.body
      const dps = dpsIncidentId.toLowerCase()
      request.subject = { id: dps, type: 'INCIDENT_REPORT' }
      const made = await sql(
        `INSERT INTO migration.incident_mapping (incident_id, nomis_incident_id, label, mapping_type)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1`,
        [dps, nomisIncidentId, label ?? null, mappingType],
      )
      if (made.length > 0) return reply.code(201).send(null as never)
      const [existing] = await find('incident_id = $1 OR nomis_incident_id = $2', [dps, nomisIncidentId])
      const message = 'Conflict: an incident of this mapping is mapped already'
      return reply.code(409).send({
        status: 409,
        errorCode: 1409,
        userMessage: message,
        developerMessage: message,
        moreInfo: { existing: existing ?? null, duplicate: { ...request.body, dpsIncidentId: dps } },
      })
    },
  )

  for (const [path, params, column] of [
    ['/mapping/incidents/nomis-incident-id/:id', z.object({ id: NomisId }), 'nomis_incident_id'],
    ['/mapping/incidents/dps-incident-id/:id', z.object({ id: DpsId }), 'incident_id'],
  ] as const) {
    app.get(
      path,
      {
        config,
        schema: {
          tags,
          summary: `The mapping by its ${column.replaceAll('_', ' ')}`,
          params,
          response: { 200: Mapping, 404: ErrorResponse },
        },
      },
      async ({ params: given }) => {
        const id = (given as { id: string | number }).id
        const [found] = await find(`${column} = $1`, [typeof id === 'string' ? id.toLowerCase() : id])
        if (found === undefined) throw none()
        return found
      },
    )
  }

  app.get(
    '/mapping/incidents/nomis-incident-id',
    {
      config,
      schema: {
        tags,
        summary: 'The mappings of several; 404 when one has none',
        querystring: z.object({
          nomisIncidentId: z.preprocess((given) => [given ?? []].flat(), z.array(NomisId).min(1).max(1_000)),
        }),
        response: { 200: z.array(Mapping), 404: ErrorResponse },
      },
    },
    async ({ query }) => {
      const ids = [...new Set(query.nomisIncidentId)]
      const found = await find('nomis_incident_id = ANY ($1) ORDER BY nomis_incident_id', [ids])
      if (found.length < ids.length) throw none()
      return found
    },
  )

  app.post(
    '/mapping/incidents/nomis-incident-id',
    {
      config: { ...audited, onlyAsks: true },
      schema: {
        tags,
        summary: 'Which of up to 1,000 NOMIS incidents have a mapping',
        body: z.array(z.int().min(1).max(9_999_999_999)).max(1_000, 'at most 1000 at a time'),
        response: { 200: z.array(Mapping), 400: ErrorResponse },
      },
    },
    ({ body }) => find('nomis_incident_id = ANY ($1)', [body]),
  )

  app.delete(
    '/mapping/incidents/dps-incident-id/:id',
    {
      config: audited,
      schema: { tags, summary: 'Removes a mapping', params: z.object({ id: DpsId }), response: { 204: z.null() } },
    },
    async ({ params }, reply) => {
      await sql('DELETE FROM migration.incident_mapping WHERE incident_id = $1', [params.id.toLowerCase()])
      return reply.code(204).send(null as never)
    },
  )

  app.delete(
    '/mapping/incidents',
    {
      config: audited,
      schema: {
        tags,
        summary: 'Removes every mapping, or every one that a migration made',
        querystring: z.object({ onlyMigrated: z.enum(['true', 'false']).default('false') }),
        response: { 204: z.null() },
      },
    },
    async ({ query }, reply) => {
      await sql(`DELETE FROM migration.incident_mapping WHERE NOT $1 OR mapping_type = 'MIGRATED'`, [
        query.onlyMigrated === 'true',
      ])
      return reply.code(204).send(null as never)
    },
  )

  app.get(
    '/mapping/incidents/migrated/latest',
    {
      config,
      schema: { tags, summary: 'The newest migrated mapping', response: { 200: Mapping, 404: ErrorResponse } },
    },
    async () => {
      const [found] = await find(
        `mapping_type = 'MIGRATED' ORDER BY when_created DESC, nomis_incident_id DESC LIMIT 1`,
        [],
      )
      if (found === undefined) throw none()
      return found
    },
  )

  app.get(
    '/mapping/incidents/migration-id/:migrationId',
    {
      config,
      schema: {
        tags,
        summary: 'What a run of the migrator mapped, a page at a time',
        params: z.object({ migrationId: z.string().max(40) }),
        querystring: z.object({
          page: z.coerce.number().int().min(0).max(1_000_000).default(0),
          size: z.coerce.number().int().min(1).max(1_000, 'Page size must be 1000 or less').default(20),
        }),
        response: { 200: z.object({ content: z.array(Mapping), totalElements: z.number() }) },
      },
    },
    async ({ params, query }) => {
      const [counted] = await sql<{ total: number }>(
        'SELECT count(*) AS total FROM migration.incident_mapping WHERE label = $1',
        [params.migrationId],
      )
      const content = await find('label = $1 ORDER BY nomis_incident_id LIMIT $2 OFFSET $3', [
        params.migrationId,
        query.size,
        query.page * query.size,
      ])
      return { content, totalElements: counted!.total }
    },
  )
}
