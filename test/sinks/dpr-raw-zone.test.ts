/** Where the files of a folder are, for readers, while DPR's jobs move them (rule dpr.archive). */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { openStorage } from '../../sinks/dpr-raw-storage.ts'
import { openZone, type Zone, type ZoneFile } from '../../sinks/dpr-raw-zone.ts'
import { rawZone } from '../support/dpr-raw.ts'
import { startS3 } from '../support/s3.ts'

const s3 = await startS3()
const bucket = s3 === null ? '' : await s3.bucket()
afterAll(() => s3?.stop())

const FOLDER = ['incidents', 'report'] as const
const LOAD = 'LOAD00000001.parquet'
const FIRST = '20260101-120000000.parquet'
const SECOND = '20260101-120010000.parquet'
const DIFFERENCE = 'part-00000-0d1e.c000.snappy.parquet'

const PLACES: [string, () => string][] = [['in folders', rawZone]]
if (s3 !== null) PLACES.push(['in buckets', () => `s3://${bucket}/${randomUUID()}`])

describe.each(PLACES)('%s', (_, newPlace) => {
  async function world(zone: Record<string, string>, archived: Record<string, string>) {
    const [raw, archive] = [openStorage(newPlace()), openStorage(newPlace())]
    for (const [name, text] of Object.entries(zone)) await raw.createText(`raw/incidents/report/${name}`, text)
    for (const [name, text] of Object.entries(archived)) await archive.createText(`incidents/report/${name}`, text)
    return {
      zone: openZone({ zone: raw.location, archive: archive.location }),
      without: openZone({ zone: raw.location, archive: null }),
      move: async (name: string) => {
        await archive.createText(`incidents/report/${name}`, (await raw.readText(`raw/incidents/report/${name}`))!)
        await raw.remove([`raw/incidents/report/${name}`])
      },
      lose: (name: string) => raw.remove([`raw/incidents/report/${name}`]),
    }
  }
  const texts = (files: readonly ZoneFile[]) =>
    Object.fromEntries(files.map(({ name, local }) => [name, readFileSync(local, 'utf8')]))
  const read = (zone: Zone) => zone.reading(...FOLDER, async (files) => texts(files))

  test('each file is read once, wherever it is; what the sink did not name counts in the archive alone', async () => {
    const { zone, without } = await world(
      { [FIRST]: 'one', [SECOND]: 'two', [DIFFERENCE]: 'not ours' },
      { [LOAD]: 'load', [FIRST]: 'one', [DIFFERENCE]: 'difference', 'notes.txt': 'no rows' },
    )
    expect(await read(zone)).toEqual({ [LOAD]: 'load', [FIRST]: 'one', [SECOND]: 'two', [DIFFERENCE]: 'difference' })
    expect(await read(without)).toEqual({ [FIRST]: 'one', [SECOND]: 'two' })
    await zone.reading(...FOLDER, async (files) => {
      expect(files.find(({ name }) => name === FIRST)!.path).toMatch(/\/raw\/incidents\/report\/\d/)
      expect(files.find(({ name }) => name === LOAD)!.path).not.toContain('/raw/')
    })
    expect(await zone.reading('incidents', 'history', async (files) => files)).toEqual([])
  })

  test('a file that moves while it is read is read where it is then', async () => {
    const { zone, move } = await world({ [LOAD]: 'load', [FIRST]: 'one' }, {})
    const seen: string[][] = []
    const found = await zone.reading(...FOLDER, async (files) => {
      seen.push(files.map(({ name }) => name))
      if (seen.length === 1) {
        await move(LOAD)
        throw new Error('cannot be opened')
      }
      return texts(files)
    })
    expect(found).toEqual({ [LOAD]: 'load', [FIRST]: 'one' })
    expect(seen).toHaveLength(2)
  })

  test('a failure is told where nothing has moved, and also where no reading ends before the next move', async () => {
    const { zone, lose } = await world({ [LOAD]: 'load' }, {})
    let tries = 0
    const failing = zone.reading(...FOLDER, async () => {
      tries += 1
      throw new Error('no parquet')
    })
    await expect(failing).rejects.toThrow('no parquet')
    expect(tries).toBe(1)
    const moving = await world(Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`2026-${n}.parquet`, 'rows'])), {})
    let left = 6
    const never = moving.zone.reading(...FOLDER, async (files) => {
      left = files.length
      await moving.lose(files[0]!.name)
      throw new Error('cannot be opened')
    })
    await expect(never).rejects.toThrow('cannot be opened')
    expect(left).toBe(2)
    await lose(LOAD)
    expect(await read(zone)).toEqual({})
  })
})
