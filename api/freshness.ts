/** How new an answer is: what every partition's newest marker says of the source. */
import type { FastifyReply } from 'fastify'
import type pg from 'pg'
import { lsnOf, lsnText, type Position } from '../core/position.ts'
import { onSnapshot, type Query } from './database.ts'

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

/** Answers out of one snapshot, and says in its headers how new it is. */
export function answerFresh<T>(database: pg.Pool, reply: FastifyReply, work: (query: Query) => Promise<T>): Promise<T> {
  return onSnapshot<FreshnessRow, T>(database, FRESHNESS, (rows, query) => {
    const { upTo } = freshness(rows)
    if (upTo !== null) {
      reply.header('X-Data-As-Of', upTo.committedAt)
      reply.header('X-Source-LSN', lsnText(lsnOf(upTo.position)))
    }
    return work(query)
  })
}

export async function readFreshness(database: pg.Pool): Promise<Freshness> {
  return freshness((await database.query<FreshnessRow>(FRESHNESS)).rows)
}

function freshness([row]: readonly FreshnessRow[]): Freshness {
  const { marker = null, at = null, whole = null } = row ?? {}
  const upTo = marker === null || marker === '' || at === null ? null : { position: marker, committedAt: at }
  return { upTo, whole: whole === true }
}
