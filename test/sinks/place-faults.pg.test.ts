/** Analytics and DPR's raw zone, in a folder and in a bucket, whose places are not as they should be: as operational-faults. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../config.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import { prove } from '../../proof/proof.ts'
import type { SinkName } from '../../sinks/names.ts'
import { openStorage } from '../../sinks/dpr-raw-storage.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { topics } from '../../transport/topics.ts'
import { mirrored } from '../support/dpr-raw.ts'
import { expectHeldUpAlone } from '../support/held-up.ts'
import { s3Gate, type S3Gate } from '../support/s3-gate.ts'
import { startS3 } from '../support/s3.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'
import { remount, smallDisk, type SmallDisk } from '../support/small-disk.ts'

const s3 = await startS3()

let settled: Settled
let disk: SmallDisk
let gate: S3Gate | null = null
let zone = ''
let seed = 300

beforeAll(async () => {
  settled = await settledPipeline({ seed: 43, reports: 5, transactions: 10 })
  disk = await smallDisk(96 << 20)
  if (s3 === null) return
  gate = await s3Gate(s3.endpoint)
  zone = `s3://${await s3.bucket()}`
  process.env['AWS_ENDPOINT_URL_S3'] = gate.endpoint
})

afterAll(async () => {
  await settled.close()
  await disk.remove()
  gate?.close()
  await s3?.stop()
})

afterEach(() => gate?.open())

type Fault = readonly [name: string, reason: RegExp | null, breakIt: () => Promise<() => unknown>]

const full = (): Fault => [
  'full',
  /DISK_FULL: No space is left/,
  async () => {
    disk.fill(0)
    return () => disk.makeRoom()
  },
]
const readOnly = (): Fault => [
  'read-only',
  /SINK: .*cannot be (used|written)/,
  async () => {
    remount(disk, 'ro')
    return () => remount(disk, 'rw')
  },
]
/** Away while the sink is broken, and there again when it is mended. */
async function aside(path: string, meanwhile: () => unknown): Promise<() => unknown> {
  renameSync(path, `${path}-aside`)
  await meanwhile()
  return () => {
    rmSync(path, { recursive: true, force: true })
    renameSync(`${path}-aside`, path)
  }
}

describe('an analytics directory', () => {
  const directory = (): string => join(disk.path, 'analytics')
  const inStore = (sql: string): Promise<(readonly unknown[])[]> =>
    onDuckDb(join(directory(), 'store.duckdb'), {}, async (connection) =>
      (await connection.runAndReadAll(sql)).getRows(),
    )

  heldUp('analytics', () => ({ ANALYTICS_DIR: directory() }), [
    full(),
    readOnly(),
    [
      'of somebody else',
      /SINK_FOREIGN: .*tables that this pipeline did not make/,
      () =>
        aside(directory(), async () => {
          await mkdir(directory())
          await inStore('CREATE TABLE theirs AS SELECT 1 AS id')
        }),
    ],
    [
      'of an older layout',
      /SINK_FOREIGN: .*its layout is 0/,
      async () => {
        const [row] = await inStore('SELECT version FROM layout')
        await inStore('UPDATE layout SET version = 0')
        return () => inStore(`UPDATE layout SET version = ${String(row![0])}`)
      },
    ],
  ])
})

describe("DPR's raw zone in a folder", () => {
  const directory = (): string => join(disk.path, 'dpr')
  const entries = (): string => join(directory(), 'manifest/entries')

  heldUp('dpr-raw', () => ({ DPR_DIR: directory() }), [
    full(),
    readOnly(),
    [
      'that is held, which is to be slow without end',
      null,
      async () => {
        await mkdir(join(directory(), 'control'), { recursive: true })
        writeFileSync(join(directory(), 'control/hold'), '')
        return () => rmSync(join(directory(), 'control/hold'))
      },
    ],
    [
      'of somebody else',
      /SINK_FOREIGN: .*files that no manifest knows/,
      () => aside(join(directory(), 'manifest'), () => {}),
    ],
    [
      'of another layout',
      /STATE_VERSION: The manifest in .* was written by a newer version/,
      async () => {
        const last = join(entries(), readdirSync(entries()).sort().at(-1)!)
        const text = readFileSync(last, 'utf8')
        writeFileSync(last, JSON.stringify({ ...(JSON.parse(text) as object), version: 2 }))
        return () => writeFileSync(last, text)
      },
    ],
  ])
})

