/**
 * A prisoner's assaults in one answer: what takes CatTool 2 + N calls (rule service.cattool). It counts a report once,
 * and only where number and role are those of one involvement; the list's filters match them on two.
 */
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type pg from 'pg'
import type { z } from 'zod'
import { caseloadsOf } from './authorise.ts'
import type { Query } from './database.ts'
import { ErrorResponse } from './errors.ts'
import { answerFresh } from './freshness.ts'
import { FreshHeaders, PrisonerNumber, SummaryQuery } from './parameters.ts'
import { REPORTS } from './filters.ts'
import { INCOMPLETE } from './queries.ts'
import { VIEW_REPORTS } from './roles.ts'
import { AssaultSummary } from './shapes.ts'

type AssaultSummary = z.infer<typeof AssaultSummary>

/** What counts as an assault, and a serious one. Raised in number with any change of the rule. */
const ASSAULT_RULE = {
  version: 1,
  types: ['ASSAULT_1', 'ASSAULT_5'],
  roles: [
    'ACTIVE_INVOLVEMENT',
    'ASSAILANT',
    'FIGHTER',
    'IMPEDED_STAFF',
    'PERPETRATOR',
    'SUSPECTED_ASSAILANT',
    'SUSPECTED_INVOLVED',
  ],
  statuses: ['AWAITING_REVIEW', 'ON_HOLD', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'WAS_CLOSED'],
  /** Answered YES, whatever the case of either. Both models carry these texts; their codes differ. */
  serious: [
    'WAS THIS A SEXUAL ASSAULT',
    'WAS MEDICAL TREATMENT FOR CONCUSSION OR INTERNAL INJURIES REQUIRED',
    'WAS A SERIOUS INJURY SUSTAINED',
    'DID INJURIES RESULT IN DETENTION IN OUTSIDE HOSPITAL AS AN IN-PATIENT',
  ],
} as const

export const RECENT_MONTHS = 12

export function assaultRoutes(server: FastifyInstance, database: pg.Pool): void {
  server.withTypeProvider<ZodTypeProvider>().get(
    '/prisoners/:prisonerNumber/assault-summary',
    {
      config: { roles: [VIEW_REPORTS], audited: 'VIEW_ASSAULT_SUMMARY' },
      schema: {
        tags: ['Prisoners'],
        summary: 'How many assaults a prisoner took an active part in',
        headers: FreshHeaders,
        params: PrisonerNumber,
        querystring: SummaryQuery,
        response: { 200: AssaultSummary, 409: ErrorResponse },
      },
    },
    (request, reply) =>
      answerFresh(database, reply, (query) =>
        readSummary(query, {
          prisonerNumber: request.params.prisonerNumber,
          months: request.query.recentMonths ?? RECENT_MONTHS,
          caseloads: caseloadsOf(request),
        }),
      ),
  )
}

interface Asked {
  readonly prisonerNumber: string
  readonly months: number
  readonly caseloads: readonly string[] | null
}

/** The questions are those of the report's present type; earlier ones have their own place. */
const SUMMARY = `
  WITH assault AS (
    SELECT r.id, r.reference, r.incident_date_and_time_local AS at, ${INCOMPLETE} AS incomplete,
           r.incident_date_and_time_local >=
             (now() AT TIME ZONE 'Europe/London')::date - make_interval(months => $2) AS recent
    FROM ${REPORTS}
    WHERE r.type = ANY ($3) AND r.status = ANY ($5) AND ($7::text[] IS NULL OR r.location = ANY ($7))
      AND (r.reference, r.id) IN (
        SELECT i.reference, i.report_id FROM prisons.incidents_prisoner_involvement i
        WHERE i.prisoner_number = $1 AND i.prisoner_role = ANY ($4))),
  judged AS (
    SELECT a.*, a.recent AND EXISTS (
      SELECT FROM prisons.incidents_question q
      JOIN prisons.incidents_response s ON s.question_id = q.id AND s.reference = q.reference
      WHERE q.reference = a.reference AND q.report_id = a.id
        AND upper(q.question) = ANY ($6) AND upper(s.response) = 'YES') AS serious
    FROM assault a)
  SELECT count(*) AS "countOfAssaults", count(*) FILTER (WHERE recent AND serious) AS "countOfRecentSeriousAssaults",
         count(*) FILTER (WHERE recent AND NOT serious) AS "countOfRecentNonSeriousAssaults",
         coalesce(json_agg(id ORDER BY at DESC, id DESC), '[]') AS "reportIds",
         coalesce(bool_or(incomplete), false) AS incomplete
  FROM judged`

/** One row, whoever the prisoner is. */
export async function readSummary(query: Query, { prisonerNumber, months, caseloads }: Asked): Promise<AssaultSummary> {
  const { types, roles, statuses, serious } = ASSAULT_RULE
  const values = [prisonerNumber, months, types, roles, statuses, serious, caseloads]
  const [summary] = await query<AssaultSummary>(SUMMARY, values, 'assault summary')
  return summary!
}
