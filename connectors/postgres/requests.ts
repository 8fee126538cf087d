/**
 * Asking capture to read rows again. Whoever may connect to the source may ask: the request is a logical message in the
 * source's WAL, so it needs no table, no port and no rights, and capture meets it in its own stream.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { z } from 'zod'
import { PipelineError } from '../../core/error.ts'
import { parseLsn, type Lsn } from '../../core/position.ts'

const request = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('tables'),
    /** `schema.table` of each; null for every published table. */
    tables: z.array(z.string()).nullable(),
    /** Whether rows that the raw topic holds and the source has not are deleted. */
    sweep: z.boolean(),
    workers: z.int().min(1).max(16).optional(),
    /** Rows a second, at most. */
    rate: z.number().positive().optional(),
  }),
  z.object({
    kind: z.literal('rows'),
    table: z.string(),
    /** Of each row the primary key's values in key order, as PostgreSQL prints them. */
    keys: z.array(z.array(z.string()).min(1)).min(1),
  }),
  z.object({ kind: z.literal('incidents'), references: z.array(z.string()).min(1) }),
])

/**
 * Holds up reading tables outside the stream, or goes on with it, where it was. What streams is never held up: it would
 * keep the source's WAL. Rows and incidents that are named one by one are read all the same.
 */
const hold = z.object({
  kind: z.enum(['pause', 'resume']),
  /** `schema.table` of each. */
  tables: z.array(z.string()).min(1),
})
export type Hold = z.infer<typeof hold>

const asked = z.intersection(z.object({ id: z.string().min(1).max(100) }), request)

/**
 * What is to be read again: tables, rows by primary key, or every row of incidents in both models. Rows and incidents are
 * always swept: what is no longer in the source is deleted.
 */
export type Request = z.infer<typeof request>

/** The prefix of the messages by which rows are asked for. */
export function requestPrefix(namespace: string): string {
  return `${namespace}.requests`
}

/** The request of a message; null when it is none. */
export function requestOf(content: Buffer): { readonly id: string; readonly request: Request } | null {
  try {
    const { id, ...rest } = asked.parse(JSON.parse(content.toString('utf8')))
    return { id, request: rest as Request }
  } catch {
    return null
  }
}

/** What a message holds up or lets go on; null when it is no such message. */
export function holdOf(content: Buffer): Hold | null {
  try {
    return hold.parse(JSON.parse(content.toString('utf8')))
  } catch {
    return null
  }
}

/** Larger requests are to be cut: a message is one WAL record, and lies in memory. */
const MAX_BYTES = 8 << 20

/** Asks; resolves with the request's id and the LSN behind which capture knows of it. CONFIG when it is too large. */
export async function ask(
  client: pg.Client,
  namespace: string,
  wanted: Request,
): Promise<{ readonly id: string; readonly lsn: Lsn }> {
  const id = randomUUID()
  const content = JSON.stringify({ id, ...wanted })
  if (Buffer.byteLength(content) > MAX_BYTES) {
    throw new PipelineError(
      'CONFIG',
      `the request has ${Buffer.byteLength(content)} bytes, ${MAX_BYTES} are possible`,
      'Ask for fewer keys at once, or for the whole table.',
    )
  }
  return { id, lsn: await emit(client, namespace, content) }
}

/** Asks capture to hold tables up, or to go on; resolves with the LSN behind which it does. */
export async function askHold(client: pg.Client, namespace: string, wanted: Hold): Promise<Lsn> {
  return emit(client, namespace, JSON.stringify(wanted))
}

async function emit(client: pg.Client, namespace: string, content: string): Promise<Lsn> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_logical_emit_message(true, $1, $2)::text AS lsn', [
    requestPrefix(namespace),
    content,
  ])
  return parseLsn(rows[0]!.lsn)
}
