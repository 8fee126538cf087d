/** The publication while the stream runs: one that is dropped or changed does not fail, it falls silent. */
import type pg from 'pg'
import { tableName, type Table } from '../../core/change.ts'
import { PipelineError } from '../../core/error.ts'
import { quoted } from './catalog.ts'
import type { Shape } from './schema-change.ts'

export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const

const FOUND = `
  SELECT oid::int8 AS oid, pubinsert::text AS insert, pubupdate::text AS update, pubdelete::text AS delete, pubtruncate::text AS truncate
  FROM pg_publication WHERE pubname = $1`

const STILL_THERE = `SELECT oid::int8 AS oid FROM pg_class WHERE oid = to_regclass(format('%I.%I', $1::text, $2::text))`

/** What is known of the publication: its oid is another one when it was dropped and made again. */
export async function publicationOid(client: pg.Client, publication: string): Promise<number | null> {
  const { rows } = await client.query<{ oid: string }>(FOUND, [publication])
  return rows[0] === undefined ? null : Number(rows[0].oid)
}

export interface PublicationCheck {
  readonly published: readonly Table[]
  readonly known: ReadonlyMap<string, Shape>
  /** A table that is stopped may leave. */
  isStopped(table: string): boolean
  /** Told of each table whose changes may have been missed: it is read again once the publication is mended. */
  missed(table: string): void
}

/**
 * PUBLICATION when it is gone, does not publish every operation any more, or has lost a table that is still there:
 * changes would be missed without a word.
 */
export async function checkPublication(
  client: pg.Client,
  publication: string,
  { published, known, isStopped, missed }: PublicationCheck,
): Promise<void> {
  const { rows } = await client.query<Record<string, string>>(FOUND, [publication])
  const [found] = rows
  if (found === undefined) {
    for (const name of known.keys()) missed(name)
    const tables = [...known.values()].map(({ table }) => quoted(table)).join(', ')
    throw refused(`publication ${publication} was dropped`, `CREATE PUBLICATION "${publication}" FOR TABLE ${tables};`)
  }
  const silent = OPERATIONS.filter((operation) => found[operation] !== 'true')
  if (silent.length > 0) {
    for (const name of known.keys()) missed(name)
    throw refused(
      `publication ${publication} no longer publishes ${silent.join(', ')}`,
      `ALTER PUBLICATION "${publication}" SET (publish = '${OPERATIONS.join(', ')}');`,
    )
  }
  const present = new Set(published.map(tableName))
  for (const [name, { table, oid }] of known) {
    if (present.has(name) || isStopped(name)) continue
    const there = await client.query<{ oid: string }>(STILL_THERE, [table.schema, table.name])
    if (Number(there.rows[0]?.oid) !== oid) continue // dropped or renamed: that stops the table, not the others
    missed(name)
    throw refused(
      `${name} was taken out of publication ${publication}`,
      `ALTER PUBLICATION "${publication}" ADD TABLE ${quoted(table)};`,
    )
  }
}

function refused(found: string, sql: string): PipelineError {
  return new PipelineError(
    'PUBLICATION',
    `${found}: its changes are not sent any more`,
    `${sql} -- then incidents repair --all`,
  )
}
