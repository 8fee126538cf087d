/**
 * Analytical Platform's description of the exported tables, one per table and shape, in the form of its package
 * mojap-metadata: what Glue, its curation and its validation are made from (rule analytics.metadata). All of it follows
 * from the contracts of the unified entities and from what policy leaves of them.
 */
import { ENTITIES, type Entity } from '../core/incident.ts'
import { ENTITY_DEFINITIONS, type FieldType, type Kind } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { HISTORY, LINEAGE, type Column } from './analytics-layout.ts'

const DATABASE_NAME = 'incidents_unified'
/** The landing's partition: when the copy was published, in seconds since the Unix epoch. */
export const LANDED = 'mojap_file_land_timestamp'

export const SHAPES = ['current', 'temporal', 'history'] as const
export type Shape = (typeof SHAPES)[number]

interface MojapColumn {
  readonly name: string
  /** Arrow's name. */
  readonly type: string
  readonly type_category: 'string' | 'integer' | 'boolean' | 'timestamp'
  readonly description: string
  readonly nullable: boolean
  /** Whether it holds personal data, pseudonyms and lengths of texts included. */
  readonly sensitive: boolean
  readonly enum?: readonly string[]
}

export interface MojapTable {
  readonly name: string
  readonly description: string
  readonly file_format: 'parquet'
  readonly database_name: string
  /** Below the folder in which this lies. */
  readonly table_location: string
  readonly sensitive: boolean
  readonly primary_key: readonly string[]
  readonly partitions: readonly string[]
  /** The partition last, as Athena has it. */
  readonly columns: readonly MojapColumn[]
}

/** Every table of an export: three shapes of each entity. */
export function mojapTables(projections: Projections): readonly MojapTable[] {
  return ENTITIES.flatMap((entity) => SHAPES.map((shape) => mojapTable(projections[entity], shape)))
}

/** `report`, `report_temporal`, `report_history` */
export function exportedName({ table }: Projection, shape: Shape): string {
  return shape === 'current' ? table : `${table}_${shape}`
}

function mojapTable(projection: Projection, shape: Shape): MojapTable {
  const columns = [
    ...projection.fields.map(({ column, type, nullable, kind, doc }) =>
      columnOf(column, TYPES[type], doc, { nullable, sensitive: PERSONAL.has(kind) }),
    ),
    ...LINEAGE.map(ownColumn),
    ...MORE[shape],
  ]
  return {
    name: exportedName(projection, shape),
    description: `${describe(projection.entity)} ${SAYS[shape]}`,
    file_format: 'parquet',
    database_name: DATABASE_NAME,
    table_location: `${exportedName(projection, shape)}/`,
    sensitive: columns.some(({ sensitive }) => sensitive),
    primary_key: shape === 'current' ? ['id'] : ['id', 'position'],
    partitions: [LANDED],
    columns: [...columns, LANDED_COLUMN],
  }
}

const SAYS: Readonly<Record<Shape, string>> = {
  current:
    'Snapshot: each landing is the newest state of every row; where an incident has a DPS report, the DPS rows only.',
  temporal:
    'Temporal: each landing is every state of every row of both models with the time that it held; mojap_start_datetime <= t AND mojap_end_datetime > t finds the one at t.',
  history: 'Change history: each landing is every change of both models, once.',
}

function describe(entity: Entity): string {
  return ENTITY_DEFINITIONS[entity].doc
}

type Typed = Pick<MojapColumn, 'type' | 'type_category'>

const TEXT: Typed = { type: 'string', type_category: 'string' }
const MICROS: Typed = { type: 'timestamp(us)', type_category: 'timestamp' }

const TYPES: Readonly<Record<FieldType, Typed>> = {
  uuid: TEXT,
  string: TEXT,
  int: { type: 'int32', type_category: 'integer' },
  long: { type: 'int64', type_category: 'integer' },
  boolean: { type: 'bool', type_category: 'boolean' },
  date: { type: 'date32', type_category: 'timestamp' },
  timestamp: MICROS,
  localTimestamp: MICROS,
}

/** By what DuckDB calls it. */
const OWN_TYPES: Readonly<Record<string, Typed>> = {
  VARCHAR: TEXT,
  INTEGER: TYPES.int,
  BIGINT: TYPES.long,
  BOOLEAN: TYPES.boolean,
  TIMESTAMPTZ: MICROS,
}

const PERSONAL: ReadonlySet<Kind> = new Set<Kind>(['prisonerNumber', 'name', 'username', 'freeText'])
const OWN = { nullable: false, sensitive: false }

function columnOf(
  name: string,
  typed: Typed,
  description: string,
  more: Pick<MojapColumn, 'nullable' | 'sensitive' | 'enum'>,
): MojapColumn {
  return { name, ...typed, description, ...more }
}

function ownColumn({ name, type, doc }: Column): MojapColumn {
  return columnOf(name, OWN_TYPES[type]!, doc, name === 'op' ? { ...OWN, enum: ['c', 'u', 'd', 'r'] } : OWN)
}

const LANDED_COLUMN = columnOf(LANDED, TYPES.long, 'When the copy was published, in seconds since the Unix epoch.', OWN)

const MORE: Readonly<Record<Shape, readonly MojapColumn[]>> = {
  current: [],
  temporal: [
    columnOf('mojap_start_datetime', MICROS, 'From when the state held, in UTC.', OWN),
    columnOf(
      'mojap_end_datetime',
      MICROS,
      'Until when the state held, in UTC, not included; 2999-01-01 while it holds.',
      OWN,
    ),
    columnOf('mojap_current_record', TYPES.boolean, 'Whether the state still holds.', OWN),
  ],
  history: HISTORY.map(ownColumn),
}
