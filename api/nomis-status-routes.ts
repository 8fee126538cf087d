/** `GET /nomis/status`: the evidence for NOMIS's decommissioning. Counts alone, of nobody. */
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import { z } from 'zod'
import { londonDate, type Clock } from './clock.ts'
import { nomisStatus } from './nomis-status.ts'
import { ADMINISTER_REPORTS, MIGRATE_REPORTS, OPERATE_READ, OPERATE_WRITE } from './roles.ts'
import type { Sql } from './source.ts'

const MayGo = z.object({ may: z.boolean(), reasons: z.array(z.string()) })
const Answer = z.object({
  rows: z.array(
    z.object({
      prison: z.string(),
      type: z.string(),
      migrated: z.number(),
      openInNomis: z.number(),
      reportedIn: z.enum(['DPS', 'NOMIS']),
      cutOff: z.string().nullable(),
      afterCutOff: z.boolean(),
      differing: z.number().nullable(),
    }),
  ),
  migrated: z.number(),
  openInNomis: z.number(),
  failed: z.number(),
  lastMigration: z
    .object({ migrationId: z.string(), status: z.string(), estimated: z.number(), migrated: z.number() })
    .nullable(),
  lastComparison: z.object({ when: z.string(), compared: z.number(), differing: z.number() }).nullable(),
  screens: MayGo,
  endpoints: MayGo,
  tables: MayGo,
})

export function nomisStatusRoutes(app: FastifyInstance, source: pg.Pool, clock: Clock): void {
  const sql: Sql = async (text, values) => (await source.query(text, [...(values ?? [])])).rows
  app.get(
    '/nomis/status',
    {
      config: { roles: [ADMINISTER_REPORTS, MIGRATE_REPORTS, OPERATE_READ, OPERATE_WRITE] },
      schema: {
        tags: ['Rollout'],
        summary: 'Whether NOMIS’s incident screens, endpoints and tables may go, and why not',
        response: { 200: Answer },
      },
    },
    () => nomisStatus(sql, londonDate(clock())),
  )
}
