import { afterEach, beforeEach, describe, test } from 'vitest'
import { embeddedRuntime } from '../../pipeline.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf, expectAgreement } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStage } from '../support/processes.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = environmentOf(database, directory.path, await freePort())
})

afterEach(async () => {
  await database.drop()
  await directory.remove()
})

describe('the embedded runtime', () => {
  const start = () => [startStage('run', ['run'], environment)]

  test('ends with the source’s rows in every place', { timeout: 400_000 }, async () => {
    await expectAgreement({
      database,
      environment,
      reports: 100,
      transactions: 5000,
      seed: 1,
      kills: 0,
      start,
      open: embeddedRuntime,
    })
  })

  test('ends with them too when it is killed at three random moments', { timeout: 400_000 }, async () => {
    await expectAgreement({
      database,
      environment,
      reports: 100,
      transactions: 5000,
      seed: 2,
      kills: 3,
      start,
      open: embeddedRuntime,
    })
  })

  test('puts rows that it cannot map into the dead letters, marks their incidents, and goes on with all others', async () => {
    await expectAgreement({
      database,
      environment,
      reports: 20,
      transactions: 200,
      unknownCodes: 8,
      seed: 3,
      kills: 0,
      start,
      open: embeddedRuntime,
    })
  })
})
