/** Which prison reports which type where, from which day (`/rollout`). */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { z } from 'zod'
import { LocalDate } from '../schemas/nomis-payload.ts'
import { DPS_CODES } from '../transforms/codes.ts'
import { londonDate, type Clock } from './clock.ts'
import { ErrorResponse } from './errors.ts'
import { ADMINISTER_REPORTS, MAINTAIN_REPORTS, MIGRATE_REPORTS, OPERATE_READ, VIEW_REPORTS } from './roles.ts'
import { ALL, CUT_OFF_MONTHS, cutOffOf, isCutOff, reportedIn, rolloutOf, type Rollout } from './rules.ts'
import type { Sql } from './source.ts'

const tags = ['Rollout']

const prisonMessage = `prison must be a prison, a PECS region or ${ALL}`
const typeMessage = `type must be a DPS type or ${ALL}`
const Params = z.object({
  prison: z.string().regex(/^([A-Z0-9]{2,20}|\*ALL\*)$/, prisonMessage),
  type: z.string().refine((type) => type === ALL || DPS_CODES.types.has(type), typeMessage),
})

const monthsMessage = `cutOffMonths must be ${CUT_OFF_MONTHS.least} to ${CUT_OFF_MONTHS.most}`
const Given = z.object({
  dpsFrom: LocalDate,
  cutOffMonths: z
    .int({ error: monthsMessage })
    .min(CUT_OFF_MONTHS.least, monthsMessage)
    .max(CUT_OFF_MONTHS.most, monthsMessage)
    .default(CUT_OFF_MONTHS.byDefault),
})

const Answer = z.object({
  prison: z.string(),
  type: z.string(),
  reportedIn: z.enum(['DPS', 'NOMIS']).describe('Where an incident of today is reported.'),
  dpsFrom: z.string().nullable().describe('Null while no day is decided.'),
  cutOff: z.string().nullable().describe('From this day on NOMIS changes its records no more.'),
  pastCutOff: z.boolean(),
})

const Decided = Answer.extend({ cutOffMonths: z.int(), changedBy: z.string(), changedAt: z.string() })

export function rolloutRoutes(server: FastifyInstance, source: pg.Pool, clock: Clock): void {
  const app = server.withTypeProvider<ZodTypeProvider>()
  const sql: Sql = async (text, values) => (await source.query(text, [...(values ?? [])])).rows
  const answer = async (prison: string, type: string): Promise<z.infer<typeof Answer>> => {
    const rollout = rolloutOf(await readRollouts(sql, prison), prison, type)
    const today = londonDate(clock())
    return {
      prison,
      type,
      reportedIn: reportedIn(rollout, today),
      dpsFrom: rollout?.dpsFrom ?? null,
      cutOff: cutOffOf(rollout),
      pastCutOff: isCutOff(rollout, today),
    }
  }

  app.get(
    '/rollout',
    {
      config: { roles: [OPERATE_READ, MAINTAIN_REPORTS, MIGRATE_REPORTS, ADMINISTER_REPORTS] },
      schema: {
        tags,
        summary: 'What is decided of prisons and types',
        response: { 200: z.array(Decided) },
      },
    },
    async () => {
      const today = londonDate(clock())
      const found = await sql<Rollout & { changedAt: string; changedBy: string }>(
        `SELECT prison, type, dps_from AS "dpsFrom", cut_off_months AS "cutOffMonths", changed_by AS "changedBy",
           to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "changedAt"
         FROM migration.rollout ORDER BY prison, type`,
      )
      return found.map((rollout) => ({
        ...rollout,
        reportedIn: reportedIn(rollout, today),
        cutOff: cutOffOf(rollout),
        pastCutOff: isCutOff(rollout, today),
      }))
    },
  )

  app.get(
    '/rollout/:prison/:type',
    {
      config: { roles: [VIEW_REPORTS, MAINTAIN_REPORTS, MIGRATE_REPORTS, ADMINISTER_REPORTS] },
      schema: {
        tags,
        summary: 'Where a prison reports incidents of a type, and until when NOMIS may change its own',
        params: Params,
        response: { 200: Answer, 400: ErrorResponse },
      },
    },
    ({ params }) => answer(params.prison, params.type),
  )

  app.put(
    '/rollout/:prison/:type',
    {
      config: { roles: [ADMINISTER_REPORTS], audited: 'CHANGE_INCIDENT_ROLLOUT' },
      schema: {
        tags,
        summary: `From which day a prison reports a type in DPS; ${ALL} for every prison or type without its own`,
        params: Params,
        body: Given,
        response: { 200: Answer, 400: ErrorResponse },
      },
    },
    async (request) => {
      const { prison, type } = request.params
      request.subject = { id: `${prison}/${type}`, type: 'NOT_APPLICABLE' }
      await sql(
        `INSERT INTO migration.rollout (prison, type, dps_from, cut_off_months, changed_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (prison, type) DO UPDATE SET dps_from = EXCLUDED.dps_from, changed_at = now(),
           cut_off_months = EXCLUDED.cut_off_months, changed_by = EXCLUDED.changed_by`,
        [prison, type, request.body.dpsFrom, request.body.cutOffMonths, request.caller.username],
      )
      return answer(prison, type)
    },
  )
}

/** Those that can matter to a prison; every one without. */
export async function readRollouts(sql: Sql, prison?: string): Promise<Rollout[]> {
  return sql<Rollout & Record<string, unknown>>(
    `SELECT prison, type, dps_from AS "dpsFrom", cut_off_months AS "cutOffMonths" FROM migration.rollout
      WHERE $1::text IS NULL OR prison IN ($1, '${ALL}')`,
    [prison ?? null],
  )
}
