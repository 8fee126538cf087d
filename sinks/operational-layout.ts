/** The tables of the operational store: what they are called, their columns, and whether a store is ours. */
import { createHash } from 'node:crypto'
import type pg from 'pg'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { FieldType } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { foreign, older } from './operational-connection.ts'
import { REPORT_COUNTS } from './operational-current.ts'

/** Raised whenever a store of before cannot be continued. */
export const LAYOUT = 3

/** Where the store lies, and where the next one is built beside it. */
export const SCHEMA = 'prisons'
export const NEXT_SCHEMA = 'prisons_next'
/** And where it goes when the next one has taken its place. */
export const PREVIOUS_SCHEMA = 'prisons_previous'

/** Two writers that start at the same time make the tables once. */
const LAYOUT_LOCK = 'pg_advisory_xact_lock(20260, 1)'

const SQL_TYPES: Readonly<Record<FieldType, string>> = {
  uuid: 'uuid',
  string: 'text',
  int: 'integer',
  long: 'bigint',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamptz',
  localTimestamp: 'timestamp',
}

export interface Column {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
}

/** Positions compare as bytes, whatever the database's collation. */
export const POSITION_TYPE = 'text COLLATE "C"'

/** Which change made a row; the rules' version comes beside them. */
export const LINEAGE: readonly Column[] = [
  { name: 'position', type: POSITION_TYPE, nullable: false },
  { name: 'lsn', type: 'bigint', nullable: false },
  { name: 'committed_at', type: 'timestamptz', nullable: false },
  { name: 'tx_id', type: 'bigint', nullable: false },
  { name: 'partition', type: 'integer', nullable: false },
  { name: 'topic_offset', type: 'bigint', nullable: false },
]

export function fieldColumns({ fields }: Projection): Column[] {
  return fields.map(({ column, type, nullable }) => ({ name: column, type: SQL_TYPES[type], nullable }))
}

export function names(columns: readonly Column[], prefix = ''): string {
  return columns.map(({ name }) => `${prefix}"${name}"`).join(', ')
}

export function tableOf({ table }: Projection): string {
  return `incidents_${table}`
}

/** What the API's filters and the view below need, and the incident's number of everything that belongs to one. */
const INDEXES: Readonly<Record<Entity, readonly string[]>> = {
  Report: [
    '(reference)',
    '(incident_date_and_time_local, id) WHERE NOT hidden',
    '(location, incident_date_and_time_local) WHERE NOT hidden',
    '(type, incident_date_and_time_local) WHERE NOT hidden',
    '(status, incident_date_and_time_local) WHERE NOT hidden',
  ],
  PrisonerInvolvement: ['(reference)', '(prisoner_number)'],
  StaffInvolvement: ['(reference)', '(staff_username)'],
  Question: ['(reference)'],
  Response: ['(reference)'],
  StatusChange: ['(reference)'],
  TypeChange: ['(reference)'],
  CorrectionRequest: ['(reference)'],
  DescriptionAddendum: ['(reference)'],
  ReferenceCode: ['(domain, code)'],
}

/** Everything beside the entities' tables. */
const OTHER_TABLES = `
  CREATE TABLE incidents_gone (
    entity text COLLATE "C", id uuid, position ${POSITION_TYPE} NOT NULL, "partition" integer NOT NULL,
    gone_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, entity));
  COMMENT ON TABLE incidents_gone IS
    'Which row was deleted at which position, so that an older state of it that comes late does not bring it back.';
  CREATE TABLE incidents_place (
    "partition" integer PRIMARY KEY, next bigint NOT NULL DEFAULT 0, height ${POSITION_TYPE} NOT NULL DEFAULT '',
    marker ${POSITION_TYPE} NOT NULL DEFAULT '', marker_committed_at timestamptz,
    snapshot_done boolean NOT NULL DEFAULT false, stopped text[] NOT NULL DEFAULT '{}');
  COMMENT ON TABLE incidents_place IS
    'How far the store is in each partition of the raw topic, and the newest marker it has passed.';
  CREATE TABLE incidents_incomplete (
    source_table text, source_key text, reference text, code text NOT NULL, position ${POSITION_TYPE} NOT NULL,
    remedy text NOT NULL, PRIMARY KEY (source_table, source_key));
  CREATE INDEX ON incidents_incomplete (reference);
  COMMENT ON TABLE incidents_incomplete IS
    'Source rows whose newest state could not be mapped: their incidents are not whole until that is mended.';
  CREATE TABLE incidents_amendment (
    entity text COLLATE "C", id uuid, reference text, source_table text NOT NULL, op "char" NOT NULL,
    position ${POSITION_TYPE}, lsn bigint NOT NULL, committed_at timestamptz NOT NULL, tx_id bigint NOT NULL,
    "partition" integer NOT NULL, topic_offset bigint NOT NULL, before json, after json,
    rules_version integer NOT NULL, PRIMARY KEY (position, entity, id)); -- in the order in which they come
  CREATE INDEX ON incidents_amendment (reference) WHERE reference IS NOT NULL;
  COMMENT ON TABLE incidents_amendment IS
    'What each change did to each row: neither before nor after where it made the row, both with the columns that differ, or the whole row before where it removed it.'`

/** What a table has beside its fields and lineage. */
const MORE_COLUMNS: Readonly<Partial<Record<Entity, string>>> = {
  Report: ', hidden boolean NOT NULL DEFAULT false',
}

