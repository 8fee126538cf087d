/** A crash between any two steps of a flush loses no row and writes none twice (rule dpr.once). */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { IncidentChange } from '../../core/incident.ts'
import type { DprRawSink } from '../../sinks/dpr-raw.ts'
import type { Step } from '../../sinks/dpr-raw-manifest.ts'
import { change, filesOf, marker, mirrored, openDprRaw, rawZone, rowsOf } from '../support/dpr-raw.ts'
import { startS3 } from '../support/s3.ts'
import { sourceRow } from '../support/source-rows.ts'

const s3 = await startS3()
const bucket = s3 === null ? '' : await s3.bucket()
afterAll(() => s3?.stop())

const PLACES = [
  ['a folder', false, rawZone],
  ['a bucket', s3 === null, () => `s3://${bucket}/zones/${randomUUID()}`],
] as const

const FOLDERS = ['incidentreporting/question', 'incidents/question', 'incidentreporting/response', 'incidents/response']

const question = (id: number) => sourceRow('public.question', { id })
const response = (id: number) => sourceRow('public.response', { id })

/** Two partitions; each inner list is what one flush is given. */
const FLUSHES: IncidentChange[][] = [
  [
    change({ offset: 0, lsn: 900, op: 'r', after: question(1) }),
    change({ offset: 0, lsn: 900, op: 'r', partition: 1, table: 'public.response', after: response(1) }),
    marker({ offset: 1, lsn: 1000 }),
    marker({ offset: 1, lsn: 1000, partition: 1 }),
  ],
  [
    change({ offset: 2, lsn: 2000, after: question(2) }),
    change({ offset: 3, lsn: 3000, before: question(1), after: question(1) }),
    change({ offset: 2, lsn: 2500, partition: 1, table: 'public.response', after: response(2) }),
  ],
  [
    change({ offset: 4, lsn: 4000, before: question(1) }),
    change({ offset: 3, lsn: 4500, partition: 1, table: 'public.response', before: response(1) }),
  ],
]

const OPS = { question: ['I', 'I', 'U', 'D'], response: ['I', 'I', 'D'] }

/** Which call of which step fails: the third flush, and the first, which publishes load files. */
const CRASHES: [flush: number, step: Step, call: number][] = [0, 2].flatMap((flush) => [
  [flush, 'staged', 1],
  [flush, 'entered', 1],
  ...[1, 2, 3, 4, 5].map((call): [number, Step, number] => [flush, 'linked', call]),
  [flush, 'published', 1],
]) as [number, Step, number][]

describe.for(PLACES)('in %s', ([, missing, newZone]) => {
  test.skipIf(missing).each(CRASHES)('in flush %i, at step %s %i', async (flush, step, call) => {
    const zone = newZone()
    let at = -1
    let calls = 0
    const crashing = await openDprRaw(zone, {
      onStep: (now) => {
        if (at === flush && now === step && ++calls === call) throw new Error('killed')
      },
    })
    await expect(
      (async () => {
        for (const items of FLUSHES) {
          at += 1
          await crashing.write(items)
        }
      })(),
    ).rejects.toMatchObject({ code: 'SINK' })
    await crashing.close()

    const restarted = await openDprRaw(zone)
    await replay(restarted)
    await expectOnce(zone, restarted)
  })

  test.skipIf(missing)(
    'a second writer that starts while a flush is open completes it, and the first goes no further',
    async () => {
      const zone = newZone()
      const older = await openDprRaw(zone, { onStep: (step) => step === 'entered' && failing() })
      await expect(older.write(FLUSHES[0]!)).rejects.toMatchObject({ code: 'SINK' })
      const newer = await openDprRaw(zone)
      const copy = await mirrored(zone)
      for (const folder of FOLDERS) expect(filesOf(copy, folder)).toEqual(['LOAD00000001.parquet'])
      await replay(newer)
      await expectOnce(zone, newer)
    },
  )
})

test('a file that was published, taken away by DPR, and is in no staging folder any more is not published again', async () => {
  const zone = rawZone()
  const crashing = await openDprRaw(zone, {
    onStep: (step) => {
      if (step !== 'published') return
      const staging = join(zone, 'manifest/staging', readdirSync(join(zone, 'manifest/staging'))[0]!)
      rmSync(join(staging, 'incidentreporting.question.LOAD00000001.parquet'))
      rmSync(join(zone, 'raw/incidentreporting/question/LOAD00000001.parquet'))
      throw new Error('killed while its staging folder went')
    },
  })
  await expect(crashing.write(FLUSHES[0]!)).rejects.toMatchObject({ code: 'SINK' })
  await replay(await openDprRaw(zone))
  expect(filesOf(zone, 'incidentreporting/question').filter((name) => name.startsWith('LOAD'))).toEqual([])
  expect(filesOf(zone, 'incidentreporting/response')).toHaveLength(3)
})

test('nothing that was staged stays behind', async () => {
  const zone = rawZone()
  const crashing = await openDprRaw(zone, { onStep: () => failing() })
  await expect(crashing.write(FLUSHES[0]!)).rejects.toMatchObject({ code: 'SINK' })
  expect(readdirSync(join(zone, 'manifest/staging'))).toHaveLength(1)
  await crashing.close()
  await openDprRaw(zone)
  expect(existsSync(join(zone, 'manifest/staging'))).toBe(false)
})

test('a file of another hand is never overwritten', async () => {
  const zone = rawZone()
  const time = Date.UTC(2024, 4, 6, 12)
  const sink = await openDprRaw(zone, { now: () => time })
  await sink.write(FLUSHES[0]!)
  const foreign = join(zone, 'raw/incidentreporting/question/20240506-120000000.parquet')
  writeFileSync(foreign, 'foreign')
  await expect(sink.write(FLUSHES[1]!)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
  expect(readFileSync(foreign, 'utf8')).toBe('foreign')
})

async function replay(sink: DprRawSink): Promise<void> {
  const places = await sink.places([0, 1])
  for (const items of FLUSHES) {
    await sink.write(items.filter(({ change: { offset, partition } }) => offset >= (places.get(partition)?.next ?? 0)))
  }
}

async function expectOnce(zone: string, sink: DprRawSink): Promise<void> {
  const copy = await mirrored(zone)
  for (const folder of FOLDERS) {
    const rows = await rowsOf(copy, folder, '"Op"')
    expect(rows.map((row) => row['Op'])).toEqual(OPS[folder.split('/')[1] as keyof typeof OPS])
    const { fullLoadRows, inserts, updates, deletes } = sink.statistics().get(folder)!
    expect(fullLoadRows + inserts + updates + deletes).toBe(rows.length)
    expect(filesOf(copy, folder)).toHaveLength(3)
  }
}

function failing(): never {
  throw new Error('killed')
}
