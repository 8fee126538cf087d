import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PipelineError } from '../../core/error.ts'
import type { EntityRow, IncidentChange } from '../../core/incident.ts'
import type { PlacedSink } from '../../core/place.ts'
import { position } from '../../core/position.ts'
import { sinkContract, type OpenSink } from '../contract/sink.ts'
import { OPERATIONAL_PROJECTIONS, openStore, storedRows } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { unify } from '../../transforms/unify.ts'
import { rowChange, sourceRow } from '../support/source-rows.ts'
import { changeOf, dpsReport, markerAt, nomisReport, prisoner, uuid } from '../support/unified-rows.ts'

sinkContract('the operational store', async () => {
  const database = await testDatabase()
  const open = async (): Promise<OpenSink> => {
    const sink = await openStore(database.url)
    return {
      sink,
      projections: OPERATIONAL_PROJECTIONS,
      rows: (entity) => storedRows(database, entity),
      reopen: async () => {
        await sink.close()
        return open()
      },
      close: async () => {
        await sink.close()
        await database.drop()
      },
    }
  }
  return open()
})

let database: TestDatabase
let sinks: PlacedSink<IncidentChange>[]

beforeEach(async () => {
  database = await testDatabase()
  sinks = []
})

afterEach(async () => {
  for (const sink of sinks) await sink.close()
  await database.drop()
})

async function opened(url = database.url): Promise<PlacedSink<IncidentChange>> {
  const sink = await openStore(url)
  sinks.push(sink)
  return sink
}

const statuses = () => database.query(`SELECT id, status FROM prisons.incidents_report ORDER BY id`)

const refusal = new PipelineError('UNKNOWN_CODE', 'a code without counterpart', 'Correct it.')

test('every row says which change made it, and by which rules', async () => {
  const sink = await opened()
  await sink.write([changeOf({ offset: 41, lsn: 0x16_b374d848, ordinal: 3, partition: 5 }, dpsReport(1))])
  const found = await database.query(
    `SELECT position, lsn, tx_id, "partition", topic_offset, rules_version,
            extract(epoch FROM committed_at)::text AS seconds FROM prisons.incidents_report`,
  )
  expect(found).toEqual([
    {
      position: '0001/00000016b374d848/00000003',
      lsn: String(0x16_b374d848),
      tx_id: String(0x16_b374d848),
      partition: 5,
      topic_offset: '41',
      rules_version: 7,
      seconds: `${0x16_b374d848}.000000`,
    },
  ])
})

test('for one reference the DPS report hides the NOMIS one, as long as it exists', async () => {
  const sink = await opened()
  const legacy = nomisReport(247_314)
  const migrated = dpsReport(1, { reference: '247314' })
  const current = async () =>
    (await database.query(`SELECT id FROM prisons.incidents_current_report`)).map((row) => row['id'])
  await sink.write([changeOf({ offset: 0, lsn: 8 }, legacy)])
  expect(await current()).toEqual([legacy.id])
  await sink.write([changeOf({ offset: 1, lsn: 16 }, migrated)])
  expect(await current()).toEqual([migrated.id])
  await sink.write([changeOf({ offset: 2, lsn: 24, op: 'd' }, migrated)])
  expect(await current()).toEqual([legacy.id])
})

describe('an incident is incomplete while a source row of it cannot be mapped', () => {
  const report = dpsReport(1)
  const row = prisoner(3, report)
  const at = (lsn: number, options: Partial<Parameters<typeof changeOf>[0]> = {}) =>
    changeOf({ offset: lsn, lsn, ...options }, row)
  /** An update whose row before could not be mapped either leaves nothing to delete. */
  const deletedUnmapped = (lsn: number): IncidentChange => ({ ...at(lsn, { op: 'd' }), rows: [] })
  const incomplete = [
    {
      source_table: 'public.prisoner_involvement',
      source_key: '3',
      reference: report.value['reference'],
      code: 'UNKNOWN_CODE',
      remedy: 'Correct it.',
    },
  ]

  test.for<[name: string, changes: IncidentChange[], left: object[]]>([
    ['a refusal says so', [at(8, { refusal })], incomplete],
    ['a later mapped state mends it', [at(8, { refusal }), at(16, { op: 'u' })], []],
    ['so does a delete', [at(8), at(16, { op: 'u', refusal }), at(24, { op: 'd' })], []],
    ['even of a row that never could be mapped', [at(8, { refusal }), deletedUnmapped(16)], []],
    ['a later refusal breaks it again', [at(8), at(16, { op: 'u', refusal })], incomplete],
    ['a row read late does not break what is mapped since', [at(16), at(8, { op: 'r', refusal })], []],
    ['nor what is deleted since', [deletedUnmapped(16), at(8, { op: 'r', refusal })], []],
    ['nor does it mend what is refused since', [at(16, { refusal }), at(8, { op: 'r' })], incomplete],
    ['a row that is in no entity breaks nothing', [{ ...at(8, { refusal }), rows: [], absence: 'not-unified' }], []],
  ])('%s', async ([, changes, left]) => {
    const found = () =>
      database.query('SELECT source_table, source_key, reference, code, remedy FROM prisons.incidents_incomplete')
    const oneByOne = await opened()
    for (const change of changes) await oneByOne.write([change])
    expect(await found()).toEqual(left)

    await database.query('DROP SCHEMA prisons CASCADE')
    const together = await opened()
    await together.write(changes)
    expect(await found()).toEqual(left)
  })
})

