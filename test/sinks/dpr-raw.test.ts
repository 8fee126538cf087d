/** DPR's raw zone as its jobs and Analytical Platform find it. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Table } from '../../core/change.ts'
import type { Contract } from '../../sinks/dpr-raw-contracts.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import { dprError } from '../../sinks/dpr-raw-error.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { change, filesOf, marker, openDprRaw, rawZone, rowsOf, tableOf } from '../support/dpr-raw.ts'
import { sourceRow } from '../support/source-rows.ts'

const QUESTIONS = 'incidentreporting/question'
const UNIFIED = 'incidents/question'
const row = (id: number, cells: Record<string, string> = {}) => sourceRow('public.question', { id, ...cells })
const marks = '"Op", id, _timestamp, checkpoint_col'

test('each row of a change goes to its table and to its unified entity, with Op, time and checkpoint (rule dpr.columns)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone, { now: () => Date.UTC(2024, 4, 6, 12, 0, 5, 7) })
  await sink.write([
    marker({ offset: 0, lsn: 100 }),
    change({ offset: 1, lsn: 1000, after: row(19) }),
    change({ offset: 2, lsn: 2000, before: row(19), after: row(19, { label: 'Changed' }) }),
    change({ offset: 3, lsn: 3000, before: row(19, { label: 'Changed' }) }),
  ])
  for (const folder of [QUESTIONS, UNIFIED]) expect(filesOf(zone, folder)).toEqual(['20240506-120005007.parquet'])
  const rows = await rowsOf(zone, QUESTIONS)
  expect(rows.map((each) => [each['Op'], each['label']])).toEqual([
    ['I', 'Was a serious injury sustained?'],
    ['U', 'Changed'],
    ['D', 'Changed'],
  ])
  expect(rows[1]).toEqual({
    Op: 'U',
    ...row(19, { label: 'Changed' }),
    _timestamp: '2024-05-06 12:00:00.002000',
    checkpoint_col: '20240506120000000000000000000001200',
  })
  const unified = await rowsOf(zone, UNIFIED)
  expect(unified.map((each) => each['Op'])).toEqual(['I', 'U', 'D'])
  expect(unified[1]).toMatchObject({
    source_key: '19',
    label: 'Changed',
    reference: '10000042',
    system_of_record: 'DPS',
  })
})

test('rows of the first snapshot are load rows, those read later updates: never an I for a row that is there (rules dpr.op, dpr.keys)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([
    marker({ offset: 0, lsn: 100, snapshotDone: false }),
    change({ offset: 1, lsn: 900, op: 'r', after: row(1) }),
  ])
  await sink.write([change({ offset: 2, lsn: 900, op: 'r', after: row(2) }), marker({ offset: 3, lsn: 1000 })])
  await sink.write([change({ offset: 4, lsn: 2000, op: 'r', after: row(1, { label: 'Healed' }) })])
  const files = filesOf(zone, QUESTIONS)
  expect(files.slice(1)).toEqual(['LOAD00000001.parquet', 'LOAD00000002.parquet'])
  expect(await rowsOf(zone, QUESTIONS, '"Op", id, checkpoint_col = \'\' AS load')).toEqual([
    { Op: 'I', id: 1, load: true },
    { Op: 'I', id: 2, load: true },
    { Op: 'U', id: 1, load: false },
  ])
  expect(sink.statistics().get(QUESTIONS)).toMatchObject({ fullLoadRows: 2, inserts: 0, updates: 1, deletes: 0 })
})

test('a chunk of the first snapshot that comes twice is loaded once, in one flush or in two (rule dpr.load)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  const read = (offset: number, id: number, lsn = 900) => change({ offset, lsn, op: 'r', after: row(id) })
  await sink.write([read(0, 1), read(1, 2), read(2, 1)])
  await sink.write([read(3, 1), read(4, 3), read(5, 2, 950)])
  expect(await rowsOf(zone, QUESTIONS, '"Op", id')).toEqual([
    { Op: 'I', id: 1 },
    { Op: 'I', id: 2 },
    { Op: 'I', id: 3 },
    { Op: 'U', id: 2 },
  ])
})

test.each([1, 2])(
  'an insert that the load already holds, since a snapshot was broken off, is an update: in %i flushes (rule dpr.keys)',
  async (flushes) => {
    const zone = rawZone()
    const sink = await openDprRaw(zone)
    const load = [change({ offset: 0, lsn: 900, op: 'r', after: row(1) })]
    const stream = [change({ offset: 1, lsn: 2000, after: row(1) }), change({ offset: 2, lsn: 3000, after: row(2) })]
    for (const items of flushes === 1 ? [[...load, ...stream]] : [load, stream]) await sink.write(items)
    expect(await rowsOf(zone, QUESTIONS, '"Op", id')).toEqual([
      { Op: 'I', id: 1 },
      { Op: 'U', id: 1 },
      { Op: 'I', id: 2 },
    ])
    expect(sink.statistics().get(QUESTIONS)).toMatchObject({ fullLoadRows: 1, inserts: 1, updates: 1 })
  },
)

test('a row read outside the stream neither overwrites a newer state nor brings back a deleted row', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  const late = (offset: number, id: number, lsn: number) =>
    change({ offset, lsn, op: 'r', after: row(id, { label: 'Stale' }), partition: 1 })
  await sink.write([
    marker({ offset: 0, lsn: 100 }),
    marker({ offset: 0, lsn: 100, partition: 1 }),
    change({ offset: 1, lsn: 1000, after: row(1) }),
    change({ offset: 2, lsn: 2000, after: row(2) }),
    change({ offset: 3, lsn: 3000, before: row(2) }),
  ])
  await sink.write([late(1, 1, 900), late(2, 2, 2500), late(3, 3, 900)])
  await sink.write([late(4, 2, 2600)])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([row(1), row(3, { label: 'Stale' })])
  expect(await readDprTable(zone, ...folder(UNIFIED))).toHaveLength(2)
})

test('of a flush that begins behind the one before it, only what its own row is ahead of is left out', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  const update = (offset: number, lsn: number, id: number, label: string, partition: number) =>
    change({ offset, lsn, partition, before: row(id), after: row(id, { label }) })
  await sink.places([0, 1])
  await sink.write([
    change({ offset: 0, lsn: 1000, after: row(1) }),
    change({ offset: 1, lsn: 1100, after: row(2) }),
    update(2, 3000, 1, 'Moved here', 0),
  ])
  await sink.write([
    update(0, 1500, 1, 'Stale', 1),
    change({ offset: 1, lsn: 2000, partition: 1, after: row(3) }),
    update(2, 2500, 3, 'Changed', 1),
    update(3, 4000, 1, 'Newest', 0),
    update(4, 5000, 2, 'Changed', 0),
  ])
  const labels = (await rowsOf(zone, QUESTIONS, 'label')).map(({ label }) => label)
  expect(labels).not.toContain('Stale')
  expect(labels).toHaveLength(7)
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([
    row(1, { label: 'Newest' }),
    row(2, { label: 'Changed' }),
    row(3, { label: 'Changed' }),
  ])
})

test('a row found gone outside the stream leaves by a D row, unless the stream has brought it since', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  const gone = (offset: number, id: number) => change({ offset, lsn: 2000, ordinal: 0, before: row(id) })
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) }), change({ offset: 1, lsn: 1100, after: row(2) })])
  await sink.write([change({ offset: 2, lsn: 3000, before: row(2), after: row(2, { label: 'Newer' }) })])
  await sink.write([gone(3, 1), gone(4, 2)])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([row(2, { label: 'Newer' })])
  expect(await readDprTable(zone, ...folder(UNIFIED))).toHaveLength(1)
  const rows = await rowsOf(zone, QUESTIONS, '"Op", id')
  expect(rows.filter((each) => each['Op'] === 'D')).toEqual([{ Op: 'D', id: 1 }])
})

test('a changed key is a delete of the old row, then an insert of the new one (rule dpr.keys)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([
    change({ offset: 0, lsn: 1000, after: row(1) }),
    change({ offset: 1, lsn: 2000, ordinal: 1, at: 1500, before: row(1), last: false }),
    change({ offset: 2, lsn: 2000, ordinal: 2, at: 1500, after: row(2) }),
  ])
  expect(await rowsOf(zone, QUESTIONS, '"Op", id')).toEqual([
    { Op: 'I', id: 1 },
    { Op: 'D', id: 1 },
    { Op: 'I', id: 2 },
  ])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([row(2)])
})

test.each(['in one flush', 'the delete first', 'the insert first'])(
  'a row that moves between incidents stays: %s',
  async (order) => {
    const zone = rawZone()
    const sink = await openDprRaw(zone)
    await sink.places([0, 1])
    await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
    const stale = change({ offset: 1, lsn: 1500, before: row(1), after: row(1, { label: 'Before' }) })
    const gone = change({ offset: 2, lsn: 2000, ordinal: 1, at: 1700, before: row(1, { label: 'Before' }) })
    const come = change({ offset: 0, lsn: 2000, ordinal: 2, at: 1700, partition: 1, after: row(1, { label: 'Moved' }) })
    if (order === 'in one flush') await sink.write([come, stale, gone])
    if (order === 'the delete first') await sink.write([stale, gone])
    if (order !== 'in one flush') await sink.write([come])
    if (order === 'the insert first') await sink.write([stale, gone])
    const rows = await rowsOf(zone, QUESTIONS, marks)
    const ops = { 'in one flush': 'IUU', 'the delete first': 'IUDU', 'the insert first': 'II' }[order]
    expect(rows.map((each) => each['Op']).join('')).toBe(ops)
    const checkpoints = rows.map((each) => each['checkpoint_col'] as string)
    expect(checkpoints).toEqual([...new Set(checkpoints)].sort())
    expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([row(1, { label: 'Moved' })])
    expect(await readDprTable(zone, ...folder(UNIFIED))).toHaveLength(1)
  },
)

describe('a key that was deleted and comes again', () => {
  const items = [
    change({ offset: 0, lsn: 1000, after: row(1) }),
    change({ offset: 1, lsn: 2000, before: row(1) }),
    change({ offset: 2, lsn: 3000, after: row(1, { label: 'Again' }) }),
    change({ offset: 3, lsn: 4000, after: row(2) }),
    change({ offset: 4, lsn: 5000, before: row(2) }),
  ]

  test.each([
    { when: 'in one flush', cuts: [1] },
    { when: 'in two flushes', cuts: [1, 2] },
    { when: 'after a restart', cuts: [1, 2], restarts: true },
  ])('$when is an update: DPR may take both at once (rule dpr.keys)', async ({ cuts, restarts = false }) => {
    const zone = rawZone()
    let sink = await openDprRaw(zone)
    for (const [i, from] of [0, ...cuts].entries()) {
      await sink.write(items.slice(from, cuts[i]))
      if (!restarts) continue
      await sink.close()
      sink = await openDprRaw(zone)
    }
    await sink.close()
    expect((await rowsOf(zone, QUESTIONS, marks)).map((each) => each['Op'])).toEqual(['I', 'D', 'U', 'I', 'D'])
    const verdicts = await verifyDpr(zone)
    expect(verdicts.flatMap((each) => each.findings)).toEqual([])
    expect(verdicts.reduce((sum, each) => sum + each.staleAtOnce, 0)).toBe(0)
    expect(sink.statistics().get(QUESTIONS)).toMatchObject({ inserts: 2, updates: 1, deletes: 2 })
  })
})

test('once the load is whole its files are not read again, wherever DPR’s jobs have put them (rule dpr.archive)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 900, op: 'r', after: row(1) }), marker({ offset: 1, lsn: 950 })])
  const load = join(zone, 'raw', QUESTIONS, 'LOAD00000001.parquet')
  writeFileSync(load, 'no parquet')
  await sink.write([change({ offset: 2, lsn: 1000, after: row(2) })])
  rmSync(load)
  await sink.write([change({ offset: 3, lsn: 2000, after: row(3) })])
  await sink.close()
  expect((await rowsOf(zone, QUESTIONS, marks)).map((each) => each['Op'])).toEqual(['I', 'I'])
})

test('what comes again is ignored: the files stay as they are (rule dpr.once)', async () => {
  const zone = rawZone()
  const items = [
    change({ offset: 0, lsn: 900, op: 'r', after: row(1) }),
    marker({ offset: 1, lsn: 950 }),
    change({ offset: 2, lsn: 1000, after: row(2) }),
    change({ offset: 3, lsn: 2000, before: row(1), after: row(1) }),
  ]
  const sink = await openDprRaw(zone)
  await sink.write(items)
  const files = filesOf(zone, QUESTIONS)
  await sink.write(items)
  await sink.close()
  const again = await openDprRaw(zone)
  expect(await again.places([0, 1])).toEqual(new Map([[0, { next: 4, height: items[3]!.change.position }]]))
  await again.write(items)
  expect(filesOf(zone, QUESTIONS)).toEqual(files)
})

test('a transaction that comes in pieces is published when it is complete, and read again after a crash', async () => {
  const zone = rawZone()
  const first = await openDprRaw(zone)
  await first.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  const piece = (offset: number, last: boolean) =>
    change({ offset, lsn: 2000, ordinal: offset, after: row(offset + 1), last })
  await first.write([piece(1, false), piece(2, false)])
  expect((await first.places([0])).get(0)?.next).toBe(1)
  await first.close()
  const second = await openDprRaw(zone)
  await second.write([piece(1, false), piece(2, false)])
  await second.write([piece(3, false)])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toHaveLength(1)
  await second.write([piece(4, true)])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toHaveLength(5)
  expect(filesOf(zone, QUESTIONS)).toHaveLength(2)
})

test('names rise although the clock stands or goes back, and a large flush is cut (rules dpr.names, dpr.flush)', async () => {
  const zone = rawZone()
  let time = Date.UTC(2024, 4, 6, 12)
  const sink = await openDprRaw(zone, { now: () => time, maxFileBytes: 1000 })
  await sink.write(Array.from({ length: 12 }, (_, i) => change({ offset: i, lsn: 1000 * (i + 1), after: row(i) })))
  time -= 60_000
  await sink.write([change({ offset: 12, lsn: 20_000, after: row(12) })])
  expect(filesOf(zone, QUESTIONS)).toEqual([
    '20240506-120000000.parquet',
    '20240506-120000001.parquet',
    '20240506-120000002.parquet',
    '20240506-120000003.parquet',
  ])
  expect((await rowsOf(zone, QUESTIONS, 'id')).map((each) => each['id'])).toEqual(
    Array.from({ length: 13 }, (_, i) => i),
  )
})

test('a flush without rows writes no file, but its place is kept (rule dpr.flush)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([marker({ offset: 0, lsn: 100 })])
  expect(filesOf(zone, '')).toEqual([])
  expect((await sink.places([0])).get(0)).toEqual({ next: 1, height: '' })
})

test('a second writer is shut out before it publishes anything (rule dpr.objects)', async () => {
  const zone = rawZone()
  const older = await openDprRaw(zone)
  await older.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  const newer = await openDprRaw(zone)
  await expect(older.write([change({ offset: 1, lsn: 2000, after: row(2) })])).rejects.toMatchObject({
    code: 'SINK_FOREIGN',
  })
  await expect(older.write([])).rejects.toMatchObject({ code: 'SINK' })
  await newer.write([change({ offset: 1, lsn: 2000, after: row(2) })])
  expect(filesOf(zone, QUESTIONS)).toHaveLength(2)
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toHaveLength(2)
})

test('files that no manifest knows stop the start', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  await sink.close()
  rmSync(join(zone, 'manifest'), { recursive: true })
  await expect(openDprRaw(zone)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
})

test('each table has a contract and stands in the table list of the jobs (rules dpr.contracts, dpr.table-list)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  const contract = JSON.parse(readFileSync(join(zone, 'contracts/incidentreporting/question.avsc'), 'utf8')) as Contract
  expect(contract).toMatchObject({
    type: 'record',
    name: 'question',
    service: 'incidentreporting',
    namespace: 'prisons',
  })
  expect(Object.keys(contract)).toEqual(expect.arrayContaining(['version', 'description', 'contacts', 'database']))
  expect(contract.fields.filter((field) => field.key === 'primary').map((field) => field.name)).toEqual(['id'])
  expect(contract.fields.filter((field) => !field.nullable).map((field) => field.name)).toEqual(['id'])
  expect(contract.fields.filter((field) => field.metadata.sensitive).map((field) => field.name)).toEqual([
    'additional_information',
  ])
  expect(contract.fields.find((field) => field.name === 'report_id')?.type).toBe('string')
  expect(JSON.parse(readFileSync(join(zone, 'configs/incidentreporting/table-config.json'), 'utf8'))).toEqual({
    tables: ['incidentreporting/question'],
  })
})

test('a column that nobody classified is withheld; the files keep their columns (rule dpr.columns)', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  const table = withColumn(tableOf('public.question'), 'unheard_of')
  await sink.write([change({ table, offset: 1, lsn: 2000, after: row(2, { unheard_of: 'secret' }) })])
  expect(Object.keys((await rowsOf(zone, QUESTIONS)).at(-1)!)).not.toContain('unheard_of')
})

const contractAt = (zone: string, path: string) =>
  JSON.parse(readFileSync(join(zone, 'contracts/incidentreporting', path), 'utf8')) as Contract

test('a table that gains a column goes on: a new version of its contract, then new files with the column (rule dpr.new-columns)', async () => {
  const zone = rawZone()
  const warned: string[] = []
  const open = () => openDprRaw(zone, { columnKind: () => 'code', warn: (sentence) => warned.push(sentence) })
  const sink = await open()
  const narrow = tableOf('public.question')
  const wide = withColumn(narrow, 'severity')
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  const before = filesOf(zone, QUESTIONS)
  await sink.write([
    change({ offset: 1, lsn: 2000, after: row(2) }),
    change({ table: wide, offset: 2, lsn: 3000, after: row(3, { severity: 'high' }) }),
    change({ table: wide, offset: 3, lsn: 4000, before: row(1), after: row(1, { severity: 'low' }) }),
  ])
  await sink.close()
  expect(filesOf(zone, QUESTIONS)).toEqual([...before, expect.any(String), expect.any(String)])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toMatchObject([
    { id: 1, severity: 'low' },
    { id: 2, severity: null },
    { id: 3, severity: 'high' },
  ])
  const contract = contractAt(zone, 'question.avsc')
  expect(contract.version).toBe('1.1.0')
  expect(contract.fields.at(-1)).toMatchObject({ name: 'severity', type: 'string', nullable: true })
  expect(contractAt(zone, 'question/1.0.0.avsc').fields.map(({ name }) => name)).not.toContain('severity')
  expect(contractAt(zone, 'question/1.1.0.avsc')).toEqual(contract)
  expect(warned).toEqual([expect.stringMatching(/^incidentreporting\/question .*severity is new$/)])
  const again = await open()
  await again.write([change({ offset: 4, lsn: 5000, after: row(4) })])
  expect(contractAt(zone, 'question.avsc').version).toBe('1.1.0')
})

test('a column that is gone stays in the contract, nullable, and leaves the files; the others never notice', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone, { columnKind: () => 'code' })
  const wide = withColumn(tableOf('public.question'), 'severity')
  await sink.write([change({ table: wide, offset: 0, lsn: 1000, after: row(1, { severity: 'low' }) })])
  await sink.write([change({ offset: 1, lsn: 2000, before: row(1), after: row(1) })])
  expect(await readDprTable(zone, ...folder(QUESTIONS))).toEqual([row(1)])
  expect(contractAt(zone, 'question.avsc')).toMatchObject({ version: '1.0.0' })
  expect(contractAt(zone, 'question.avsc').fields.find(({ name }) => name === 'severity')?.nullable).toBe(true)
})

test('a column of another type makes a new major version; a field that somebody completed stays as they left it', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
  await sink.close()
  const contract = contractAt(zone, 'question.avsc')
  const fields = contract.fields
    .filter((field) => field.name !== 'label')
    .map((field) => (field.name === 'code' ? { ...field, description: 'by hand' } : field))
    .map((field) => (field.name === 'sequence' ? { ...field, type: 'long' } : field))
  writeFileSync(join(zone, 'contracts/incidentreporting/question.avsc'), JSON.stringify({ ...contract, fields }))
  const warned: string[] = []
  const again = await openDprRaw(zone, { warn: (sentence) => warned.push(sentence) })
  await again.write([change({ offset: 1, lsn: 2000, after: row(2) })])
  expect(warned).toEqual([
    expect.stringMatching(/incidentreporting\/question .*sequence was long and is int; label is new/),
  ])
  const next = contractAt(zone, 'question.avsc')
  expect(next.version).toBe('2.0.0')
  expect(next.fields.find(({ name }) => name === 'code')?.description).toBe('by hand')
  expect(next.fields.find(({ name }) => name === 'sequence')?.type).toBe('int')
  expect(filesOf(zone, QUESTIONS)).toHaveLength(2)
})

test('NOMIS rows reach DPR as unified rows only, and a table without a key not at all', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  const keyless: Table = { ...tableOf('public.constant_type'), key: [] }
  await sink.write([
    change({
      table: 'nomis.incident_case_questions',
      offset: 0,
      lsn: 1000,
      reference: '247314',
      after: sourceRow('nomis.incident_case_questions'),
    }),
    change({ table: keyless, offset: 1, lsn: 2000, after: { code: 'FIND_6' } }),
  ])
  expect(filesOf(zone, '')).toEqual(['incidents'])
  expect(await rowsOf(zone, UNIFIED, '"Op", source, source_table')).toEqual([
    { Op: 'I', source: 'NOMIS', source_table: 'nomis.incident_case_questions' },
  ])
})

test.each([
  [new Error("Conversion Error: Could not convert string 'Smith' to INT32"), 'SINK', 'Conversion Error'],
  [Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }), 'DISK_FULL', 'No space is left'],
  [Object.assign(new Error('EACCES: Smith'), { code: 'EACCES' }), 'SINK', 'EACCES'],
])('an error names its kind and never a value: %s', (error, code, text) => {
  const reported = dprError(error, '/zone')
  expect(reported).toMatchObject({ code, message: expect.stringContaining(text) })
  expect(reported.message + reported.remedy).not.toContain('Smith')
})

function folder(path: string): [string, string] {
  return path.split('/') as [string, string]
}

function withColumn(table: Table, name: string): Table {
  return { ...table, columns: [...table.columns, { name, oid: 25, modifier: -1 }] }
}
