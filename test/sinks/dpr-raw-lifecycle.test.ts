/** The states of a reload: full load, stopped after it, held, changes (rules dpr.reload, dpr.statistics). */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { change, filesOf, marker, openDprRaw, rawZone } from '../support/dpr-raw.ts'
import { sourceRow } from '../support/source-rows.ts'

const QUESTIONS = 'incidentreporting/question'
const row = (id: number) => sourceRow('public.question', { id })

interface Statistics {
  readonly state: string
  readonly event: string | null
  readonly tables: readonly Record<string, unknown>[]
}

const toldIn = (zone: string): Statistics =>
  JSON.parse(readFileSync(join(zone, 'manifest/statistics.json'), 'utf8')) as Statistics

function hold(zone: string, name: string): () => void {
  mkdirSync(join(zone, 'control'), { recursive: true })
  writeFileSync(join(zone, 'control', name), '')
  return () => rmSync(join(zone, 'control', name))
}

test('with control/hold-after-load nothing but load files is written until the file has gone', async () => {
  const zone = rawZone()
  const release = hold(zone, 'hold-after-load')
  const sink = await openDprRaw(zone, { lookMs: 10 })
  await sink.places([0, 1])
  await sink.write([
    change({ offset: 0, lsn: 900, op: 'r', after: row(1) }),
    marker({ offset: 1, lsn: 950 }),
    change({ offset: 2, lsn: 2000, after: row(2) }),
  ])
  expect(filesOf(zone, QUESTIONS)).toEqual(['LOAD00000001.parquet'])
  expect(toldIn(zone)).toMatchObject({ state: 'full-load', event: null })
  const written = sink.write([
    change({ offset: 0, lsn: 900, op: 'r', partition: 1, after: row(3) }),
    marker({ offset: 1, lsn: 950, partition: 1 }),
    change({ offset: 2, lsn: 3000, partition: 1, before: row(3), after: row(3) }),
  ])
  await expect.poll(() => toldIn(zone).state).toBe('stopped-after-load')
  await sleep(100)
  expect(filesOf(zone, QUESTIONS)).toEqual(['LOAD00000001.parquet', 'LOAD00000002.parquet'])
  expect(toldIn(zone)).toMatchObject({ event: 'DMS-EVENT-0079' })
  expect(toldIn(zone).tables).toContainEqual(
    expect.objectContaining({ SchemaName: 'incidentreporting', TableName: 'question', FullLoadRows: 2, Inserts: 0 }),
  )
  release()
  await written
  expect(filesOf(zone, QUESTIONS)).toHaveLength(3)
  expect(toldIn(zone)).toMatchObject({ state: 'cdc', event: null })
  expect(toldIn(zone).tables).toContainEqual({
    SchemaName: 'incidentreporting',
    TableName: 'question',
    FullLoadRows: 2,
    Inserts: 1,
    Updates: 1,
    Deletes: 0,
    AppliedInserts: 1,
    AppliedUpdates: 1,
    AppliedDeletes: 0,
  })
})

test('with control/hold nothing is written; a sink that is closed meanwhile goes on behind its last flush', async () => {
  const zone = rawZone()
  const sink = await openDprRaw(zone, { lookMs: 10 })
  await sink.write([marker({ offset: 0, lsn: 100 })])
  const release = hold(zone, 'hold')
  const items = [change({ offset: 1, lsn: 1000, after: row(1) })]
  const written = sink.write(items)
  const refused = written.catch((error: unknown) => error)
  await expect.poll(() => toldIn(zone).state).toBe('held')
  expect(filesOf(zone, QUESTIONS)).toEqual([])
  await sink.close()
  expect(await refused).toMatchObject({ code: 'SINK', message: expect.stringContaining('control/hold') })
  release()
  const again = await openDprRaw(zone)
  expect((await again.places([0])).get(0)?.next).toBe(1)
  await again.write(items)
  expect(filesOf(zone, QUESTIONS)).toHaveLength(1)
})