test('a case that can no longer be mapped leaves nothing behind, nor when it is deleted or mended then', async () => {
  const table = 'nomis.incident_cases'
  const sound = sourceRow(table)
  const unknown = { ...sound, incident_status: 'IUP' }
  const shorter = { ...sound, incident_details: 'Found on the wing.' }
  const counts = async () =>
    (
      await database.query<{ n: number[] }>(`SELECT array[(SELECT count(*) FROM prisons.incidents_report)::int,
        (SELECT count(*) FROM prisons.incidents_description_addendum)::int, (SELECT count(*) FROM prisons.incidents_incomplete)::int] AS n`)
    )[0]!.n
  const change = (offset: number, op: 'c' | 'u' | 'd', images: Parameters<typeof rowChange>[1]) =>
    unify({ ...rowChange(table, { ...images, op }), offset, position: position(1, 8 * (offset + 1), 1) })
  for (const last of ['d', 'u'] as const) {
    const sink = await opened()
    await sink.write([change(0, 'c', { after: sound })])
    expect(await counts()).toEqual([1, 1, 0])
    await sink.write([change(1, 'u', { before: sound, after: unknown })])
    expect(await counts()).toEqual([0, 0, 1])
    if (last === 'd') await sink.write([change(2, 'd', { before: unknown })])
    else await sink.write([change(2, 'u', { before: unknown, after: shorter })])
    expect(await counts()).toEqual(last === 'd' ? [0, 0, 0] : [1, 0, 0])
    await database.query('DROP SCHEMA prisons CASCADE')
  }
})

test('what was deleted is remembered until every partition has passed it, and a day longer', async () => {
  const remembered = async () => (await database.query('SELECT id FROM prisons.incidents_gone')).length
  const age = () => database.query(`UPDATE prisons.incidents_gone SET gone_at = gone_at - interval '25 hours'`)
  const row = dpsReport(1)
  const first = await opened()
  await first.places([0, 1])
  await first.write([changeOf({ offset: 0, lsn: 8 }, row), changeOf({ offset: 1, lsn: 16, op: 'd' }, row)])
  await age()

  // Forgetting comes with a sink's first commit, then from time to time.
  const passed = async (...markers: IncidentChange[]) => (await opened()).write(markers)
  await passed(markerAt({ offset: 2, lsn: 24 }))
  expect(await remembered(), 'partition 1 has no marker').toBe(1)
  await passed(markerAt({ offset: 0, lsn: 24, partition: 1, snapshotDone: false }))
  expect(await remembered(), 'the snapshot of partition 1 is not whole').toBe(1)
  await passed(markerAt({ offset: 1, lsn: 12, partition: 1 }), markerAt({ offset: 2, lsn: 14, partition: 1 }))
  expect(await remembered(), 'a marker of before the delete').toBe(1)
  await database.query(`UPDATE prisons.incidents_gone SET gone_at = now()`)
  await passed(markerAt({ offset: 3, lsn: 32, partition: 1 }))
  expect(await remembered(), 'younger than a day').toBe(1)
  await age()
  await passed(markerAt({ offset: 4, lsn: 40, partition: 1 }))
  expect(await remembered()).toBe(0)
})

test('after a delete was forgotten, the topic once more does not bring its row back', async () => {
  const row = dpsReport(1)
  const log = [
    changeOf({ offset: 0, lsn: 8, op: 'r' }, row),
    changeOf({ offset: 1, lsn: 16, op: 'd' }, row),
    markerAt({ offset: 2, lsn: 24 }),
  ]
  await (await opened()).write(log)
  await database.query('DELETE FROM prisons.incidents_gone')
  await (await opened()).write(log.slice(0, 1))
  expect(await statuses()).toEqual([])
})

