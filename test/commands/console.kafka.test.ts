import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OPERATE_READ, OPERATE_WRITE, VIEW_REPORTS } from '../../api/roles.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { freePort } from '../../workload/postgres.ts'
import { seedReports } from '../../workload/load.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { startCommand, type RunningCommand } from '../support/command.ts'
import { shownNumbers, until } from '../support/console-demo.ts'
import { identityProvider, type IdentityProvider } from '../support/identity-provider.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { browserWithoutScreen, type Visit } from '../support/visit.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let provider: IdentityProvider
let environment: Record<string, string>
let running: RunningCommand[]

function start(command: readonly string[], own: Record<string, string> = {}): RunningCommand {
  const started = startCommand(command, { ...environment, ...own })
  running.push(started)
  return started
}

describeKafka('the console on Kafka', () => {
  beforeEach(async () => {
    const { brokers, registryUrl } = needKafka()
    database = await testDatabase()
    directory = await temporaryDirectory()
    provider = await identityProvider({
      username: 'A_PERSON',
      roles: [OPERATE_READ, OPERATE_WRITE, VIEW_REPORTS],
    })
    running = []
    const port = await freePort()
    environment = {
      ...environmentOf(database, directory.path, port),
      API_URL: `http://127.0.0.1:${port}`,
      KAFKA_BROKERS: brokers.join(','),
      KAFKA_PARTITIONS: '2',
      SCHEMA_REGISTRY_URL: registryUrl,
      JWKS_URL: provider.jwksUrl,
      LOG_LEVEL: 'warn',
    }
    await initSource(database.url, { publication: database.name })
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await seedReports(client, { seed: 1, reports: 5 })
    await client.end()
  })

  afterEach(async () => {
    for (const command of running) command.signal('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    provider?.close()
    await database?.drop()
    await directory?.remove()
  })

  test('signs in by the code flow, reads how far each group is from the brokers, and pauses a table elsewhere', async () => {
    start(['capture'])
    start(['serve'])
    const operational = start(['deliver', 'operational'])
    const [consolePort, metricsPort] = [await freePort(), await freePort()]
    const url = `http://127.0.0.1:${consolePort}`
    start(['console'], {
      STATE_DIR: join(directory.path, 'another machine'),
      CONSOLE_PORT: String(consolePort),
      CONSOLE_URL: url,
      METRICS_PORT: String(metricsPort),
      SESSION_SECRET: 'a secret of tests only, at least 32 long',
      OAUTH_AUTHORIZE_URL: provider.authorizeUrl,
      OAUTH_TOKEN_URL: provider.tokenUrl,
      OAUTH_CLIENT_ID: provider.clientId,
      OAUTH_CLIENT_SECRET: provider.clientSecret,
    })
    const person: Visit = browserWithoutScreen(url)
    const page = async (path = '/') => person.get(path).catch(() => null)
    const lag = async (): Promise<number | undefined> =>
      shownNumbers((await page())?.text ?? '').get('incidents_hop_lag_rows{hop="operational"}')

    await until(async () => (await page())?.words.includes('behind the prison system') === true)
    expect((await page())!.text).toContain('A_PERSON')
    await until(async () => (await lag()) === 0)

    operational.signal('SIGKILL')
    await operational.ended
    await database.query(`UPDATE public.report SET title = 'while nobody delivers'`)
    await until(async () => ((await lag()) ?? 0) >= 5)
    const told = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    expect(told).toMatch(/incidents_hop_lag_rows\{hop="operational"\} [1-9]/)
    start(['deliver', 'operational'])
    await until(async () => (await lag()) === 0)

    const tables = await person.get('/tables')
    expect(tables.words).toContain('Capture’s state is not on this machine')
    const asked = await person.send('/tables', { act: 'pause', table: 'public.history', reason: 'a test' }, tables)
    expect(asked.words).toContain('the tables are read no further')
    expect((await person.get('/')).words).toContain('Pause tables')
  })
})
