/** What describes the unified set to others: Analytical Platform's metadata, DPR's data product definition, the landings. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { exportPublished } from '../../sinks/analytics-export.ts'
import { dataProduct, DATA_PRODUCT_FILE } from '../../sinks/data-product.ts'
import { mojapTables, type MojapTable } from '../../sinks/mojap-metadata.ts'
import {
  ANALYTICS_PROJECTIONS,
  incidentChange,
  openAnalytics,
  reportRow,
  temporaryDirectory,
} from '../support/analytics.ts'
import { change, DPR_PROJECTIONS, openDprRaw, rawZone } from '../support/dpr-raw.ts'
import { sourceRow } from '../support/source-rows.ts'
import { uuid } from '../support/unified-rows.ts'

const TABLES = mojapTables(ANALYTICS_PROJECTIONS)

/** As mojap-metadata's schema of a table has it (rule analytics.metadata). */
const COLUMN = z.object({
  name: z.string().regex(/^[a-z][a-z0-9_]*$/),
  description: z.string().min(1),
  nullable: z.boolean(),
  sensitive: z.boolean(),
  enum: z.array(z.string()).optional(),
})
const typed = (category: string, type: RegExp) =>
  COLUMN.extend({ type: z.string().regex(type), type_category: z.literal(category) }).strict()
const MOJAP = z.strictObject({
  name: z.string().regex(/^[a-z_]+$/),
  description: z.string().min(1),
  file_format: z.literal('parquet'),
  database_name: z.string(),
  table_location: z.string(),
  sensitive: z.boolean(),
  primary_key: z.array(z.string()).min(1),
  partitions: z.array(z.string()),
  columns: z.array(
    z.union([
      typed('string', /^string$/),
      typed('integer', /^u?int(8|16|32|64)$/),
      typed('boolean', /^bool$/),
      typed('timestamp', /^(date(32|64)|timestamp\((s|ms|us|ns)\))$/),
    ]),
  ),
})

test('every table of an export has its metadata, as mojap-metadata reads it (rule analytics.metadata)', () => {
  expect(TABLES).toHaveLength(30)
  for (const table of TABLES) {
    MOJAP.parse(table)
    const names = table.columns.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.at(-1)).toBe(table.partitions[0])
    for (const key of table.primary_key) {
      expect(table.columns.find(({ name }) => name === key)).toMatchObject({ nullable: false })
    }
  }
  const personal = (table: string) =>
    TABLES.find(({ name }) => name === table)!
      .columns.filter(({ sensitive }) => sensitive)
      .map(({ name }) => name)
  expect(personal('prisoner_involvement')).toEqual(['prisoner_number_pseudonym', 'comment_length'])
  expect(personal('reference_code')).toEqual([])
})

test.each(['report', 'report_temporal', 'report_history'])('the metadata of %s, to the letter', async (name) => {
  const table = TABLES.find((each) => each.name === name)
  await expect(`${JSON.stringify(table, null, 2)}\n`).toMatchFileSnapshot(`../golden/definitions/${name}.json`)
})

const TEXT = z.string().min(1)
const REFERENCE = z.string().regex(/^\$ref:[a-z_-]+$/)
const FIELD = z.strictObject({
  name: TEXT,
  display: TEXT,
  type: z.enum(['boolean', 'int', 'long', 'string', 'date', 'datetime']),
  description: TEXT.optional(),
})
const FILTER = z.strictObject({
  type: z.enum(['multiselect', 'daterange']),
  dynamicoptions: z
    .strictObject({
      dataset: TEXT,
      name: TEXT,
      display: TEXT,
      returnAsStaticOptions: z.boolean(),
      maximumOptions: z.int(),
    })
    .optional(),
})
const CONDITION = z.union([z.strictObject({ match: z.array(TEXT) }), z.strictObject({ exists: z.array(TEXT) })])
const RULE = z.strictObject({ effect: z.enum(['permit', 'deny']), condition: z.array(CONDITION) })
/** As the schema 1.0.0 of data product definitions has it, as far as this one uses it (rule dpr.product). */
const DATA_PRODUCT = z.strictObject({
  id: TEXT,
  name: TEXT,
  description: TEXT,
  metadata: z.strictObject({ version: TEXT, author: TEXT, owner: TEXT, tags: z.array(TEXT) }),
  datasource: z.array(z.strictObject({ id: TEXT, name: TEXT })),
  policy: z.array(
    z.strictObject({
      id: TEXT,
      type: z.enum(['access', 'row-level']),
      action: z.array(TEXT).optional(),
      rule: z.array(RULE),
    }),
  ),
  dataset: z.array(
    z.strictObject({
      id: TEXT,
      name: TEXT,
      datasource: TEXT,
      query: TEXT,
      schema: z.strictObject({ field: z.array(FIELD) }),
    }),
  ),
  report: z.array(
    z.strictObject({
      id: TEXT,
      name: TEXT,
      version: TEXT,
      dataset: REFERENCE,
      render: z.literal('HTML'),
      specification: z.strictObject({
        template: z.literal('list'),
        field: z.array(
          z.strictObject({
            name: REFERENCE,
            display: TEXT,
            visible: z.enum(['true', 'false']),
            sortable: z.boolean(),
            defaultsort: z.boolean().optional(),
            sortdirection: z.enum(['asc', 'desc']).optional(),
            filter: FILTER.optional(),
          }),
        ),
      }),
    }),
  ),
})

