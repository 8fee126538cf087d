/**
 * What the operational store remembers of an incident's rows: every change of each, and by going backwards from the rows
 * as they are now, what each made.
 */
import { ENTITIES, type Entity } from '../core/incident.ts'
import { lsnText, type Position } from '../core/position.ts'
import { ENTITY_DEFINITIONS, type EntityField } from '../schemas/entity.ts'
import type { Query } from './database.ts'

/** Values by field name: `2024-07-01T12:34:56.789` for local times, with Z for instants. */
export type State = Readonly<Record<string, unknown>>

export interface Amended {
  readonly entity: Entity
  readonly id: string
  readonly what: 'created' | 'changed' | 'removed'
  readonly model: string
  readonly sourceTable: string
  readonly changedBy: string | null
  readonly readOutsideStream: boolean
  readonly position: string
  readonly lsn: string
  readonly transactionId: number | null
  readonly committedAt: string
  /** Of a change the fields that differ, of a removal the whole row. */
  readonly before: State | null
  /** Of a change the fields that differ, of a creation the whole row; null where the store no longer knows it. */
  readonly after: State | null
}

interface AmendmentRow {
  readonly entity: Entity
  readonly id: string
  readonly source_table: string
  readonly op: string
  readonly position: Position
  readonly lsn: number
  readonly committed_at: string
  readonly tx_id: number
  readonly before: State | null
  readonly after: State | null
}

const AMENDMENTS = `
  SELECT entity, id, source_table, op, position, lsn, tx_id, before, after,
         to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS committed_at
  FROM prisons.incidents_amendment WHERE reference = $1 ORDER BY position, entity, id`

/** What belongs to an incident has its reference. */
export const OF_INCIDENT = ENTITIES.filter((entity) =>
  ENTITY_DEFINITIONS[entity].fields.some(({ name }) => name === 'reference'),
)

const ROWS = OF_INCIDENT.map(
  (entity) => `
    SELECT '${entity}' AS entity, id, row_to_json(t) AS state
    FROM prisons.incidents_${ENTITY_DEFINITIONS[entity].table} t WHERE reference = $1`,
).join(' UNION ALL ')

/** Everything that ever happened to the rows of an incident, oldest first, of both models. */
export async function readAmendments(query: Query, reference: string): Promise<Amended[]> {
  const rows = await query<AmendmentRow & Record<string, unknown>>(AMENDMENTS, [reference])
  const current = await query<{ entity: Entity; id: string; state: State }>(ROWS, [reference])
  const states = new Map(current.map(({ entity, id, state }) => [`${entity}/${id}`, stated(entity, state)]))
  const found = rows
    .toReversed()
    .map((row) => amended(row, states))
    .toReversed()
  return withAuthors(found).filter(({ what, before }) => what !== 'changed' || Object.keys(before!).length > 0)
}

/** Going backwards: `states` holds each row as it was behind this change, and then as it was before it. */
function amended(row: AmendmentRow, states: Map<string, State | null>): Amended & { readonly state: State | null } {
  const { entity, id, before, after } = row
  const key = `${entity}/${id}`
  const was = before === null ? null : stated(entity, before)
  const became = after === null ? null : stated(entity, after)
  const state = states.get(key) ?? null
  const outside = row.position.endsWith('/00000000')
  const told = {
    entity,
    id,
    model: row.source_table.startsWith('nomis.') ? 'NOMIS' : 'DPS',
    sourceTable: row.source_table,
    changedBy: null,
    readOutsideStream: outside,
    position: row.position,
    lsn: lsnText(row.lsn),
    transactionId: outside ? null : row.tx_id,
    committedAt: row.committed_at,
  }
  if (was === null) {
    states.set(key, null)
    return { ...told, what: 'created', before: null, after: state, state }
  }
  if (became === null) {
    states.set(key, was)
    return { ...told, what: 'removed', before: was, after: null, state: was }
  }
  states.set(key, state === null ? null : { ...state, ...was })
  return { ...told, what: 'changed', before: was, after: became, state }
}

/** Who a row itself names as its author. */
const AUTHOR: Partial<Record<Entity, string>> = {
  StatusChange: 'changedBy',
  TypeChange: 'changedBy',
  CorrectionRequest: 'correctionRequestedBy',
  DescriptionAddendum: 'createdBy',
  Response: 'recordedBy',
}

/**
 * Who it was: whom the report names as its last author in the same transaction, else whom a created row names. Rows read
 * outside the stream say nothing of who changed them.
 */
function withAuthors(found: readonly (Amended & { readonly state: State | null })[]): Amended[] {
  const reports = new Map(
    found
      .filter(({ entity, what }) => entity === 'Report' && what !== 'removed')
      .map((each) => [transaction(each), text(each.state?.['modifiedBy'])]),
  )
  return found.map(({ state, ...each }) => {
    if (each.readOutsideStream) return each
    const own = each.what === 'created' ? text(state?.[AUTHOR[each.entity] ?? '']) : null
    return { ...each, changedBy: reports.get(transaction(each)) ?? own }
  })
}

/** What the positions of one transaction have in common. */
function transaction({ position }: Amended): string {
  return position.slice(0, 22)
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** Columns of a row as fields; columns that are no fields are left out. */
function stated(entity: Entity, columns: State): State {
  const state: Record<string, unknown> = {}
  for (const field of ENTITY_DEFINITIONS[entity].fields) {
    if (Object.hasOwn(columns, field.column)) state[field.name] = shown(field, columns[field.column])
  }
  return state
}

/** Times without the zeros at their end, as the rest of the API prints them. */
function shown({ type }: EntityField, value: unknown): unknown {
  if (typeof value !== 'string' || (type !== 'timestamp' && type !== 'localTimestamp')) return value
  const local = value
    .replace(/(?:Z|\+00:00)$/, '')
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
  return type === 'timestamp' ? `${local}Z` : local
}