/** For one reference the DPS report hides the NOMIS one: the merge says which are hidden. */
const CURRENT_REPORT = `
  COMMENT ON COLUMN incidents_report.hidden IS 'A report of NOMIS for whose incident DPS has a report.';
  CREATE VIEW incidents_current_report AS SELECT * FROM incidents_report WHERE NOT hidden;
  COMMENT ON VIEW incidents_current_report IS
    'The report that speaks for each incident: that of DPS where there is one, else that of NOMIS.'`

export interface LayoutOptions {
  /** The schema that the store lies in. */
  readonly schema: string
  readonly projections: Projections
  /** Which rules will make the rows. */
  readonly rulesVersion: number
}

/**
 * Makes schema and tables if they are missing. Resolves to what names this store and no other, one that was built anew
 * among them. SINK_FOREIGN when there are tables that this pipeline did not make, or that another layout, other entity
 * contracts or newer rules made.
 */
export async function prepareLayout(client: pg.Client, options: LayoutOptions): Promise<string> {
  await client.query(`BEGIN; SELECT ${LAYOUT_LOCK}`)
  const { rows } = await client.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename LIKE 'incidents\\_%'`,
    [options.schema],
  )
  if (rows.length === 0) await makeTables(client, options)
  else await checkTables(client, options, new Set(rows.map(({ name }) => name)))
  const { rows: layout } = await client.query<{ generation: string }>('SELECT generation FROM incidents_layout')
  await client.query('COMMIT')
  return layout[0]!.generation
}

/** Whether there is a store that this version made, with the same layout, contracts and rules. */
export async function isStoreOf(client: pg.Client, options: LayoutOptions): Promise<boolean> {
  const layout = `${options.schema}.incidents_layout`
  const { rows: found } = await client.query<{ there: string }>(`SELECT to_regclass('${layout}') IS NOT NULL AS there`)
  if (found[0]!.there !== 't') return false
  const { rows } = await client.query<Record<string, string>>(`SELECT * FROM ${layout}`)
  const [row] = rows
  const same = Number(row?.['version']) === LAYOUT && row?.['contract'] === contractDigest(options.projections)
  return same && Number(row['rules_version']) === options.rulesVersion
}

async function checkTables(client: pg.Client, options: LayoutOptions, tables: ReadonlySet<string>): Promise<void> {
  const { projections, rulesVersion, schema } = options
  if (!tables.has('incidents_layout'))
    throw foreign(schema, 'it holds tables named incidents_ that this pipeline did not make')
  const { rows } = await client.query<Record<string, string>>('SELECT * FROM incidents_layout')
  const [found] = rows
  const version = Number(found?.['version'])
  if (version > LAYOUT) throw foreign(schema, `its layout is ${version}, this version knows ${LAYOUT}: it is too old`)
  if (version !== LAYOUT) throw older(schema, `its layout is ${version}, this version needs ${LAYOUT}`)
  if (found?.['contract'] !== contractDigest(projections)) throw older(schema, 'it was made for other entity contracts')
  if (Number(found['rules_version']) > rulesVersion) {
    throw foreign(
      schema,
      `rules ${found['rules_version']} made its rows, this version has rules ${rulesVersion}: it is too old`,
    )
  }
  if (Number(found['rules_version']) < rulesVersion) {
    await client.query(`UPDATE incidents_layout SET rules_version = ${rulesVersion}`)
  }
}

async function makeTables(client: pg.Client, { schema, projections, rulesVersion }: LayoutOptions): Promise<void> {
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
  for (const entity of ENTITIES) await client.query(entityTable(projections[entity]))
  await client.query(OTHER_TABLES)
  await client.query(CURRENT_REPORT)
  await client.query(REPORT_COUNTS)
  await client.query(
    `CREATE TABLE incidents_layout (version integer NOT NULL, contract text NOT NULL, rules_version integer NOT NULL,
                                    generation uuid NOT NULL DEFAULT gen_random_uuid())`,
  )
  await client.query('INSERT INTO incidents_layout (version, contract, rules_version) VALUES ($1, $2, $3)', [
    LAYOUT,
    contractDigest(projections),
    rulesVersion,
  ])
}

/**
 * A statement that fails where another store has taken this one's place: its writer must read the places of that one
 * before it goes on.
 */
export function sameStore(generation: string): string {
  return `SELECT 1 / count(*) FROM incidents_layout WHERE generation = ${literal(generation)}`
}

function entityTable(projection: Projection): string {
  const table = tableOf(projection)
  const columns = [...fieldColumns(projection), ...LINEAGE].map(
    ({ name, type, nullable }) => `"${name}" ${type}${nullable ? '' : ' NOT NULL'}`,
  )
  const comments = projection.fields.map(
    ({ column, doc }) => `COMMENT ON COLUMN ${table}."${column}" IS ${literal(doc)}`,
  )
  return [
    `CREATE TABLE ${table} (${columns.join(', ')}, rules_version integer NOT NULL${MORE_COLUMNS[projection.entity] ?? ''}, PRIMARY KEY (id))`,
    ...INDEXES[projection.entity].map((indexed) => `CREATE INDEX ON ${table} ${indexed}`),
    ...comments,
  ].join(';')
}

/** A text as SQL writes it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function contractDigest(projections: Projections): string {
  const shape = ENTITIES.map((entity) => [projections[entity].table, fieldColumns(projections[entity])])
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 16)
}
