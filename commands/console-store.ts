/** How new the API's answers are. */
import type pg from 'pg'
import { lsnOf, lsnText } from '../core/position.ts'
import { ANSWER_MS } from './console-answers.ts'

export interface ApiNow {
  readonly asOf: number | null
  readonly lsn: string | null
}

/** Rejects when the API, or its store, does not answer. */
export async function readApi(apiUrl: string, store: pg.Pool): Promise<ApiNow> {
  const answer = await fetch(new URL('/health/ping', apiUrl), { signal: AbortSignal.timeout(ANSWER_MS) })
  if (!answer.ok) throw new Error(`the API answered ${answer.status}`)
  const [row] = (await store.query<{ at: number | null; marker: string | null }>(FRESHNESS)).rows
  const marker = row?.marker ?? ''
  return { asOf: row?.at ?? null, lsn: marker === '' ? null : lsnText(lsnOf(marker as never)) }
}

const FRESHNESS = `
  SELECT min(marker) AS marker, (extract(epoch FROM min(marker_committed_at)) * 1000)::float8 AS at
  FROM prisons.incidents_place`
