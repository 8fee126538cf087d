/**
 * What every change did to the rows of the unified model, kept for ever beside the rows as they are now.
 *
 * An amendment says what went and what came, and nothing that is known otherwise: of a row that came into being it has
 * neither `before` nor `after`, of one that changed both with the columns that differ, of one that went `before` with all
 * of its values. Going backwards from the rows of today, that gives every state of each (a row that came into being
 * costs 0.2 kB here instead of its whole width again).
 *
 * The changes of the stream have been staged with their amendments, out of the images that the source sent. What was read
 * outside the stream has no image before, so it is compared with the stored row, and leaves an amendment if it differs.
 */
import type { RowChange } from '../core/change.ts'
import type { EntityRow, Field } from '../core/incident.ts'
import type { EntityField } from '../schemas/entity.ts'
import type { Projection } from '../schemas/policy/projection.ts'
import { unify } from '../transforms/unify.ts'
import { LINEAGE, literal, names, tableOf, type Column } from './operational-layout.ts'

/** What the temporary tables have for it. */
export const STAGED_AMENDMENT: readonly Column[] = [
  { name: 'op', type: '"char"', nullable: false },
  { name: 'before', type: 'json', nullable: true },
  { name: 'after', type: 'json', nullable: true },
]

/** Columns of the amendments in order, but for the rules' version. */
const COLUMNS = `entity, id, reference, source_table, op, ${names(LINEAGE)}, before, after, rules_version`

/** The rows that the source row before an update makes; none where the image is not known or cannot be mapped. */
export function rowsBefore(change: RowChange): readonly EntityRow[] {
  if (change.op !== 'u' || change.before === null) return []
  return unify({ ...change, op: 'c', before: null, after: change.before }).rows
}

export interface Amendment {
  /** JSON by column; null as the file's head says. */
  readonly before: string | null
  readonly after: string | null
}

const MADE: Amendment = { before: null, after: null }

/** What a change of the stream did to one row. */
export function amendment(
  { fields, project }: Projection,
  row: EntityRow,
  values: readonly Field[],
  earlier: readonly EntityRow[],
): Amendment {
  if (row.op === 'delete') return { before: wholeRow(fields, values), after: null }
  const same = earlier.find((each) => each.id === row.id && each.entity === row.entity)
  return same === undefined ? MADE : difference(fields, project(same.value), values)
}

function wholeRow(fields: readonly EntityField[], values: readonly Field[]): string {
  const object: Record<string, Field> = {}
  for (const [i, { column }] of fields.entries()) if (values[i] !== null) object[column] = values[i]!
  return JSON.stringify(object)
}

function difference(fields: readonly EntityField[], from: readonly Field[], to: readonly Field[]): Amendment {
  const before: Record<string, Field> = {}
  const after: Record<string, Field> = {}
  for (let i = 0; i < fields.length; i++) {
    if (from[i] === to[i]) continue
    before[fields[i]!.column] = from[i]!
    after[fields[i]!.column] = to[i]!
  }
  return { before: JSON.stringify(before), after: JSON.stringify(after) }
}

/** Rows that were read outside the stream, or found to be gone then. */
const OUTSIDE = `right(s.position, 9) = '/00000000'`

/** Of what is staged of each entity: the stream's as they were staged, and those of rows read outside the stream. */
export function amendmentStatements(projection: Projection, rulesVersion: number) {
  const staged = `staged_${projection.table}`
  const entity = literal(projection.entity)
  const has = (name: string): boolean => projection.fields.some(({ column }) => column === name)
  const reference = has('reference') ? 's.reference' : 'NULL'
  const head = `${entity}, s.id, ${reference}, s.source_table, s.op, ${names(LINEAGE, 's.')}`
  const insert = `INSERT INTO incidents_amendment (${COLUMNS})`
  return {
    streamed: `
      ${insert} SELECT ${head}, s.before, s.after, ${rulesVersion} FROM ${staged} s WHERE NOT ${OUTSIDE}
      ON CONFLICT DO NOTHING`,
    /** Before anything of the write is merged: one after the other, as if each had come alone. */
    read: `
      ${insert}
      SELECT ${head}, CASE WHEN s.deleted THEN s.before ELSE ${objectOf(projection, 'old')} END,
             CASE WHEN NOT s.deleted THEN ${objectOf(projection, 'new')} END, ${rulesVersion}
      FROM (
        SELECT s.*, max(position) OVER earlier AS seen, lag(s) OVER earlier AS previous FROM ${staged} s
        WINDOW earlier AS (PARTITION BY id ORDER BY "partition", topic_offset
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) s
      LEFT JOIN ${tableOf(projection)} t ON t.id = s.id
      CROSS JOIN LATERAL (SELECT CASE WHEN s.seen IS NULL THEN t.id IS NOT NULL ELSE NOT (s.previous).deleted END AS known) k
      WHERE ${OUTSIDE} AND (s.seen IS NULL OR s.seen < s.position) AND (t.id IS NULL OR t.position < s.position)
        AND NOT EXISTS (
          SELECT FROM incidents_gone g WHERE g.id = s.id AND g.entity = ${entity} AND g.position >= s.position)
        AND CASE WHEN s.deleted THEN known ELSE NOT known OR ${changed(projection)} END
      ON CONFLICT DO NOTHING`,
  }
}

function old(column: string): string {
  return `CASE WHEN s.seen IS NULL THEN t."${column}" ELSE (s.previous)."${column}" END`
}

function changed({ fields }: Projection): string {
  const before = fields.map(({ column }) => old(column))
  return `ROW(${before.join(', ')}) IS DISTINCT FROM ROW(${fields.map(({ column }) => `s."${column}"`).join(', ')})`
}

/** The columns that differ, with their old or new value as it crosses the pipeline. */
function objectOf({ fields }: Projection, which: 'old' | 'new'): string {
  const rows = fields.map(
    (field) =>
      `(${literal(field.column)}, ${asCrossing(field, old(field.column))}, ${asCrossing(field, `s."${field.column}"`)})`,
  )
  return `CASE WHEN known THEN (
    SELECT json_object_agg(name, ${which}) FROM (VALUES ${rows.join(', ')}) v(name, old, new)
    WHERE old IS DISTINCT FROM new) END`
}

function asCrossing({ type }: EntityField, value: string): string {
  switch (type) {
    case 'timestamp':
      return `to_jsonb(to_char(${value} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))`
    case 'localTimestamp':
      return `to_jsonb(to_char(${value}, 'YYYY-MM-DD"T"HH24:MI:SS.US'))`
    case 'date':
      return `to_jsonb(to_char(${value}, 'YYYY-MM-DD'))`
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `to_jsonb(${value})`
  }
}

/** What an older store of the same incidents knows, and this one does not: the topic forgets superseded records. */
export function copyAmendments(from: string): string {
  return `INSERT INTO incidents_amendment (${COLUMNS}) SELECT ${COLUMNS} FROM ${from}.incidents_amendment ON CONFLICT DO NOTHING`
}
