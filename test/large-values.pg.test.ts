import { afterEach, beforeEach, test } from 'vitest'
import { parseConfig } from '../config.ts'
import { logger, metrics } from '../observability.ts'
import { embeddedRuntime } from '../runtime.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { expectLargeValues } from './support/large-values.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
})

afterEach(async () => {
  await database.drop()
  await directory.remove()
})

test(
  'a value of 16 MiB passes through every place; one of 17 leaves a letter, and everything is equal once it is mended',
  { timeout: 600_000 },
  async () => {
    const config = parseConfig({ ...environmentOf(database, directory.path, 0), LOG_LEVEL: 'silent' })
    const runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
    try {
      await expectLargeValues(runtime, database)
    } finally {
      await runtime.transport.close()
    }
  },
)