test('the data product definition, to the letter', async () => {
  await expect(`${JSON.stringify(dataProduct(), null, 2)}\n`).toMatchFileSnapshot(
    `../golden/definitions/${DATA_PRODUCT_FILE}`,
  )
})

test('the data product definition is one that DPR reads: what it names is there, and a policy finds its column (rule dpr.product)', () => {
  const { dataset, report, policy } = DATA_PRODUCT.parse(dataProduct())
  const fieldsOf = (reference: string) => {
    const found = dataset.find(({ id }) => `$ref:${id}` === reference)
    return found?.schema.field.map(({ name }) => name) ?? []
  }
  expect(policy.map(({ type }) => type)).toEqual(['access', 'row-level'])
  for (const { dataset: named, specification } of report) {
    expect(fieldsOf(named)).toContain('location')
    expect(specification.field.map(({ name }) => name.slice(5))).toEqual(fieldsOf(named))
    for (const { filter } of specification.field) {
      if (filter?.dynamicoptions === undefined) continue
      const { dataset: options, name, display } = filter.dynamicoptions
      expect(fieldsOf(`$ref:${options}`)).toEqual([name, display])
    }
  }
})

test('its queries show each incident once, by its DPS report where there is one, in the columns that they promise', async () => {
  const { dataset } = DATA_PRODUCT.parse(dataProduct())
  const instance = await DuckDBInstance.create(':memory:')
  onTestFinished(() => instance.closeSync())
  const connection = await instance.connect()
  await connection.run('CREATE SCHEMA prisons; CREATE TABLE prisons.prisonregister_prison (prison_id TEXT, name TEXT)')
  for (const { table, fields } of Object.values(DPR_PROJECTIONS)) {
    const columns = fields.map(({ column, type }) => `"${column}" ${SQL_TYPES[type] ?? 'VARCHAR'}`)
    await connection.run(`CREATE TABLE prisons.incidents_${table} (${columns.join(', ')})`)
  }
  await connection.run(`
    INSERT INTO prisons.prisonregister_prison VALUES ('MDI', 'Moorland');
    INSERT INTO prisons.incidents_reference_code (domain, code, source, description)
      VALUES ('typeFamily', 'ASSAULT', 'DPS', 'Assault'), ('status', 'CLOSED', 'DPS', 'Closed');
    INSERT INTO prisons.incidents_report (id, reference, source, status, type_family, location, incident_date_and_time_local)
      SELECT id, reference, source, status, 'ASSAULT', 'MDI', TIMESTAMP '2024-07-09 10:00:00' FROM (VALUES
        ('a', '1', 'DPS', 'CLOSED'), ('b', '1', 'NOMIS', 'CLOSED'), ('c', '2', 'NOMIS', 'CLOSED'), ('d', '3', 'DPS', 'DRAFT')
      ) AS r(id, reference, source, status);
    INSERT INTO prisons.incidents_prisoner_involvement (report_id, prisoner_number, prisoner_role)
      VALUES ('a', 'A1234BC', 'FIGHTER'), ('a', 'A0000AA', 'VICTIM')`)
  const found: Record<string, Record<string, unknown>[]> = {}
  for (const { id, query, schema } of dataset) {
    // Redshift's LISTAGG as DuckDB has it
    const sql = query.replace(/LISTAGG\((.*?), ', '\)\s+WITHIN GROUP \((ORDER BY [^)]+)\)/s, "string_agg($1, ', ' $2)")
    const reader = await connection.runAndReadAll(sql)
    found[id] = reader.getRowObjectsJson()
    expect(reader.columnNames().toSorted()).toEqual(schema.field.map(({ name }) => name).toSorted())
  }
  expect(found['summary']?.map((row) => [row['id'], row['prisoners_involved'], row['location_name']])).toEqual([
    ['a', 'A0000AA (VICTIM), A1234BC (FIGHTER)', 'Moorland'],
    ['c', null, 'Moorland'],
  ])
  expect(found['by-location-per-month']).toMatchObject([{ type_description: 'Assault', num_of_incidents: '2' }])
  expect(found['by-source']?.map((row) => row['source']).toSorted()).toEqual(['DPS', 'NOMIS'])
  expect(found['statuses']).toEqual([{ code: 'CLOSED', description: 'Closed' }])
})