describe.skipIf(s3 === null)("DPR's raw zone in a bucket", () => {
  /** Fewer flushes: each is some fifty requests. */
  const DPR_FLUSH_MS = 2_000
  const location = (): string => `${zone}/zone`
  const refusing = (status: number, code: string) => async () => {
    gate!.refuseWrites(status, code)
    return () => gate!.open()
  }

  heldUp('dpr-raw', () => ({ DPR_DIR: location(), DPR_FLUSH_MS }), [
    ['full', /DISK_FULL: No space is left/, refusing(507, 'XMinioStorageFull')],
    ['read-only', /SINK: .* cannot be written: AccessDenied/, refusing(403, 'AccessDenied')],
    [
      'slow',
      null,
      async () => {
        s3!.pause()
        return () => s3!.resume()
      },
    ],
    [
      'of another layout',
      /STATE_VERSION/,
      async () => {
        const storage = openStorage(location())
        const path = `manifest/entries/${(await storage.list('manifest/entries')).at(-1)!}`
        const text = (await storage.readText(path))!
        await storage.replaceText(path, JSON.stringify({ ...(JSON.parse(text) as object), version: 2 }))
        return async () => {
          await storage.replaceText(path, text)
          await storage.close()
        }
      },
    ],
  ])

  test('of somebody else stops that sink alone, and begins when their file has gone', async () => {
    const theirs = openStorage(`${zone}/theirs`)
    await expectHeldUpAlone({
      settled,
      sink: 'dpr-raw',
      seed: seed++,
      given: { DPR_DIR: theirs.location, DPR_FLUSH_MS },
      reason: /SINK_FOREIGN: .*files that no manifest knows/,
      breakIt: async () => {
        await theirs.createText('raw/nomis/offenders/LOAD00000001.parquet', 'theirs')
        return () => theirs.remove(['raw/nomis/offenders/LOAD00000001.parquet'])
      },
    })
    await expectWhole({ DPR_DIR: theirs.location })
    await theirs.close()
  })
})

/** One run before the first fault makes the place; each fault begins where the one before ended. */
function heldUp(sink: SinkName, given: () => Partial<Config>, faults: readonly Fault[]): void {
  beforeAll(async () => settled.run(5, given()))

  test.for(faults)(
    '%s holds up its own sink alone, status says how far it is behind, and nothing is missed or doubled when it is mended',
    async ([, reason, breakIt]) => {
      await expectHeldUpAlone({ settled, sink, seed: seed++, given: given(), reason, breakIt })
      await expectWhole(given())
    },
  )
}

async function expectWhole(given: Partial<Config>): Promise<void> {
  const { runtime, database, config: own } = settled
  const config = { ...own, ...given }
  const proof = await prove({
    ...runtime,
    databaseUrl: database.url,
    publication: database.name,
    namespace: config.NAMESPACE,
    pseudonymKey: config.PSEUDONYM_KEY!,
    unified: await runtime.transport.topic(topics(config.NAMESPACE).unified),
    dprDirectory: config.DPR_DIR!,
    operationalUrl: database.url,
    analyticsDirectory: config.ANALYTICS_DIR!,
  })
  expect(proof.places.filter((each) => each.differing > 0)).toEqual([])
  expect((await verifyDpr(await mirrored(config.DPR_DIR!))).flatMap(({ findings }) => findings)).toEqual([])
}
