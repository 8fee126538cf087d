/** The incident service over HTTP. Who it refuses is told at once; what only waiting can mend is tried again. */
import { z } from 'zod'
import { PipelineError } from '../../core/error.ts'
import { httpRequest } from './http.ts'
import type { IncidentTarget, Outcome, Run } from './target.ts'

export interface HttpTargetOptions {
  readonly url: string
  readonly token: string
  /** Tries of one request; 6 unless given. */
  readonly tries?: number
  readonly backOffMs?: number
}

const ErrorJson = z.object({
  errorCode: z.int().nullable().catch(null),
  developerMessage: z.string().nullable().catch(null),
})
const RunJson = z.object({
  migrationId: z.string(),
  recordsMigrated: z.number(),
  filter: z.string().nullable(),
  status: z.string(),
})
const FailuresJson = z.array(z.object({ nomisIncidentId: z.number(), code: z.string(), reason: z.string() }))
const MappingsJson = z.array(z.object({ nomisIncidentId: z.number(), dpsIncidentId: z.string() }))
const StatusJson = z.object({ screens: z.object({ may: z.boolean() }), rows: z.array(z.unknown()) })

/** TARGET_UNREACHABLE when even patience does not help, or the token is not accepted. */
export function httpTarget(options: HttpTargetOptions): IncidentTarget {
  const call = (method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> =>
    patiently(options, { method, path, body })
  const wanted = async <T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T> => {
    const { status, json } = await call(method, path, body)
    const parsed = schema.safeParse(json)
    if (status >= 300 || !parsed.success) throw unreachable(`${method} ${path} answers ${status}`)
    return parsed.data
  }
  return {
    mapped: async (ids) => {
      if (ids.length === 0) return new Map()
      const found = await wanted(MappingsJson, 'POST', '/mapping/incidents/nomis-incident-id', ids)
      return new Map(found.map(({ nomisIncidentId, dpsIncidentId }) => [nomisIncidentId, dpsIncidentId]))
    },
    upsert: async ({ id, initialMigration, report, migrationId }) =>
      outcome(
        await call('POST', `/sync/upsert?migrationId=${encodeURIComponent(migrationId)}`, {
          id,
          initialMigration,
          incidentReport: report,
        }),
      ),
    remove: async (id) => {
      const answer = await call('DELETE', `/sync/${id}`)
      return answer.status === 404 ? { done: true } : outcome(answer)
    },
    begin: (type, estimatedRecordCount) =>
      wanted<Run>(RunJson, 'POST', `/migrate/history/active/${type}`, { estimatedRecordCount }),
    update: ({ migrationId }, update) =>
      wanted<Run>(RunJson, 'PATCH', `/migrate/history/${encodeURIComponent(migrationId)}`, update),
    failures: () => wanted(FailuresJson, 'GET', '/migrate/history/failures'),
    isOver: async () => {
      const { screens, rows } = await wanted(StatusJson, 'GET', '/nomis/status')
      return rows.length > 0 && screens.may
    },
  }
}

function outcome({ status, json }: { status: number; json: unknown }): Outcome {
  if (status < 300) return { done: true }
  const { errorCode, developerMessage } = ErrorJson.catch({ errorCode: null, developerMessage: null }).parse(json)
  return { done: false, code: errorCode, reason: developerMessage ?? `answered ${status}` }
}

async function patiently(
  { url, token, tries = 6, backOffMs = 250 }: HttpTargetOptions,
  { method, path, body }: { method: string; path: string; body?: unknown },
): Promise<{ status: number; json: unknown }> {
  let said = 'does not answer'
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, backOffMs * 2 ** (attempt - 1)))
    try {
      const { status, text } = await httpRequest(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        timeoutMs: 30_000,
      })
      said = `answers ${status}`
      if (status === 401 || status === 403) break
      // 307: somebody else was changing the incident
      const json: unknown = text === '' ? null : JSON.parse(text)
      const busy = status === 409 && (json as { errorCode?: unknown } | null)?.errorCode === 307
      if (status < 500 && status !== 429 && !busy) return { status, json }
    } catch {
      // the next try may reach it
    }
  }
  throw unreachable(`${method} ${path.replace(/\?.*/, '')} ${said}`)
}

function unreachable(what: string): PipelineError {
  return new PipelineError(
    'TARGET_UNREACHABLE',
    `the incident service cannot be used: ${what}`,
    'Check API_URL, API_TOKEN and its roles; then run the command again, it goes on where it was.',
  )
}
