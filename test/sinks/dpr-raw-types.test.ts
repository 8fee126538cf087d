/**
 * Each PostgreSQL type as Spark must infer it from the file's footer (rule dpr.types), read by a reader that is not
 * DuckDB.
 */
import { join } from 'node:path'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { expect, test } from 'vitest'
import type { Table, Value } from '../../core/change.ts'
import { readContract } from '../../sinks/dpr-raw-contracts.ts'
import { openStorage } from '../../sinks/dpr-raw-storage.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { change, DPR_PROJECTIONS, filesOf, openDprRaw, rawZone } from '../support/dpr-raw.ts'
import { SAMPLED_TABLES, sourceRow } from '../support/source-rows.ts'

interface Case {
  readonly type: string
  readonly oid: number
  readonly modifier?: number
  readonly value: Value
  readonly contract: unknown
  readonly physical: string
  readonly converted?: string
  readonly stored: unknown
}

const micros = { type: 'long', logicalType: 'timestamp-micros' }
const text = { contract: 'string', physical: 'BYTE_ARRAY', converted: 'UTF8' }

const CASES: Case[] = [
  {
    type: 'uuid',
    oid: 2950,
    value: '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b',
    ...text,
    stored: '019012ab-7c4d-7e5f-8a9b-0c1d2e3f4a5b',
  },
  { type: 'varchar', oid: 1043, value: 'Zoë 😀', ...text, stored: 'Zoë 😀' },
  { type: 'jsonb', oid: 3802, value: '{"a": 1}', ...text, stored: '{"a": 1}' },
  { type: 'text_array', oid: 1009, value: '{a,b}', ...text, stored: '{a,b}' },
  { type: 'time', oid: 1083, value: '12:34:56.789', ...text, stored: '12:34:56' },
  { type: 'numeric', oid: 1700, value: '12345678901234567890.123', ...text, stored: '12345678901234567890.123' },
  {
    type: 'numeric_10_2',
    oid: 1700,
    modifier: ((10 << 16) | 2) + 4,
    value: '-12345678.90',
    contract: { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 },
    physical: 'INT64',
    converted: 'DECIMAL',
    stored: -12345678.9,
  },
  { type: 'bool', oid: 16, value: false, contract: 'boolean', physical: 'BOOLEAN', stored: false },
  { type: 'int2', oid: 21, value: -7, contract: 'int', physical: 'INT32', converted: 'INT_32', stored: -7 },
  {
    type: 'int4',
    oid: 23,
    value: 2147483647,
    contract: 'int',
    physical: 'INT32',
    converted: 'INT_32',
    stored: 2147483647,
  },
  {
    type: 'int8',
    oid: 20,
    value: 9007199254740993n,
    contract: 'long',
    physical: 'INT64',
    converted: 'INT_64',
    stored: 9007199254740993n,
  },
  { type: 'float4', oid: 700, value: 1.5, contract: 'float', physical: 'FLOAT', stored: 1.5 },
  { type: 'float8', oid: 701, value: 0.1, contract: 'double', physical: 'DOUBLE', stored: 0.1 },
  {
    type: 'date',
    oid: 1082,
    value: '2024-02-29',
    contract: { type: 'int', logicalType: 'date' },
    physical: 'INT32',
    converted: 'DATE',
    stored: new Date('2024-02-29'),
  },
  {
    type: 'timestamp',
    oid: 1114,
    value: '2024-07-01 12:34:56.789012',
    contract: micros,
    physical: 'INT64',
    converted: 'TIMESTAMP_MICROS',
    stored: new Date('2024-07-01T12:34:56.789Z'),
  },
  {
    type: 'timestamptz',
    oid: 1184,
    value: '2024-07-01 12:34:56.789012+01',
    contract: micros,
    physical: 'INT64',
    converted: 'TIMESTAMP_MICROS',
    stored: new Date('2024-07-01T11:34:56.789Z'),
  },
  {
    type: 'bytea',
    oid: 17,
    value: Buffer.from([0, 255, 65]),
    contract: 'bytes',
    physical: 'BYTE_ARRAY',
    stored: new Uint8Array([0, 255, 65]),
  },
]

const table: Table = {
  schema: 'public',
  name: 'every_type',
  key: ['uuid'],
  columns: CASES.map(({ type, oid, modifier = -1 }) => ({ name: type, oid, modifier })),
}

