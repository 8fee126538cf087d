/** The tables of the operational store: what they are called, their columns, and whether a store is ours. */
import { createHash } from 'node:crypto'
import type pg from 'pg'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { FieldType } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { foreign } from './operational-connection.ts'

/** Raised whenever a store of before cannot be continued. */
export const LAYOUT = 1

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
  return `prisons.incidents_${table}`
}

/** What the API's filters and the view below need, and the incident's number of everything that belongs to one. */
const INDEXES: Readonly<Record<Entity, readonly string[]>> = {
  Report: [
    '(reference)',
    `(reference) WHERE source = 'DPS'`,
    '(incident_date_and_time_local, id)',
    '(location, incident_date_and_time_local)',
    '(type, incident_date_and_time_local)',
    '(status, incident_date_and_time_local)',
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
  CREATE TABLE prisons.incidents_gone (
    entity text COLLATE "C", id uuid, position ${POSITION_TYPE} NOT NULL, "partition" integer NOT NULL,
    gone_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, entity));
  COMMENT ON TABLE prisons.incidents_gone IS
    'Which row was deleted at which position, so that an older state of it that comes late does not bring it back.';
  CREATE TABLE prisons.incidents_place (
    "partition" integer PRIMARY KEY, next bigint NOT NULL DEFAULT 0, height ${POSITION_TYPE} NOT NULL DEFAULT '',
    marker ${POSITION_TYPE} NOT NULL DEFAULT '', marker_committed_at timestamptz,
    snapshot_done boolean NOT NULL DEFAULT false);
  COMMENT ON TABLE prisons.incidents_place IS
    'How far the store is in each partition of the raw topic, and the newest marker it has passed.';
  CREATE TABLE prisons.incidents_incomplete (
    source_table text, source_key text, reference text, code text NOT NULL, position ${POSITION_TYPE} NOT NULL,
    remedy text NOT NULL, PRIMARY KEY (source_table, source_key));
  CREATE INDEX ON prisons.incidents_incomplete (reference);
  COMMENT ON TABLE prisons.incidents_incomplete IS
    'Source rows whose newest state could not be mapped: their incidents are not whole until that is mended.'`

/** For one reference the DPS report hides the NOMIS one. */
const CURRENT_REPORT = `
  CREATE VIEW prisons.incidents_current_report AS
  SELECT * FROM prisons.incidents_report r
  WHERE r.source = 'DPS' OR NOT EXISTS (
    SELECT FROM prisons.incidents_report d WHERE d.reference = r.reference AND d.source = 'DPS');
  COMMENT ON VIEW prisons.incidents_current_report IS
    'The report that speaks for each incident: that of DPS where there is one, else that of NOMIS.'`

/**
 * Makes schema and tables if they are missing. SINK_FOREIGN when there are tables that this pipeline did not make, or
 * that another layout or other entity contracts made.
 */
export async function prepareLayout(client: pg.Client, projections: Projections): Promise<void> {
  await client.query(`BEGIN; SELECT ${LAYOUT_LOCK}`)
  const { rows } = await client.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'prisons' AND tablename LIKE 'incidents\\_%'`,
  )
  if (rows.length === 0) await makeTables(client, projections)
  else await checkTables(client, projections, new Set(rows.map(({ name }) => name)))
  await client.query('COMMIT')
}

async function checkTables(client: pg.Client, projections: Projections, tables: ReadonlySet<string>): Promise<void> {
  if (!tables.has('incidents_layout')) throw foreign('it holds tables named incidents_ that this pipeline did not make')
  const { rows } = await client.query<{ version: string; contract: string }>(
    'SELECT version, contract FROM prisons.incidents_layout',
  )
  const [found] = rows
  if (Number(found?.version) !== LAYOUT) throw foreign(`its layout is ${found?.version}, this version needs ${LAYOUT}`)
  if (found?.contract !== contractDigest(projections)) throw foreign('it was made for other entity contracts')
}

async function makeTables(client: pg.Client, projections: Projections): Promise<void> {
  await client.query('CREATE SCHEMA IF NOT EXISTS prisons')
  for (const entity of ENTITIES) await client.query(entityTable(projections[entity]))
  await client.query(OTHER_TABLES)
  await client.query(CURRENT_REPORT)
  await client.query('CREATE TABLE prisons.incidents_layout (version integer NOT NULL, contract text NOT NULL)')
  await client.query('INSERT INTO prisons.incidents_layout VALUES ($1, $2)', [LAYOUT, contractDigest(projections)])
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
    `CREATE TABLE ${table} (${columns.join(', ')}, rules_version integer NOT NULL, PRIMARY KEY (id))`,
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
