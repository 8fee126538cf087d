/** The unified entities as their contracts in schemas/unified define them: what tables, files and topics derive from. */
import { readFileSync } from 'node:fs'
import { ENTITIES, type Entity } from '../core/incident.ts'

/** How protected a value is; schemas/policy decides what each kind becomes in each output. */
export const KINDS = ['key', 'code', 'date', 'location', 'prisonerNumber', 'name', 'username', 'freeText'] as const
export type Kind = (typeof KINDS)[number]

/** uuid, date and the two timestamps are ISO 8601 text in this process; `timestamp` ends in Z, `localTimestamp` has no zone. */
export type FieldType = 'uuid' | 'string' | 'int' | 'long' | 'boolean' | 'date' | 'timestamp' | 'localTimestamp'

export interface EntityField {
  /** camelCase, as in Avro and in the API. */
  readonly name: string
  /** snake_case, as in SQL and parquet. */
  readonly column: string
  readonly type: FieldType
  readonly nullable: boolean
  readonly kind: Kind
  readonly doc: string
}

export interface EntityDefinition {
  readonly entity: Entity
  /** snake_case. */
  readonly table: string
  readonly doc: string
  readonly fields: readonly EntityField[]
}

const LOGICAL: Readonly<Record<string, FieldType>> = {
  uuid: 'uuid',
  date: 'date',
  'timestamp-micros': 'timestamp',
  'local-timestamp-micros': 'localTimestamp',
}

export const ENTITY_DEFINITIONS: Readonly<Record<Entity, EntityDefinition>> = Object.fromEntries(
  ENTITIES.map((entity) => [entity, readDefinition(entity)]),
) as Record<Entity, EntityDefinition>

/** `incidentDateAndTime` → `incident_date_and_time` */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/^_/, '')
}

interface AvscField {
  readonly name: string
  readonly type: unknown
  readonly kind: Kind
  readonly doc: string
}

function readDefinition(entity: Entity): EntityDefinition {
  const file = new URL(`./unified/${entity}.avsc`, import.meta.url)
  const record = JSON.parse(readFileSync(file, 'utf8')) as { doc: string; fields: readonly AvscField[] }
  return { entity, table: snakeCase(entity), doc: record.doc, fields: record.fields.map(readField) }
}

function readField({ name, type, kind, doc }: AvscField): EntityField {
  const nullable = Array.isArray(type)
  return { name, column: snakeCase(name), type: fieldType(nullable ? type[1] : type), nullable, kind, doc }
}

function fieldType(type: unknown): FieldType {
  if (typeof type === 'string') return type as FieldType
  const { logicalType } = type as { logicalType: string }
  const found = LOGICAL[logicalType]
  if (found === undefined) throw new TypeError(`logical type ${logicalType} is in no unified contract`)
  return found
}