const SQL_TYPES: Readonly<Record<string, string>> = {
  int: 'INTEGER',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  localTimestamp: 'TIMESTAMP',
}

test('both lie beside the files that they describe', async () => {
  const directory = temporaryDirectory()
  await openAnalytics(directory)
  expect(readdirSync(join(directory, 'metadata')).toSorted()).toEqual(
    [...TABLES.map(({ name }) => `${name}.json`), DATA_PRODUCT_FILE].toSorted(),
  )
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 1000, after: sourceRow('public.question') })])
  const product = readFileSync(join(zone, 'definitions', DATA_PRODUCT_FILE), 'utf8')
  expect(JSON.parse(product)).toEqual(dataProduct())
  expect(readFileSync(join(directory, 'metadata', DATA_PRODUCT_FILE), 'utf8')).toBe(product)
})

test('an export lands every table once, with the columns of its metadata (rule analytics.landing)', async () => {
  const directory = temporaryDirectory()
  const to = join(temporaryDirectory(), 'landed')
  const sink = await openAnalytics(directory)
  await sink.write([
    incidentChange({ offset: 0, lsn: 10, rows: [reportRow(uuid(1))] }),
    incidentChange({ offset: 1, lsn: 20, op: 'u', rows: [reportRow(uuid(1), { status: 'CLOSED' })] }),
    incidentChange({ offset: 2, lsn: 30, rows: [reportRow(uuid(2))] }),
    incidentChange({ offset: 3, lsn: 40, op: 'd', rows: [reportRow(uuid(2), {}, 'delete')] }),
  ])
  await sink.publish()
  const exporting = { directory, to, projections: ANALYTICS_PROJECTIONS }
  const { landed, tables } = await exportPublished(exporting)
  expect(tables).toMatchObject({ report: 1, report_temporal: 3, report_history: 4, question: 0 })
  expect(Math.abs(landed - Date.now() / 1000)).toBeLessThan(120)
  for (const table of TABLES) await expectColumns(to, landed, table)
  expect(await exportPublished(exporting)).toEqual({ landed, tables: {} })
  expect(readdirSync(join(to, 'report'))).toEqual([`mojap_file_land_timestamp=${landed}`])
})

const PARQUET: Readonly<Record<string, string>> = {
  BOOLEAN: 'bool',
  INT32: 'int32',
  INT64: 'int64',
  BYTE_ARRAY: 'string',
}

async function expectColumns(to: string, landed: number, { name, columns }: MojapTable): Promise<void> {
  const file = join(to, name, `mojap_file_land_timestamp=${landed}`, `${name}.parquet`)
  expect(existsSync(join(to, 'metadata', `${name}.json`))).toBe(true)
  const { schema } = await parquetMetadataAsync(await asyncBufferFromFile(file))
  const found = schema.slice(1).map((column) => {
    const converted = column.converted_type ?? ''
    const moment = column.logical_type?.type === 'TIMESTAMP' || converted.startsWith('TIMESTAMP')
    const type = moment ? 'timestamp(us)' : converted === 'DATE' ? 'date32' : PARQUET[column.type!]
    return { name: column.name, type }
  })
  expect(found).toEqual(columns.slice(0, -1).map((column) => ({ name: column.name, type: column.type })))
}