async function written(): Promise<{ zone: string; file: string }> {
  const zone = rawZone()
  const sink = await openDprRaw(zone, { columnKind: () => 'code' })
  const whole = Object.fromEntries(CASES.map(({ type, value }) => [type, value]))
  const nothing = { ...Object.fromEntries(CASES.map(({ type }) => [type, null])), uuid: 'empty' }
  await sink.write([
    change({ table, offset: 0, lsn: 1000, after: whole }),
    change({ table, offset: 1, lsn: 2000, after: nothing }),
    change({ table, offset: 2, lsn: 3000, after: { ...nothing, uuid: 'odd', ...ODD } }),
  ])
  const folder = 'incidentreporting/every_type'
  return { zone, file: join(zone, 'raw', folder, filesOf(zone, folder)[0]!) }
}

/** What PostgreSQL can hold and a calendar or a decimal cannot. */
const ODD = { timestamp: '0044-03-15 12:00:00.5 BC', date: '0044-03-15 BC', numeric_10_2: 'NaN', float8: 'Infinity' }

test('every type has the column, the contract and the value of the trap table', async () => {
  const { zone, file } = await written()
  const buffer = await asyncBufferFromFile(file)
  const { schema } = await parquetMetadataAsync(buffer)
  const [row, nothing] = await parquetReadObjects({ file: buffer, utf8: false })
  const contract = (await readContract(openStorage(zone), 'incidentreporting', 'every_type'))!
  for (const each of CASES) {
    const element = schema.find(({ name }) => name === each.type)!
    const found = {
      type: each.type,
      contract: contract.fields.find(({ name }) => name === each.type)?.type,
      physical: element.type,
      converted: element.converted_type,
      stored: row![each.type],
    }
    expect(found).toEqual({ converted: undefined, ...pick(each) })
    expect(nothing![each.type]).toBe(each.type === 'uuid' ? 'empty' : null)
  }
  expect(contract.fields.find(({ name }) => name === 'time')?.metadata.validationType).toBe('time')
})

test('dates before Christ are exact; what a decimal cannot hold is null', async () => {
  const { zone } = await written()
  const rows = await readDprTable(zone, 'incidentreporting', 'every_type')
  const odd = rows.find((row) => row['uuid'] === 'odd')
  expect(odd).toMatchObject({ timestamp: '0044-03-15 (BC) 12:00:00.5+00', date: '0044-03-15 (BC)', numeric_10_2: null })
})

test('in every file of both sources: flat, three text columns beside those of the contract, timestamps adjusted to UTC', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write(
    SAMPLED_TABLES.map((name, i) =>
      change({
        table: name,
        offset: i,
        lsn: 1000 * (i + 1),
        reference: name.startsWith('nomis') ? '247314' : '10000042',
        after: sourceRow(name),
      }),
    ),
  )
  const folders = [
    ...SAMPLED_TABLES.filter((name) => name.startsWith('public')).map((name) => `incidentreporting/${name.slice(7)}`),
    ...Object.values(DPR_PROJECTIONS).map((projection) => `incidents/${projection.table}`),
  ]
  let timestamps = 0
  for (const folder of folders) {
    const [source, name] = folder.split('/') as [string, string]
    const contract = (await readContract(openStorage(zone), source, name))!
    const files = filesOf(zone, folder)
    expect(files).toHaveLength(1)
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(join(zone, 'raw', folder, files[0]!)))
    const [root, ...columns] = metadata.schema
    expect(root!.num_children).toBe(columns.length)
    expect(columns.map((column) => column.name)).toEqual([
      'Op',
      ...contract.fields.map((field) => field.name),
      '_timestamp',
      'checkpoint_col',
    ])
    for (const column of columns) {
      expect(column.converted_type ?? '').not.toMatch(/UINT|LIST|MAP|TIME_|JSON/)
      expect(column.logical_type?.type ?? '').not.toMatch(/UUID|TIME$|LIST|JSON/)
      if (column.converted_type !== 'TIMESTAMP_MICROS') continue
      timestamps += 1
      expect(column.logical_type).toMatchObject({ type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' })
    }
  }
  expect(timestamps).toBeGreaterThan(10)
})

test('London wall time of the incident database is labelled UTC unshifted; unified instants are instants', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ table: 'public.report', offset: 0, lsn: 1000, after: sourceRow('public.report') })])
  const [source] = await readDprTable(zone, 'incidentreporting', 'report')
  const [unified] = await readDprTable(zone, 'incidents', 'report')
  expect(source).toMatchObject({ incident_date_and_time: '2024-07-01 12:34:56.789+00' })
  expect(unified).toMatchObject({
    incident_date_and_time: '2024-07-01 11:34:56.789+00',
    incident_date_and_time_local: '2024-07-01 12:34:56.789+00',
  })
})

function pick({ type, contract, physical, converted, stored }: Case): object {
  return { type, contract, physical, stored, ...(converted === undefined ? {} : { converted }) }
}
