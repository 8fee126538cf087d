import { afterEach, beforeEach, test } from 'vitest'
import { kafkaRuntime, SINKS } from '../../pipeline.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf, expectAgreement } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStage } from '../support/processes.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>

describeKafka('the same stages as processes on Kafka', () => {
  beforeEach(async () => {
    const { brokers, registryUrl } = needKafka()
    database = await testDatabase()
    directory = await temporaryDirectory()
    environment = {
      ...environmentOf(database, directory.path, await freePort()),
      KAFKA_BROKERS: brokers.join(','),
      SCHEMA_REGISTRY_URL: registryUrl,
    }
  })

  afterEach(async () => {
    await database.drop()
    await directory.remove()
  })

  const start = () => [
    startStage('capture', ['capture'], environment),
    startStage('unify', ['unify'], environment),
    ...SINKS.map((name) => startStage(name, ['deliver', name], environment)),
    startStage('serve', ['serve'], environment),
  ]

  test('end with the source’s rows in every place', { timeout: 400_000 }, async () => {
    await expectAgreement({
      database,
      environment,
      reports: 100,
      transactions: 5000,
      seed: 1,
      kills: 0,
      start,
      open: kafkaRuntime,
    })
  })

  test('end with them too when each is killed at three random moments', { timeout: 400_000 }, async () => {
    await expectAgreement({
      database,
      environment,
      reports: 100,
      transactions: 5000,
      seed: 2,
      kills: 3,
      start,
      open: kafkaRuntime,
    })
  })

  test(
    'put rows that they cannot map into the dead letters, and go on with all others',
    { timeout: 200_000 },
    async () => {
      await expectAgreement({
        database,
        environment,
        reports: 20,
        transactions: 200,
        unknownCodes: 8,
        seed: 3,
        kills: 0,
        start,
        open: kafkaRuntime,
      })
    },
  )
})
