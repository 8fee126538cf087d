/** A raw zone that cannot be written, or was written by another version: it stops with its reason, and nothing is lost or doubled. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { IncidentChange } from '../../core/incident.ts'
import { change, filesOf, openDprRaw, rawZone, rowsOf } from '../support/dpr-raw.ts'
import { remount, smallDisk, type SmallDisk } from '../support/small-disk.ts'
import { sourceRow } from '../support/source-rows.ts'

const QUESTIONS = 'incidentreporting/question'
const row = (id: number) => sourceRow('public.question', { id })
const items = (from: number, to: number): IncidentChange[] =>
  Array.from({ length: to - from }, (_, i) =>
    change({ offset: from + i, lsn: 1000 * (from + i + 1), after: row(from + i) }),
  )

async function disk(): Promise<SmallDisk> {
  const made = await smallDisk(24 << 20)
  onTestFinished(() => made.remove())
  return made
}

const STOPS = [
  ['full', 'DISK_FULL', (at: SmallDisk) => at.fill(0), (at: SmallDisk) => at.makeRoom()],
  // one of the flush's files fits, and nothing beside it
  ['full after a file', 'DISK_FULL', (at: SmallDisk) => at.fill(60 << 10), (at: SmallDisk) => at.makeRoom()],
  ['read-only', 'SINK', (at: SmallDisk) => remount(at, 'ro'), (at: SmallDisk) => remount(at, 'rw')],
] as const

test.each(STOPS)('%s: %s, and opened again with room it has each row once', async (_title, code, breaks, mends) => {
  const small = await disk()
  const zone = join(small.path, 'dpr')
  const sink = await openDprRaw(zone)
  await sink.write(items(0, 100))
  breaks(small)
  await expect(sink.write(items(100, 4000))).rejects.toMatchObject({ code })
  await sink.close().catch(() => {})
  await expect(openDprRaw(zone)).rejects.toMatchObject({ code })
  mends(small)
  const again = await openDprRaw(zone)
  expect((await again.places([0])).get(0)?.next).toBe(100)
  await again.write(items(100, 4000))
  const ids = (await rowsOf(zone, QUESTIONS, 'id')).map((each) => each['id'])
  expect(ids).toEqual(Array.from({ length: 4000 }, (_unused, i) => i))
  expect(readdirSync(join(zone, 'raw', QUESTIONS)).every((name) => /^\d+-\d+\.parquet$/.test(name))).toBe(true)
})

test('a manifest of a newer version is left alone', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone)
  await sink.write(items(0, 1))
  await sink.close()
  const entries = join(zone, 'manifest/entries')
  const last = join(entries, readdirSync(entries).sort().at(-1)!)
  writeFileSync(last, JSON.stringify({ ...(JSON.parse(readFileSync(last, 'utf8')) as object), version: 2 }))
  await expect(openDprRaw(zone)).rejects.toMatchObject({ code: 'STATE_VERSION' })
  expect(filesOf(zone, QUESTIONS)).toHaveLength(1)
})

test('other files beside those of the raw zone are left alone, a parquet file in it stops the start', async () => {
  const zone = rawZone()
  mkdirSync(join(zone, 'raw/incidentreporting/question'), { recursive: true })
  writeFileSync(join(zone, 'raw/README.txt'), 'theirs')
  const sink = await openDprRaw(zone)
  await sink.close()
  const other = rawZone()
  mkdirSync(join(other, 'raw/nomis/offenders'), { recursive: true })
  writeFileSync(join(other, 'raw/nomis/offenders/LOAD00000001.parquet'), 'theirs')
  await expect(openDprRaw(other)).rejects.toMatchObject({
    code: 'SINK_FOREIGN',
    message: expect.stringContaining('nomis/offenders/LOAD00000001.parquet'),
  })
})
