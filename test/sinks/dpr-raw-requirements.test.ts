/**
 * What a drop-in for DMS must satisfy, rule by rule, on one raw zone that a snapshot, changes, deletes, a
 * changed key and a new column have filled.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ENTITIES, type IncidentChange } from '../../core/incident.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import type { Contract } from '../../sinks/dpr-raw-contracts.ts'
import { dprRaw, type DprRawSink } from '../../sinks/dpr-raw.ts'
import { DPR_FLUSH } from '../../sinks/writes.ts'
import { change, DPR_PROJECTIONS, filesOf, marker, openDprRaw, rawZone, rowsOf, tableOf } from '../support/dpr-raw.ts'
import { SAMPLED_TABLES, sourceRow } from '../support/source-rows.ts'

const QUESTIONS = 'incidentreporting/question'
const question = (id: number, cells: object = {}) => ({ ...sourceRow('public.question', { id }), ...cells })
const wide = {
  ...tableOf('public.question'),
  columns: [...tableOf('public.question').columns, { name: 'severity', oid: 23, modifier: -1 }],
}

interface Filled {
  readonly zone: string
  readonly sink: DprRawSink
  readonly sent: readonly (readonly IncidentChange[])[]
  readonly folders: readonly string[]
}

let filled: Filled
beforeAll(async () => {
  let offset = 0
  let lsn = 1000
  const next = () => ({ offset: offset++, lsn: (lsn += 1000) })
  const of = (table: string) => ({ table, reference: table.startsWith('nomis') ? '247314' : '10000042' })
  const load = [
    ...SAMPLED_TABLES.map((name) =>
      change({ ...of(name), op: 'r', after: sourceRow(name), offset: offset++, lsn: 900 }),
    ),
    ...[101, 102].map((id) => change({ op: 'r', after: question(id), offset: offset++, lsn: 900 })),
    marker({ offset: offset++, lsn: 950 }),
  ]
  const updates = SAMPLED_TABLES.map((name) =>
    change({ ...of(name), before: sourceRow(name), after: sourceRow(name), ...next() }),
  )
  const rekeyed = next()
  const changes = [
    change({ before: question(101), ...rekeyed, ordinal: 1, at: lsn - 100, last: false }),
    change({ after: question(201), ...rekeyed, offset: offset++, ordinal: 2, at: lsn - 100 }),
    change({ after: question(103), ...next() }),
    change({ table: wide, before: question(102), after: question(102, { severity: 3 }), ...next() }),
  ]
  const deletes = [change({ table: wide, before: question(103, { severity: null }), ...next() })]
  const sent = [load, updates, changes, deletes]
  const zone = mkdtempSync(join(tmpdir(), 'incidents-dpr-'))
  const sink = await dprRaw({ directory: zone, projections: DPR_PROJECTIONS, columnKind: () => 'code' })
  for (const items of sent) await sink.write(items)
  const folders = readdirSync(join(zone, 'raw')).flatMap((source) =>
    readdirSync(join(zone, 'raw', source)).map((table) => `${source}/${table}`),
  )
  filled = { zone, sink, sent, folders }
})
afterAll(async () => {
  await filled.sink.close()
  rmSync(filled.zone, { recursive: true })
})

const allFiles = () =>
  filled.folders.flatMap((folder) => filesOf(filled.zone, folder).map((name) => ({ folder, name })))
const contractOf = (folder: string): Contract =>
  JSON.parse(readFileSync(join(filled.zone, 'contracts', `${folder}.avsc`), 'utf8')) as Contract
const rowsIn = (folder: string) => rowsOf(filled.zone, folder, '*')

test('two DPR sources: the tables of the incident database, and one table for each unified entity', () => {
  const sources = Object.groupBy(filled.folders, (folder) => folder.split('/')[0]!)
  const sampled = SAMPLED_TABLES.filter((name) => name.startsWith('public.')).map(
    (name) => `incidentreporting/${name.slice(7)}`,
  )
  expect(sources['incidentreporting']?.toSorted()).toEqual(sampled.toSorted())
  expect(sources['incidents']?.toSorted()).toEqual(
    ENTITIES.map((entity) => `incidents/${DPR_PROJECTIONS[entity].table}`).toSorted(),
  )
})

test('LOAD%08X and yyyyMMdd-HHmmssSSS, rising in each folder, nothing below a table (rule dpr.names)', () => {
  for (const folder of filled.folders) {
    const names = filesOf(filled.zone, folder)
    for (const name of names) expect(name).toMatch(/^(LOAD[0-9A-F]{8}|\d{8}-\d{9})\.parquet$/)
    expect(new Set(names).size).toBe(names.length)
    expect(names.every((name) => statSync(join(filled.zone, 'raw', folder, name)).isFile())).toBe(true)
  }
})

test("the contract's columns and Op, _timestamp, checkpoint_col in the newest file, no other (rule dpr.columns)", async () => {
  for (const folder of filled.folders) {
    const name = filesOf(filled.zone, folder).findLast((each) => !each.startsWith('LOAD'))!
    const { schema } = await parquetMetadataAsync(await asyncBufferFromFile(join(filled.zone, 'raw', folder, name)))
    const columns = schema.slice(1)
    const fields = contractOf(folder).fields.map((field) => field.name)
    expect(columns.map((column) => column.name).toSorted()).toEqual(
      [...fields, 'Op', '_timestamp', 'checkpoint_col'].toSorted(),
    )
    for (const mark of ['Op', '_timestamp', 'checkpoint_col'])
      expect(columns.find((column) => column.name === mark)).toMatchObject({
        type: 'BYTE_ARRAY',
        converted_type: 'UTF8',
      })
  }
})

test('Op is I for a load row, else I, U or D (rule dpr.op)', async () => {
  const seen = new Set<string>()
  for (const folder of filled.folders) {
    for (const row of await rowsIn(folder)) {
      seen.add(row['Op'] as string)
      expect(row['checkpoint_col'] === '' ? row['Op'] : 'I').toBe('I')
    }
  }
  expect([...seen].toSorted()).toEqual(['D', 'I', 'U'])
})

test('the commit time in UTC; 35 digits, empty on load, rising for each row (rules dpr.timestamp, dpr.checkpoint)', async () => {
  for (const folder of filled.folders) {
    const newest = new Map<unknown, string>()
    for (const row of await rowsIn(folder)) {
      expect(row['_timestamp']).toMatch(/^2024-05-06 12:00:00\.\d{6}$/)
      const checkpoint = row['checkpoint_col'] as string
      if (checkpoint === '') continue
      expect(checkpoint).toMatch(/^20240506120000\d{21}$/)
      expect(checkpoint > '20240506120000').toBe(true)
      expect(checkpoint > (newest.get(row['id']) ?? '')).toBe(true)
      if (row['id'] !== undefined) newest.set(row['id'], checkpoint)
    }
  }
})

const UTC_MICROS = { isAdjustedToUTC: true, unit: 'MICROS' }

test('uuid, json and time as text, timestamps in UTC microseconds, no list, struct or time (rule dpr.types)', async () => {
  for (const { folder, name } of allFiles()) {
    const { schema } = await parquetMetadataAsync(await asyncBufferFromFile(join(filled.zone, 'raw', folder, name)))
    const types = new Map(contractOf(folder).fields.map((field) => [field.name, field.type]))
    for (const column of schema.slice(1)) {
      expect(column.num_children ?? 0).toBe(0)
      expect(column.converted_type ?? '').not.toMatch(/UINT|LIST|MAP|TIME_|JSON/)
      const whole = types.get(column.name) as string
      expect(column.type).toBe({ int: 'INT32', long: 'INT64' }[whole] ?? column.type)
      const moment = column.converted_type?.startsWith('TIMESTAMP') === true
      expect(moment ? column.logical_type : UTC_MICROS).toMatchObject(UTC_MICROS)
    }
  }
})

test('what may not be null is not, an update has every column, a delete its key (rule dpr.whole-rows)', async () => {
  const rows = await rowsIn(QUESTIONS)
  expect(
    rows.filter((row) => row['Op'] === 'U').every((row) => row['report_id'] !== null && row['label'] !== null),
  ).toBe(true)
  for (const folder of filled.folders) {
    const required = contractOf(folder).fields.filter((field) => !field.nullable)
    for (const row of await rowsIn(folder)) for (const { name } of required) expect(row[name]).not.toBe(null)
  }
})

test('a changed key is D, then I; a row read again is U (rule dpr.keys)', async () => {
  const ops = (await rowsIn(QUESTIONS)).map((row) => `${String(row['Op'])} ${String(row['id'])}`)
  expect(ops.indexOf('D 101')).toBeLessThan(ops.indexOf('I 201'))
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([marker({ offset: 0, lsn: 100 }), change({ offset: 1, lsn: 900, op: 'r', after: question(1) })])
  expect((await rowsOf(zone, QUESTIONS, '"Op"')).map((row) => row['Op'])).toEqual(['U'])
})

test('a key is loaded once (rule dpr.load)', async () => {
  for (const folder of filled.folders) {
    const key = contractOf(folder)
      .fields.filter((field) => field.key === 'primary')
      .map((field) => field.name)
    const loaded = (await rowsIn(folder)).filter((row) => row['checkpoint_col'] === '')
    expect(new Set(loaded.map((row) => key.map((name) => row[name]).join('/'))).size).toBe(loaded.length)
  }
})

test('whole objects of one writer: nothing else is in a folder that DPR reads (rule dpr.objects)', () => {
  expect(
    readdirSync(join(filled.zone, 'raw'), { recursive: true }).filter((name) => /(^|\/)[._]/.test(String(name))),
  ).toEqual([])
})

test('a flush by ten seconds or by size, no file above 120 MB, none empty (rule dpr.flush)', () => {
  expect(DPR_FLUSH.ageMs).toBe(10_000)
  expect(DPR_FLUSH.bytes).toBeLessThanOrEqual(120_000_000)
  for (const { folder, name } of allFiles()) {
    const { size } = statSync(join(filled.zone, 'raw', folder, name))
    expect(size).toBeGreaterThan(0)
    expect(size).toBeLessThanOrEqual(120_000_000)
  }
})

test('what comes again publishes nothing (rule dpr.once)', async () => {
  const before = allFiles()
  for (const items of filled.sent) await filled.sink.write(items)
  expect(allFiles()).toEqual(before)
})

test('the lifecycle stands in a file: changes are flowing (rule dpr.reload)', () => {
  expect(statistics()).toMatchObject({ state: 'cdc', event: null })
})

test('published objects stay: the manifest names files that are all still there (rule dpr.objects)', () => {
  const entries = readdirSync(join(filled.zone, 'manifest/entries')).map(
    (name) =>
      JSON.parse(readFileSync(join(filled.zone, 'manifest/entries', name), 'utf8')) as { files: { path: string }[] },
  )
  const published = entries
    .flatMap(({ files }) => files.map(({ path }) => path))
    .filter((path) => path.startsWith('raw/'))
  expect(published.map((path) => path.slice(4)).toSorted()).toEqual(
    allFiles()
      .map(({ folder, name }) => `${folder}/${name}`)
      .toSorted(),
  )
})

test('a new column is nullable in the next contract, and begins with a file of its own (rule dpr.new-columns)', () => {
  const { version, fields } = contractOf(QUESTIONS)
  expect(version).toBe('1.1.0')
  expect(fields.at(-1)).toMatchObject({ name: 'severity', nullable: true })
  expect(readdirSync(join(filled.zone, 'contracts', QUESTIONS)).toSorted()).toEqual(['1.0.0.avsc', '1.1.0.avsc'])
})

test('every contract has a primary key, its source as service, and what is sensitive (rule dpr.contracts)', () => {
  for (const folder of filled.folders) {
    const contract = contractOf(folder)
    expect(contract).toMatchObject({
      type: 'record',
      name: folder.split('/')[1],
      service: folder.split('/')[0],
      namespace: 'prisons',
    })
    expect(contract.fields.some((field) => field.key === 'primary')).toBe(true)
    expect(contract.fields.every((field) => typeof field.nullable === 'boolean')).toBe(true)
    expect(contract.fields.every((field) => typeof field.metadata.sensitive === 'boolean')).toBe(true)
  }
  expect(contractOf('incidents/report').fields.some((field) => field.metadata.sensitive)).toBe(true)
})

test('the table lists of the jobs name every table (rule dpr.table-list)', () => {
  const listed = ['incidentreporting', 'incidents'].flatMap(
    (source) =>
      (
        JSON.parse(readFileSync(join(filled.zone, 'configs', source, 'table-config.json'), 'utf8')) as {
          tables: string[]
        }
      ).tables,
  )
  expect(listed.toSorted()).toEqual(filled.folders.toSorted())
})

test("counts by DMS's names are those of the rows in the files (rule dpr.statistics)", async () => {
  const { tables } = statistics()
  for (const folder of filled.folders) {
    const [SchemaName, TableName] = folder.split('/')
    const rows = await rowsIn(folder)
    const changes = rows.filter((row) => row['checkpoint_col'] !== '')
    const count = (op: string): number => changes.filter((row) => row['Op'] === op).length
    expect(tables.find((each) => each['SchemaName'] === SchemaName && each['TableName'] === TableName)).toEqual({
      SchemaName,
      TableName,
      FullLoadRows: rows.length - changes.length,
      Inserts: count('I'),
      Updates: count('U'),
      Deletes: count('D'),
      AppliedInserts: count('I'),
      AppliedUpdates: count('U'),
      AppliedDeletes: count('D'),
    })
  }
})

test('the contract checker takes every row', async () => {
  const verdicts = await verifyDpr(filled.zone)
  expect(verdicts.flatMap(({ table, findings }) => findings.map((each) => ({ table, ...each })))).toEqual([])
  expect(verdicts.map(({ table }) => table).toSorted()).toEqual(filled.folders.toSorted())
})

function statistics(): { state: string; event: string | null; tables: Record<string, unknown>[] } {
  return JSON.parse(readFileSync(join(filled.zone, 'manifest/statistics.json'), 'utf8')) as ReturnType<
    typeof statistics
  >
}
