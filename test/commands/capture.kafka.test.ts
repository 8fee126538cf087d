import { join } from 'node:path'
import kafkajs from 'kafkajs'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { kafkaRuntime } from '../../runtime.ts'
import { compare, type Comparison } from '../../proof/compare.ts'
import { untilPassed } from '../../proof/progress.ts'
import { sourceTruth } from '../../proof/source.ts'
import { rawPlace } from '../../proof/topics.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type RunningCommand } from '../support/command.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { PATIENCE_MS } from '../support/patience.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let running: RunningCommand[]

/** The raw topic against the source, once capture has passed what the source has committed now. */
async function rawTopic(): Promise<Comparison[]> {
  const config = parseConfig(environment)
  const runtime = await kafkaRuntime({ config, log: logger('silent'), metrics: metrics() })
  try {
    const [row] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    await untilPassed(parseLsn(row!.lsn), { ...runtime, groups: [], signal: AbortSignal.timeout(PATIENCE_MS) })
    const truth = await sourceTruth(database.url, database.name, config.PSEUDONYM_KEY!)
    return compare(truth.tables, await rawPlace(runtime.raw, runtime.registry, `${database.name}.proof`))
  } finally {
    await runtime.transport.close()
  }
}

function start(stateDirectory: string): RunningCommand {
  const command = startCommand(['capture'], { ...environment, STATE_DIR: join(directory.path, stateDirectory) })
  running.push(command)
  return command
}

async function live(seed: number, transactions: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  await runTransactions(pool, { seed, transactions, rate: 100 })
  await pool.end()
}

const differing = (places: readonly Comparison[]): Comparison[] => places.filter((each) => each.differing > 0)

describeKafka('capture on Kafka', { timeout: 2 * PATIENCE_MS }, () => {
  beforeEach(async () => {
    const { brokers, registryUrl } = needKafka()
    database = await testDatabase()
    directory = await temporaryDirectory()
    running = []
    environment = {
      ...environmentOf(database, directory.path, 0),
      KAFKA_BROKERS: brokers.join(','),
      SCHEMA_REGISTRY_URL: registryUrl,
      LOG_LEVEL: 'info',
    }
    await initSource(database.url, { publication: database.name })
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await seedReports(client, { seed: 1, reports: 10 })
    await client.end()
  })

  afterEach(async () => {
    for (const command of running) command.signal('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await database.drop()
    await directory.remove()
  })

  test('without a registry ends with exit 5 and its address; with one it goes on, and nothing is missing', async () => {
    const { code, stderr } = await runCommand(['capture'], {
      ...environment,
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1',
    })
    expect(stderr).toMatch(/^REGISTRY: .*127\.0\.0\.1:1.*\n {2}\S.*$/m)
    expect(code).toBe(EXIT.target)
    start('state')
    await live(2, 100)
    expect(differing(await rawTopic())).toEqual([])
  })

  test('a second one takes over from the first, which ends with exit 4 and stays away; nothing is missing', async () => {
    const first = start('first')
    await rawTopic()
    const load = live(2, 2_000)
    const second = start('second')
    await second.says(/ending it and taking over/)
    const { code, stderr } = await first.ended
    expect(stderr).toMatch(/^SLOT_IN_USE: another process took slot t_\w+ over\n {2}Let one capture run/m)
    expect(code).toBe(EXIT.source)
    await load
    expect(differing(await rawTopic())).toEqual([])
    second.signal('SIGTERM')
    expect((await second.ended).code).toBe(EXIT.done)
  })

  test('a frozen one is replaced; what it writes when it wakes is dropped by readers, and a restart has no doubt', async () => {
    const first = start('first')
    await rawTopic()
    const load = live(2, 3_000)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    first.signal('SIGSTOP')
    const second = start('second')
    await second.says(/ending it and taking over/)
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    first.signal('SIGCONT')
    expect((await first.ended).code).toBe(EXIT.source)
    second.signal('SIGKILL')
    await second.ended
    start('second')
    await load
    expect(differing(await rawTopic())).toEqual([])
  })

  test('a raw topic that was recreated or widened stops it; adopted, it goes on, and nothing differs', async () => {
    const admin = new kafkajs.Kafka({ brokers: [...needKafka().brokers], logLevel: 0 }).admin()
    await admin.connect()
    const topic = `${database.name}.raw`
    async function follows(seed: number): Promise<void> {
      const command = start('state')
      await live(seed, 50)
      expect(differing(await rawTopic())).toEqual([])
      command.signal('SIGTERM')
      expect((await command.ended).code).toBe(EXIT.done)
    }
    async function adopted(says: RegExp, epoch: number): Promise<void> {
      const own = { ...environment, STATE_DIR: join(directory.path, 'state') }
      const refused = await runCommand(['capture'], own)
      expect(refused.stderr).toMatch(says)
      expect(refused.stderr).toContain('`incidents source adopt`')
      expect(refused.code).toBe(EXIT.doubt)
      expect(JSON.parse((await runCommand(['source', 'adopt', '--json'], own)).stdout)).toEqual({ epoch })
    }
    try {
      await follows(2)
      await admin.deleteTopics({ topics: [topic] })
      await expect.poll(async () => (await admin.listTopics()).includes(topic)).toBe(false)
      await adopted(/^IDENTITY: .*it was shortened or recreated/m, 2)
      await follows(3)
      await admin.createPartitions({ topicPartitions: [{ topic, count: 8 }] })
      const six = await runCommand(['capture'], environment)
      expect(six.stderr).toMatch(/^TOPIC: .*has 8 partitions, not 6.*\n.*KAFKA_PARTITIONS=8/m)
      expect(six.code).toBe(EXIT.target)
      environment['KAFKA_PARTITIONS'] = '8'
      await adopted(/^IDENTITY: the raw topic has 8 partitions, and had 6/m, 3)
      await follows(4)
    } finally {
      await admin.disconnect()
    }
  })
})
