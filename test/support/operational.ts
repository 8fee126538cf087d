/** An operational store of a test's own, and what it holds. */
import type { Entity, Field, IncidentChange } from '../../core/incident.ts'
import type { PlacedSink } from '../../core/place.ts'
import type { EntityField } from '../../schemas/entity.ts'
import { projections } from '../../schemas/policy/projection.ts'
import { operationalStore } from '../../sinks/operational.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'

export const OPERATIONAL_PROJECTIONS = projections('operational', 'a key for tests')

export function openStore(url: string): Promise<PlacedSink<IncidentChange>> {
  return operationalStore({ url, projections: OPERATIONAL_PROJECTIONS, rulesVersion: 7 })
}

/** A database with a store that holds these changes. */
export async function filledStore(changes: readonly IncidentChange[]): Promise<TestDatabase> {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  await sink.write(changes)
  await sink.close()
  return database
}

/** By id: the values in the order of the projection's fields, as they cross the pipeline. */
export async function storedRows(database: TestDatabase, entity: Entity): Promise<Map<string, Field[]>> {
  const { table, fields } = OPERATIONAL_PROJECTIONS[entity]
  const columns = fields.map((field) => `${asCrossing(field)} AS "${field.column}"`).join(', ')
  const rows = await database.query<Record<string, Field>>(`SELECT ${columns} FROM prisons.incidents_${table}`)
  return new Map(rows.map((row) => [String(row['id']), fields.map(({ column }) => row[column] ?? null)]))
}

function asCrossing({ column, type }: EntityField): string {
  if (type === 'timestamp') return `to_char("${column}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
  if (type === 'localTimestamp') return `to_char("${column}", 'YYYY-MM-DD"T"HH24:MI:SS.US')`
  return type === 'date' ? `to_char("${column}", 'YYYY-MM-DD')` : `"${column}"`
}
