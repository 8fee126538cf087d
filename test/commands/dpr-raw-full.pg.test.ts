import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import type { Status } from '../../proof/status.ts'
import { verifyDpr } from '../../proof/dpr-verify.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { testDatabase } from '../support/postgres.ts'
import { smallDisk } from '../support/small-disk.ts'

test("a full disk of DPR's raw zone holds up that sink alone; status says how far it is behind; with room it catches up", async () => {
  const disk = await smallDisk(64 << 20)
  const elsewhere = await temporaryDirectory()
  const database = await testDatabase()
  const environment = {
    ...environmentOf(database, elsewhere.path, await freePort()),
    DPR_DIR: join(disk.path, 'dpr'),
    DPR_FLUSH_MS: '500',
    LOG_LEVEL: 'info',
  }
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 20 })
  await client.end()
  const command = startCommand(['run'], environment)
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  try {
    await command.says(/the API listens/)
    await sleep(16_000) // until it counts as one that has worked
    disk.fill(0)
    await runTransactions(pool, { seed: 2, transactions: 200 })
    await command.says(/"stage":"dpr-raw"[^\n]*"code":"DISK_FULL"/)
    await expect
      .poll(() => behind(environment), { timeout: 60_000, interval: 1_000 })
      .toEqual({
        'dpr-raw': expect.toSatisfy((records: number) => records > 200),
        operational: expect.toSatisfy((records: number) => records < 20),
        analytics: expect.toSatisfy((records: number) => records < 20),
      })
    disk.makeRoom()
    const places = await comparePlaces(environment, async () => {
      command.signal('SIGTERM')
      await command.ended
    })
    expect(places.filter((each) => each.differing > 0)).toEqual([])
    expect((await command.ended).code).toBe(EXIT.done)
    const verdicts = await verifyDpr(environment.DPR_DIR)
    expect(verdicts.flatMap(({ table, findings }) => findings.map((each) => ({ table, ...each })))).toEqual([])
  } finally {
    command.signal('SIGKILL')
    await command.ended
    await pool.end()
    await database.drop()
    await elsewhere.remove()
    await disk.remove()
  }
})

async function behind(environment: Record<string, string>): Promise<Record<string, number>> {
  const { stdout } = await runCommand(['status', '--json'], environment)
  const { readers } = JSON.parse(stdout) as Status
  return Object.fromEntries(
    readers.filter(({ name }) => name !== 'unify').map(({ name, behindRecords }) => [name, behindRecords]),
  )
}
