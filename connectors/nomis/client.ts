/** NOMIS's incident API, read patiently: it may be slow, answer 500, break off, or answer what was not asked. */
import { z } from 'zod'
import { PipelineError } from '../../core/error.ts'
import { NomisReport } from '../../schemas/nomis-payload.ts'
import { httpRequest } from './http.ts'
import { payloadOf } from './payload.ts'

export interface NomisClientOptions {
  /** `https://nomis.example` */
  readonly url: string
  readonly token?: string | undefined
  /** Of one try; 30 s unless given. */
  readonly timeoutMs?: number
  /** Tries of one request; 6 unless given. */
  readonly tries?: number
  /** Before the second try; twice as long before each further one. 250 ms unless given. */
  readonly backOffMs?: number
}

export interface IdPage {
  /** Rising. */
  readonly ids: readonly number[]
  /** How many incidents there are. */
  readonly total: number
}

export interface Changes {
  /** Oldest first; one incident may stand more than once. */
  readonly ids: readonly number[]
  /** Everything before this is in this answer or an earlier one: what to ask for next. */
  readonly upTo: string
  readonly more: boolean
}

export interface NomisClient {
  /** A page of the ids above `after`, which shows a page that was sent twice. */
  page(page: number, size: number, after: number): Promise<IdPage>
  /** Null when there is none (any more). NOMIS_PAYLOAD when it is not of the form. */
  incident(id: number): Promise<NomisReport | null>
  /** After a place in its changes; null asks for the present place alone. */
  changes(since: string | null): Promise<Changes>
}

const PageJson = z.object({
  content: z.array(z.object({ incidentId: z.int() })),
  totalElements: z.int(),
})
const ChangesJson = z.object({
  content: z.array(z.object({ incidentId: z.int() })),
  upTo: z.string(),
  more: z.boolean(),
})

export function nomisClient(options: NomisClientOptions): NomisClient {
  const read = <T>(path: string, understand: (json: unknown) => T): Promise<T | null> =>
    patiently(options, path, understand)
  return {
    page: async (page, size, after) => {
      const found = await read(`/incidents/ids?page=${page}&size=${size}`, (json) => {
        const { content, totalElements: total } = PageJson.parse(json)
        const ids = content.map(({ incidentId }) => incidentId)
        if (!ids.every((id, i) => id > (ids[i - 1] ?? after))) throw new Error('the page was sent before')
        return { ids, total }
      })
      return found ?? { ids: [], total: 0 }
    },
    incident: async (id) => {
      const json = await read(`/incidents/${id}`, (found) =>
        z
          .object({ incidentId: z.literal(id) })
          .loose()
          .parse(found),
      )
      if (json === null) return null
      const parsed = NomisReport.safeParse(payloadOf(json))
      if (parsed.success) return parsed.data
      const reasons = new Set(
        parsed.error.issues.map(
          ({ path, message }) => `${path.filter((part) => typeof part === 'string').join('.')}: ${message}`,
        ),
      )
      throw new PipelineError(
        'NOMIS_PAYLOAD',
        `NOMIS's incident is not of the form: ${[...reasons].slice(0, 3).join('; ')}`,
        'Mend it in NOMIS, then repeat it with migrate --only.',
      )
    },
    changes: async (since) => {
      const found = await read(
        since === null ? '/incidents/changes' : `/incidents/changes?since=${encodeURIComponent(since)}`,
        (json) => ChangesJson.parse(json),
      )
      if (found === null) throw unreachable('GET /incidents/changes answers 404')
      return { ...found, ids: found.content.map(({ incidentId }) => incidentId) }
    },
  }
}

/** Tries again, with longer and longer pauses, whatever may be better the next time. Null for 404. */
async function patiently<T>(
  options: NomisClientOptions,
  path: string,
  understand: (json: unknown) => T,
): Promise<T | null> {
  const { url, token, timeoutMs = 30_000, tries = 6, backOffMs = 250 } = options
  let said = ''
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt > 0) {
      const pause = backOffMs * 2 ** (attempt - 1)
      await new Promise((resolve) => setTimeout(resolve, pause / 2 + (Math.random() * pause) / 2))
    }
    try {
      const { status, text } = await httpRequest(new URL(path, url), {
        headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        timeoutMs,
      })
      if (status === 200) return understand(JSON.parse(text))
      said = `answers ${status}`
      if (status === 404) return null
      if (status < 500 && status !== 429) break
    } catch (error) {
      said =
        error instanceof Error && error.name === 'TimeoutError' ? 'does not answer in time' : 'gives no whole answer'
    }
  }
  throw unreachable(`GET ${path.replace(/\?.*/, '').replace(/\d+$/, '{id}')} ${said}`)
}

function unreachable(what: string): PipelineError {
  return new PipelineError(
    'NOMIS_UNREACHABLE',
    `NOMIS's API cannot be read: ${what}`,
    'Check NOMIS_API_URL, its token and the service; then run the command again, it goes on where it was.',
  )
}