test('two writers at once agree about rows that move between their partitions', async () => {
  const [left, right] = [await opened(), await opened()]
  const moving = Array.from({ length: 300 }, (_, n) => dpsReport(n))
  const insert = (partition: number, op: 'c' | 'r', lsn: number) => (row: EntityRow, n: number) =>
    changeOf({ offset: partition * 1000 + lsn * 1000 + n, lsn: lsn + n, partition, op, ordinal: 2 }, row)
  const shuffledRows = moving.toSorted((a, b) => (a.id.slice(-2) < b.id.slice(-2) ? -1 : 1))
  for (let round = 0; round < 5; round++) {
    const base = 10_000 * (round + 1)
    await Promise.all([
      left.write(moving.map((row, n) => changeOf({ offset: base + n, lsn: base + 2000 + n, op: 'd' }, row))),
      right.write(shuffledRows.map(insert(1, 'r', base))),
    ])
    expect(await statuses(), 'an older state, then the delete').toEqual([])
  }
})

test('a store of another writer, layout or contract is left alone', async () => {
  await database.query('CREATE SCHEMA prisons; CREATE TABLE prisons.incidents_report (id int)')
  await expect(opened()).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
  await database.query('DROP SCHEMA prisons CASCADE; CREATE SCHEMA prisons; CREATE TABLE prisons.other (id int)')
  await opened()
  await database.query('UPDATE prisons.incidents_layout SET version = 0')
  await expect(opened()).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
  await database.query(`UPDATE prisons.incidents_layout SET version = 3, contract = 'another'`)
  await expect(opened()).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
})

test('writers that open a new database at once all get the one store', async () => {
  const stores = await Promise.all([opened(), opened(), opened()])
  expect(stores).toHaveLength(3)
})

describe('what the database refuses has a code, and no cell', () => {
  test('a server that does not answer', async () => {
    const url = new URL(database.url)
    url.port = '1'
    const error = await opened(url.href).then(
      () => null,
      (failure: PipelineError) => failure,
    )
    expect(error?.code).toBe('SINK')
    expect(error?.message).not.toContain(url.password)
  })

  test('a server that takes reads only', async () => {
    await opened()
    await database.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`)
    await expect(opened()).rejects.toMatchObject({
      code: 'SINK',
      message: expect.stringContaining('reads only') as string,
    })
  })

  test('a full disk', async () => {
    const sink = await opened()
    await database.query(`
      CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON prisons.incidents_report EXECUTE FUNCTION full_disk()`)
    await expect(sink.write([changeOf({ offset: 0, lsn: 8 }, dpsReport(1))])).rejects.toMatchObject({
      code: 'DISK_FULL',
    })
  })

  test('a value that a column does not take', async () => {
    const sink = await opened()
    const wrong = dpsReport(1, { followUpDate: 'secret cell' })
    const error = await sink.write([changeOf({ offset: 0, lsn: 8 }, wrong)]).then(
      () => null,
      (failure: PipelineError) => failure,
    )
    expect(error?.code).toBe('SINK')
    expect(`${error?.message} ${error?.remedy} ${JSON.stringify(error)}`).not.toContain('secret cell')
  })
})

test('after a lost connection nothing is half there, and the next sink reads on from its place', async () => {
  const sink = await opened()
  const change = (n: number, last = true) => changeOf({ offset: n, lsn: 8 + n, last }, dpsReport(n))
  await sink.write([change(0)])
  await sink.write([change(1, false)])
  await database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'incidents operational'`,
  )
  await expect(sink.write([change(2)])).rejects.toMatchObject({ code: 'SINK' })
  await expect(sink.write([change(2)]), 'the lost piece must not be skipped').rejects.toMatchObject({ code: 'SINK' })
  const next = await opened()
  expect((await next.places([0])).get(0)).toEqual({ next: 1, height: position(1, 8, 1) })
  await next.write([change(1), change(2)])
  expect((await statuses()).map((row) => row['id'])).toEqual([uuid(0), uuid(1), uuid(2)])
})

test('pieces of one partition stay when another is read again', async () => {
  const sink = await opened()
  const piece = (partition: number, n: number, last: boolean) =>
    changeOf({ offset: n, lsn: 8, ordinal: n + 1, partition, last }, dpsReport(partition * 10 + n))
  await sink.write([piece(0, 0, false), piece(1, 0, false)])
  expect(await sink.places([1])).toEqual(new Map())
  await sink.write([piece(0, 1, true)])
  expect(
    (await statuses()).map((row) => row['id']),
    'nothing of partition 1',
  ).toEqual([uuid(0), uuid(1)])
  await sink.write([piece(1, 0, false), piece(1, 1, true)])
  expect(await statuses()).toHaveLength(4)
})
