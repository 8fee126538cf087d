/** How new an answer is: what every partition's newest marker says of the source. */
import type { FastifyReply } from 'fastify'
import type pg from 'pg'
import { lsnOf, lsnText, parseLsn, type Position } from '../core/position.ts'
import { onSnapshot, type Query } from './database.ts'
import { NotYet } from './errors.ts'

export interface Freshness {
  /** Everything that the source committed before this is in the store; null as long as a partition has no marker. */
  readonly upTo: { readonly position: Position; readonly committedAt: string } | null
  /** Every row of the first snapshot is in the store. */
  readonly whole: boolean
}

interface FreshnessRow {
  readonly marker: Position | null
  readonly at: string | null
  readonly whole: boolean | null
}

const FRESHNESS = `
  SELECT min(marker) AS marker, bool_and(snapshot_done) AS whole,
         to_char(min(marker_committed_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
  FROM prisons.incidents_place`

/** How long an answer waits for the store to come as far as was asked. */
const WAIT_MS = 3_000
const POLL_MS = 25

/**
 * Answers out of one snapshot, and says in its headers how new it is. With If-Source-LSN-At-Least it waits for the store
 * to be as new as that, up to a limit; then the answer is 409 with how far it is.
 */
export async function answerFresh<T>(
  database: pg.Pool,
  reply: FastifyReply,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const asked = reply.request.headers['if-source-lsn-at-least']
  if (typeof asked === 'string') {
    const { upTo, reached } = await awaitLsn(database, parseLsn(asked))
    if (!reached) {
      tellFreshness(reply, upTo)
      throw new NotYet(asked, upTo === null ? 'nothing' : lsnText(lsnOf(upTo.position)))
    }
  }
  const { rows, result } = await onSnapshot<FreshnessRow, T>(database, FRESHNESS, work)
  tellFreshness(reply, freshness(rows).upTo)
  return result
}

function tellFreshness(reply: FastifyReply, upTo: Freshness['upTo']): void {
  if (upTo === null) return
  reply.header('X-Data-As-Of', upTo.committedAt)
  reply.header('X-Source-LSN', lsnText(lsnOf(upTo.position)))
}

async function awaitLsn(database: pg.Pool, lsn: number): Promise<{ upTo: Freshness['upTo']; reached: boolean }> {
  const until = performance.now() + WAIT_MS
  while (true) {
    const { upTo } = await readFreshness(database)
    if (upTo !== null && lsnOf(upTo.position) >= lsn) return { upTo, reached: true }
    if (performance.now() >= until) return { upTo, reached: false }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

export async function readFreshness(database: pg.Pool): Promise<Freshness> {
  return freshness((await database.query<FreshnessRow>(FRESHNESS)).rows)
}

function freshness([row]: readonly FreshnessRow[]): Freshness {
  const { marker = null, at = null, whole = null } = row ?? {}
  const upTo = marker === null || marker === '' || at === null ? null : { position: marker, committedAt: at }
  return { upTo, whole: whole === true }
}
