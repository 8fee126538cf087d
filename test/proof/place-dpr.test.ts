/** Which files of DPR's zone a row that is looked at again needs, once all have been read. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { ENTITIES } from '../../core/incident.ts'
import { dprEntitiesProof } from '../../proof/place-dpr.ts'
import type { ProvenPlace } from '../../proof/proven-place.ts'
import { openScratch, type Scratch } from '../../proof/scratch.ts'
import { projections } from '../../schemas/policy/projection.ts'
import { openZone } from '../../sinks/dpr-raw-zone.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { rawZone } from '../support/dpr-raw.ts'

const PROJECTIONS = projections('dpr-raw', 'a key for tests')
const { table, fields } = PROJECTIONS.Report
const KIND = ENTITIES.indexOf('Report')
const LAST = fields.at(-1)!.column
const TYPES: Readonly<Record<string, string>> = {
  timestamp: 'TIMESTAMPTZ',
  localTimestamp: 'TIMESTAMPTZ',
  date: 'DATE',
  int: 'INTEGER',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
}

const scratches: Scratch[] = []
afterEach(() => {
  for (const scratch of scratches.splice(0)) scratch.close()
})

async function placeOf(zone: string): Promise<ProvenPlace> {
  const scratch = await openScratch()
  scratches.push(scratch)
  const options = { scratch, passed: async () => true, zone: openZone({ zone, archive: null }) }
  const place = await dprEntitiesProof(PROJECTIONS, options)
  await place.store(scratch, () => {})
  return place
}

/** A file of one report, or of its delete; `lacks` a column that came later. */
async function file(
  zone: string,
  name: string,
  id: string,
  lsn: number,
  { op = 'U', lacks = '' } = {},
): Promise<string> {
  const path = join(zone, 'raw', 'incidents', table, name)
  mkdirSync(join(path, '..'), { recursive: true })
  const columns = fields
    .filter(({ column }) => column !== lacks)
    .map(
      ({ column, type }) =>
        `CAST(${column === 'id' ? `'${id}'` : 'NULL'} AS ${TYPES[type] ?? 'VARCHAR'}) AS "${column}"`,
    )
  const checkpoint = `2026010112000000${String(lsn).padStart(19, '0')}`
  await onDuckDb(':memory:', {}, (connection) =>
    connection.run(`COPY (SELECT ${columns.join(', ')}, '${op}' AS "Op", '2026-01-01 12:00:00.000000' AS _timestamp,
      '${checkpoint}' AS checkpoint_col) TO '${path}' (FORMAT parquet)`),
  )
  return path
}

async function seen(place: ProvenPlace, ...keys: string[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for await (const row of place.look(keys.map((key) => ({ kind: KIND, key })))) {
    expect(row.cells).toHaveLength(fields.length)
    found[row.key] = row.at!.lsn
  }
  return found
}

const OLD = '20260101-120000000.parquet'
const MIDDLE = '20260101-120010000.parquet'
const NEW = '20260101-120020000.parquet'
const LATER = '20260101-120030000.parquet'

test('its own, and those that came since: what else there is has nothing to say', async () => {
  const zone = rawZone()
  await file(zone, OLD, 'a', 10)
  const others = await file(zone, MIDDLE, 'b', 20)
  await file(zone, NEW, 'c', 30)
  const place = await placeOf(zone)
  writeFileSync(others, 'no parquet')
  expect(await seen(place, 'a', 'c', 'd')).toEqual({ a: 10, c: 30 })
  await file(zone, LATER, 'a', 40)
  expect(await seen(place, 'a')).toEqual({ a: 40 })
  await file(zone, '20260101-120040000.parquet', 'a', 50, { op: 'D' })
  expect(await seen(place, 'a')).toEqual({})
  await expect(seen(place, 'b')).rejects.toThrow('parquet')
})

test('also where a column came after its own', async () => {
  const zone = rawZone()
  await file(zone, OLD, 'a', 10, { lacks: LAST })
  await file(zone, MIDDLE, 'b', 20, { lacks: LAST })
  await file(zone, NEW, 'c', 30)
  expect(await seen(await placeOf(zone), 'a')).toEqual({ a: 10 })
})

test('all of them once its own has gone: an older state is then what DPR has', async () => {
  const zone = rawZone()
  await file(zone, OLD, 'a', 10)
  const own = await file(zone, MIDDLE, 'a', 20)
  await file(zone, NEW, 'c', 30)
  const place = await placeOf(zone)
  rmSync(own)
  expect(await seen(place, 'a')).toEqual({ a: 10 })
})
