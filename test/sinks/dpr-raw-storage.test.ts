/** The raw zone in a folder and in a bucket: one contract, and the same files out of the same changes. */
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, describe, expect, test } from 'vitest'
import { bucketStorage } from '../../sinks/dpr-raw-storage-s3.ts'
import { readDprTable } from '../../sinks/dpr-raw-fold.ts'
import { storageContract } from '../contract/dpr-storage.ts'
import { change, filesOf, marker, mirrored, openDprRaw, rawZone, rowsOf } from '../support/dpr-raw.ts'
import { startS3 } from '../support/s3.ts'
import { sourceRow } from '../support/source-rows.ts'

const s3 = await startS3()
const bucket = s3 === null ? '' : await s3.bucket()
afterAll(() => s3?.stop())

const row = (id: number) => sourceRow('public.question', { id })
const QUESTIONS = 'incidentreporting/question'

describe('in a folder', () => {
  storageContract(async () => rawZone())
})

describe.skipIf(s3 === null)('in a bucket', () => {
  const newPlace = (): string => `s3://${bucket}/zones/${randomUUID()}`
  storageContract(async () => newPlace())

  test('the same changes make the same files as in a folder, and both fold to the same rows', async () => {
    const places = [rawZone(), newPlace()]
    const [folder, remote] = await Promise.all(
      places.map(async (place) => {
        const sink = await openDprRaw(place, { now: () => Date.UTC(2024, 4, 6, 12) })
        await sink.write([change({ offset: 0, lsn: 900, op: 'r', after: row(1) })])
        await sink.write([change({ offset: 1, lsn: 900, op: 'r', after: row(1) }), marker({ offset: 2, lsn: 950 })])
        await sink.write([change({ offset: 3, lsn: 2000, before: row(1), after: row(1) })])
        await sink.write([
          change({ offset: 4, lsn: 3000, after: row(2) }),
          change({ offset: 5, lsn: 4000, before: row(1) }),
        ])
        await sink.close()
        return { copy: await mirrored(place), rows: await readDprTable(place, 'incidentreporting', 'question') }
      }),
    )
    expect(remote!.rows).toEqual(folder!.rows)
    expect(filesOf(remote!.copy, '')).toEqual(filesOf(folder!.copy, ''))
    expect(filesOf(remote!.copy, QUESTIONS)).toEqual(filesOf(folder!.copy, QUESTIONS))
    expect(await rowsOf(remote!.copy, QUESTIONS)).toEqual(await rowsOf(folder!.copy, QUESTIONS))
  })

  test.each(['s3://dpr-raw-2/zone', 's3://dpr.raw/zone', 's3://'])(
    '%s has a name that DPR cannot read (rule dpr.names)',
    (location) => {
      expect(() => bucketStorage(location)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
    },
  )

  test('a bucket that does not exist is SINK, and names what S3 said', async () => {
    await expect(openDprRaw('s3://nobody-made-this/zone')).rejects.toMatchObject({
      code: 'SINK',
      message: expect.stringMatching(/s3:\/\/nobody-made-this\/zone cannot be written: NoSuchBucket/),
    })
  })

  test('its copies on this machine go when it is closed', async () => {
    const sink = await openDprRaw(newPlace())
    const own = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`incidents-dpr-of-${process.pid}-`))
    const before = own().length
    await sink.close()
    expect(own().length).toBe(before - 1)
  })

  test('a bucket that does not answer for a while is waited for, and nothing is lost or doubled', async () => {
    const place = newPlace()
    const sink = await openDprRaw(place)
    s3!.pause()
    setTimeout(() => s3!.resume(), 2_000)
    await sink.write([change({ offset: 0, lsn: 1000, after: row(1) })])
    await sink.write([change({ offset: 1, lsn: 2000, after: row(2) })])
    expect(await rowsOf(await mirrored(place), QUESTIONS, '"Op", id')).toEqual([
      { Op: 'I', id: 1 },
      { Op: 'I', id: 2 },
    ])
  })
})
