import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type RunningCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let running: RunningCommand | null = null
let seed = 1

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = environmentOf(database, directory.path, await freePort())
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 10 })
  await client.end()
})

afterEach(async () => {
  running?.signal('SIGKILL')
  await running?.ended
  await directory.remove()
  await database.drop()
})

/** Starts, lets transactions flow, stops, and expects every place to hold what the source holds. */
async function followsTheSource(when: string): Promise<void> {
  const command = startCommand(['run'], { ...environment, LOG_LEVEL: 'info' })
  running = command
  // what is deleted before the slot's first position stands in no topic that is new; a slot that waits for it is active
  const follows = `SELECT FROM pg_replication_slots
                   WHERE slot_name = '${database.name}' AND active AND confirmed_flush_lsn IS NOT NULL`
  await expect.poll(async () => (await database.query(follows)).length, { timeout: 60_000 }).toBe(1)
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  await runTransactions(pool, { seed: ++seed, transactions: 40 })
  await pool.end()
  let code: number | null = null
  const places = await comparePlaces(environment, async () => {
    command.signal('SIGTERM')
    code = (await command.ended).code
  }).catch((cause: unknown) => {
    throw new Error(`${when}: ${command.stderr()}`, { cause })
  })
  expect(code).toBe(EXIT.done)
  expect(places.filter(({ differing }) => differing > 0)).toEqual([])
  expect(places.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(500)
}

function inTopics(...sql: string[]): void {
  const topics = new DatabaseSync(join(directory.path, 'state', 'topics.sqlite'))
  for (const each of sql) topics.exec(each)
  topics.close()
}

const RAW = (): string => `topic = '${database.name}.raw'`

/** What happens to the topic behind the pipeline's back, and what whoever notices it first says: capture, or a reader whose place lies beyond the end. */
const DAMAGES: readonly { what: string; damage: () => void; says: RegExp }[] = [
  {
    what: 'shortened',
    damage: () =>
      inTopics(
        `DELETE FROM record WHERE id IN (SELECT id * ${2 ** 40} + next - n FROM log, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) WHERE ${RAW()})`,
        `UPDATE log SET next = next - 3 WHERE ${RAW()}`,
      ),
    says: /^IDENTITY: .*(shortened or recreated|not the topic that was read)[^\n]*\n {2}.*`incidents source adopt`/m,
  },
  {
    what: 'recreated',
    damage: () => {
      for (const suffix of ['', '-wal', '-shm'])
        rmSync(join(directory.path, 'state', `topics.sqlite${suffix}`), { force: true })
    },
    says: /^IDENTITY: .*(shortened or recreated|not the topic that was read)[^\n]*\n {2}.*`incidents source adopt`/m,
  },
  {
    what: 'widened',
    damage: () => {
      inTopics(
        `INSERT INTO log (topic, partition, next, cleaned) SELECT DISTINCT topic, p, 0, 0 FROM log, (SELECT 6 AS p UNION SELECT 7)`,
      )
      environment['KAFKA_PARTITIONS'] = '8'
    },
    says: /^IDENTITY: the raw topic has 8 partitions, and had 6: .*\n {2}.*`incidents source adopt`/m,
  },
]

test(
  'a raw topic that was shortened, recreated or widened stops the run; adopted, every place follows the source again',
  { timeout: 300_000 },
  async () => {
    await followsTheSource('at first')
    for (const [i, { what, damage, says }] of DAMAGES.entries()) {
      damage()
      const refused = await runCommand(['run'], environment)
      expect([what, refused.stderr]).toEqual([what, expect.stringMatching(says)])
      expect([what, refused.code]).toEqual([what, EXIT.doubt])
      const adopted = await runCommand(['source', 'adopt', '--json'], environment)
      expect([what, adopted.stderr, adopted.stdout]).toEqual([what, '', `{"epoch":${i + 2}}\n`])
      await followsTheSource(what)
    }
  },
)
