import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { kafkaRuntime } from '../runtime.ts'
import { runTransactions, seedReports, type Transaction } from '../workload/load.ts'
import { freePort } from '../workload/postgres.ts'
import { random } from '../workload/random.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { startAudit } from './support/event-audit.ts'
import { everyEvent, expectAudited, untilRead } from './support/events.ts'
import { describeKafka, needKafka } from './support/kafka.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'
import { startStage, type StageProcess } from './support/processes.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let pool: pg.Pool
const toClose: (() => Promise<unknown>)[] = []

describeKafka('domain events on Kafka', () => {
  beforeEach(async () => {
    database = await testDatabase()
    directory = await temporaryDirectory()
    pool = new pg.Pool({ connectionString: database.url, max: 1 })
    await initSource(database.url, { publication: database.name })
    const client = await pool.connect()
    await seedReports(client, { seed: 1, reports: 60 })
    client.release()
    await startAudit(database)
  })

  afterEach(async () => {
    for (const close of toClose.splice(0).reverse()) await close()
    await pool.end()
    await database.drop()
    await directory.remove()
  })

  test('are neither lost nor doubled when capture and unify are killed again and again', async () => {
    const { brokers, registryUrl } = needKafka()
    const environment = {
      ...environmentOf(database, directory.path, await freePort()),
      KAFKA_BROKERS: brokers.join(','),
      SCHEMA_REGISTRY_URL: registryUrl,
    }
    const stages = ['capture', 'unify'].map((name) => startStage(name, [name], environment))
    toClose.push(() => Promise.all(stages.map((stage) => stage.stop())))
    const config = parseConfig(environment)
    const runtime = await kafkaRuntime({ config, log: logger('silent'), metrics: metrics() })
    toClose.push(() => runtime.transport.close())
    await untilRead(runtime, database, ['unify'])

    const transactions = 3000
    const chance = random(7, 'kills')
    const moments = new Map<number, StageProcess>()
    for (const stage of stages) for (let i = 0; i < 3; i++) moments.set(chance.int(1, transactions - 1), stage)
    const crashes: Promise<void>[] = []
    const onTransaction = ({ index }: Transaction): void => {
      const stage = moments.get(index)
      if (stage !== undefined) crashes.push(stage.crash())
    }
    await runTransactions(pool, { seed: 7, transactions, onTransaction })
    await Promise.all(crashes)
    await untilRead(runtime, database, ['unify'])
    const codes = await Promise.all(stages.map((stage) => stage.stop()))
    expect(codes, stages.map((stage) => stage.log()).join('\n')).toEqual([0, 0])
    await expectAudited(database, await everyEvent(runtime))
  }, 300_000)
})
