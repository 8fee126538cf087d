import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { testDatabase } from '../support/postgres.ts'
import { startS3 } from '../support/s3.ts'

const s3 = await startS3()
afterAll(() => s3?.stop())

test.skipIf(s3 === null)(
  'a run with its raw zone in a bucket, killed in its midst, ends with every place as the source; DPR takes all of it',
  async () => {
    const directory = await temporaryDirectory()
    const database = await testDatabase()
    const DPR_DIR = `s3://${await s3!.bucket()}/zone`
    const environment = {
      ...environmentOf(database, directory.path, await freePort()),
      ...s3!.environment,
      DPR_DIR,
      DPR_FLUSH_MS: '300',
      LOG_LEVEL: 'info',
    }
    await initSource(database.url, { publication: database.name })
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await seedReports(client, { seed: 1, reports: 20 })
    await client.end()
    const pool = new pg.Pool({ connectionString: database.url, max: 2 })
    let command = startCommand(['run'], environment)
    try {
      await command.says(/the API listens/)
      await runTransactions(pool, { seed: 2, transactions: 150 })
      command.signal('SIGKILL')
      await command.ended
      command = startCommand(['run'], environment)
      await runTransactions(pool, { seed: 3, transactions: 150 })
      const places = await comparePlaces(environment, async () => {
        command.signal('SIGTERM')
        await command.ended
      })
      expect(places.filter((each) => each.differing > 0)).toEqual([])
      expect(places.filter((each) => each.place.startsWith('dpr-raw')).every((each) => each.rows > 0)).toBe(true)
      const { code, stdout } = await runCommand(['contracts', 'verify-dpr', DPR_DIR], environment)
      expect({ code, stdout }).toEqual({ code: EXIT.done, stdout: expect.stringContaining('incidents/report  ') })
    } finally {
      command.signal('SIGKILL')
      await command.ended
      await pool.end()
      await database.drop()
      await directory.remove()
    }
  },
)
