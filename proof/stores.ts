/** What DPR's files, the operational store and the published DuckDB file hold. */
import { ENTITIES, type Entity, type Field } from '../core/incident.ts'
import { connect } from '../connectors/postgres/session.ts'
import type { EntityField } from '../schemas/entity.ts'
import { projections, type Projections } from '../schemas/policy/projection.ts'
import { publishedCopy } from '../sinks/analytics-published.ts'
import { readDprTable, type DprRow } from '../sinks/dpr-raw-fold.ts'
import { fieldsText, rowsOf, type Place, type Rows } from './place.ts'

const none = (): Map<string, Rows> => new Map(ENTITIES.map((entity: Entity) => [entity, new Map()]))

/** The operational store's tables as SQL gives them. */
export async function operationalPlace(url: string, pseudonymKey: string): Promise<Place> {
  const client = await connect(url)
  const projected: Projections = projections('operational', pseudonymKey)
  const entities = none()
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    for (const entity of ENTITIES) {
      const { table, fields } = projected[entity]
      const columns = fields.map((field) => `${asText(field)} AS "${field.column}"`).join(', ')
      const { rows } = await client.query({
        text: `SELECT ${columns} FROM prisons.incidents_${table}`,
        rowMode: 'array',
      })
      const id = fields.findIndex((field) => field.name === 'id')
      for (const row of rows as (string | null)[][]) {
        rowsOf(entities, entity).set(row[id]!, fieldsText(fields.map((field, i) => typed(field, row[i] ?? null))))
      }
    }
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
  return { name: 'operational', entities }
}

function asText({ column, type }: EntityField): string {
  switch (type) {
    case 'timestamp':
      return `to_char("${column}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
    case 'localTimestamp':
      return `to_char("${column}", 'YYYY-MM-DD"T"HH24:MI:SS.US')`
    case 'date':
      return `to_char("${column}", 'YYYY-MM-DD')`
    case 'uuid':
    case 'string':
    case 'int':
    case 'long':
    case 'boolean':
      return `"${column}"`
  }
}

function typed({ type }: EntityField, text: string | null): string | number | boolean | null {
  if (text === null) return null
  if (type === 'boolean') return text === 't'
  return type === 'int' || type === 'long' ? Number(text) : text
}

/** The DuckDB file that analysts open. SINK when nothing has been published. */
export async function analyticsPlace(directory: string, pseudonymKey: string): Promise<Place> {
  const copy = await publishedCopy(directory, projections('analytics', pseudonymKey))
  const entities = none()
  try {
    for (const entity of ENTITIES) {
      for await (const row of copy.rows(entity)) rowsOf(entities, entity).set(row.id, fieldsText(row.values))
    }
  } finally {
    copy.close()
  }
  return { name: 'analytics', entities }
}

/** DPR's raw zone folded as DPR folds it: the source's own tables, and the unified entities. */
export async function dprPlaces(
  directory: string,
  sourceTables: readonly string[],
  pseudonymKey: string,
): Promise<{ tables: Place; unified: Place }> {
  const projected = projections('dpr-raw', pseudonymKey)
  const unified = none()
  for (const entity of ENTITIES) {
    const { table, fields } = projected[entity]
    for (const row of await readDprTable(directory, 'incidents', table)) {
      rowsOf(unified, entity).set(
        String(row['id']),
        fieldsText(fields.map((field) => isoField(field, row[field.column] ?? null))),
      )
    }
  }
  const tables = new Map<string, Rows>()
  for (const name of sourceTables) {
    for (const row of await readDprTable(directory, 'incidentreporting', name)) {
      const values = Object.values(row).map((value) =>
        typeof value === 'string' ? value.replace(INSTANT, '$1') : value,
      )
      rowsOf(tables, `public.${name}`).set(dprKey(row), JSON.stringify(values))
    }
  }
  return {
    tables: { name: 'dpr-raw incidentreporting', entities: tables },
    unified: { name: 'dpr-raw incidents', entities: unified },
  }
}

/** DPR labels wall time as UTC: the label goes, the wall time stays (rule dpr.types). */
const INSTANT = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00$/

function isoField({ type }: EntityField, value: unknown): Field {
  if (typeof value !== 'string' || (type !== 'timestamp' && type !== 'localTimestamp')) return value as Field
  const [seconds = '', fraction = ''] = value.replace(INSTANT, '$1').split('.')
  return `${seconds.replace(' ', 'T')}.${fraction.padEnd(6, '0')}${type === 'timestamp' ? 'Z' : ''}`
}

/** Every DPS table has one key column but one, and it is the first. */
function dprKey(row: DprRow): string {
  const values = Object.entries(row)
  const names = values.map(([name]) => name)
  return names.includes('response_code') && names.includes('marker_type')
    ? `${String(row['response_code'])}/${String(row['marker_type'])}`
    : String(values[0]?.[1])
}
