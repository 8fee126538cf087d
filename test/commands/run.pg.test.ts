import { chmod } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort, startPostgres, type LocalPostgres } from '../../workload/postgres.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { runCommand, startCommand, type RunningCommand } from '../support/command.ts'
import { comparePlaces } from '../support/places.ts'
import { proxy } from '../support/proxy.ts'
import { steadyPort } from '../support/ports.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let running: RunningCommand[]

beforeEach(async () => {
  directory = await temporaryDirectory()
  await chmod(directory.path, 0o755)
  running = []
})

afterEach(async () => {
  for (const command of running) command.signal('SIGKILL')
  await Promise.all(running.map(({ ended }) => ended))
  await directory.remove()
})

function start(environment: Readonly<Record<string, string>>): RunningCommand {
  const command = startCommand(['run'], environment)
  running.push(command)
  return command
}

async function writeTo(url: string, work: (pool: pg.Pool) => Promise<unknown>): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  try {
    await work(pool)
  } finally {
    await pool.end()
  }
}

const fill = (url: string): Promise<void> =>
  writeTo(url, async (pool) => {
    const client = await pool.connect()
    await seedReports(client, { seed: 1, reports: 10 })
    client.release()
  })

const live = (url: string, seed: number): Promise<void> =>
  writeTo(url, (pool) => runTransactions(pool, { seed, transactions: 100 }))

describe('a source that cannot be used from the start ends the run with exit 4, in time and without the password', () => {
  let database: TestDatabase
  let silent: Server
  beforeEach(async () => {
    database = await testDatabase()
    // takes every connection and says nothing, as a firewall that drops does
    silent = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
  })
  afterEach(async () => {
    silent.close()
    await database.drop()
  })

  const SECRET = 'hunter2-and-more'
  const urlOf = (change: (url: URL) => void): string => {
    const url = new URL(database.url)
    change(url)
    return url.href
  }
  const unusable: readonly { what: string; url: () => string; says: RegExp }[] = [
    {
      what: 'nobody listens',
      url: () => `postgres://reader:${SECRET}@127.0.0.1:1/prisons`,
      says: /^SOURCE_UNREACHABLE: the source database prisons at 127\.0\.0\.1:1 does not answer: connect ECONNREFUSED 127\.0\.0\.1:1\n {2}Check host and port in DATABASE_URL/m,
    },
    {
      what: 'nobody answers',
      url: () => `postgres://reader:${SECRET}@127.0.0.1:${(silent.address() as { port: number }).port}/prisons`,
      says: /^SOURCE_UNREACHABLE: the source database prisons at 127\.0\.0\.1:\d+ does not answer: timeout expired\n {2}Check host/m,
    },
    {
      what: 'no such host',
      url: () => `postgres://reader:${SECRET}@database.invalid/prisons`,
      says: /^SOURCE_UNREACHABLE: the source database prisons at database\.invalid:5432 does not answer: getaddrinfo \w+ database\.invalid\n/m,
    },
    {
      what: 'a wrong password',
      url: () => urlOf((url) => (url.password = SECRET)),
      says: /^SOURCE_UNREACHABLE: the source database t_\w+ at 127\.0\.0\.1:\d+ refuses: password authentication failed for user "postgres"\n {2}Check user, password and database in DATABASE_URL/m,
    },
    {
      what: 'a database that is not there',
      url: () => urlOf((url) => (url.pathname = '/nowhere')),
      says: /^SOURCE_UNREACHABLE: the source database nowhere at 127\.0\.0\.1:\d+ refuses: database "nowhere" does not exist\n/m,
    },
  ]

  test.for(unusable)('$what', async ({ url, says }) => {
    const { code, stdout, stderr, seconds } = await runCommand(['run'], {
      ...environmentOf(database, directory.path, 0),
      DATABASE_URL: url(),
    })
    expect(stderr).toMatch(says)
    expect({ code, stdout }).toEqual({ code: EXIT.source, stdout: '' })
    expect(seconds).toBeLessThan(15)
    expect(stderr).not.toContain(SECRET)
  })

  test('a database without our tables is one for `source init`: exit 3', async () => {
    const { code, stderr } = await runCommand(['run'], environmentOf(database, directory.path, 0))
    expect(stderr).toMatch(
      /^SOURCE_SCHEMA: the database has none of the incident tables\n {2}Run `incidents source init`/m,
    )
    expect(code).toBe(EXIT.configuration)
  })

  test('a grant that is missing is given as SQL; after it the run works', async () => {
    await initSource(database.url, { publication: database.name })
    await fill(database.url)
    const role = `r_${database.name}`
    await database.query(`
      CREATE ROLE ${role} LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA public, nomis TO ${role};
      GRANT SELECT ON ALL TABLES IN SCHEMA public, nomis TO ${role}`)
    try {
      const environment = {
        ...environmentOf(database, directory.path, await freePort()),
        DATABASE_URL: urlOf((url) => {
          url.username = role
          url.password = 'r'
        }),
        OPERATIONAL_DATABASE_URL: database.url,
      }
      const { code, stderr } = await runCommand(['run'], environment)
      const [, remedy = ''] = /^GRANT_MISSING: role \w+ may not replicate, .*\n {2}(.*)$/m.exec(stderr) ?? []
      expect(remedy).toMatch(/^ALTER ROLE \w+ REPLICATION;/)
      expect(code).toBe(EXIT.source)
      await database.query(remedy)
      const command = start(environment)
      const places = await comparePlaces({ ...environment, DATABASE_URL: database.url }, async () => {
        command.signal('SIGTERM')
        await command.ended
      })
      expect(places.filter((each) => each.differing > 0)).toEqual([])
    } finally {
      await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})

describe('a running pipeline', () => {
  let database: TestDatabase
  let environment: Record<string, string>

  beforeEach(async () => {
    database = await testDatabase()
    environment = { ...environmentOf(database, directory.path, await freePort()), LOG_LEVEL: 'info' }
    await initSource(database.url, { publication: database.name })
  })
  afterEach(() => database.drop())

  test.for<[NodeJS.Signals, number]>([
    ['SIGTERM', EXIT.done],
    ['SIGINT', EXIT.interrupted],
  ])('ends cleanly at %s with exit %i, within ten seconds, under load', async ([signal, expected]) => {
    await fill(database.url)
    const command = start(environment)
    await command.says(/the API listens/)
    const load = live(database.url, 2)
    await sleep(2_000)
    const asked = performance.now()
    command.signal(signal)
    const { code, stdout, stderr } = await command.ended
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
    expect(performance.now() - asked).toBeLessThan(10_000)
    expect(stderr).not.toMatch(/"level":(50|60)|^[A-Z_]+: /m)
    await load
    const next = start(environment)
    const places = await comparePlaces(environment, async () => {
      next.signal('SIGTERM')
      await next.ended
    })
    expect(places.filter((each) => each.differing > 0)).toEqual([])
    expect(places.reduce((sum, each) => sum + each.rows, 0)).toBeGreaterThan(1_000)
  })

  test('ends in time even when the database has fallen silent, and nothing is lost by it', async () => {
    await fill(database.url)
    const network = await proxy(Number(new URL(database.url).port))
    const url = new URL(database.url)
    url.port = String(network.port)
    try {
      const command = start({ ...environment, DATABASE_URL: url.href })
      await command.says(/the API listens/)
      await live(database.url, 2)
      network.freeze()
      await live(database.url, 3)
      const asked = performance.now()
      command.signal('SIGTERM')
      expect((await command.ended).code).toBe(EXIT.done)
      expect(performance.now() - asked).toBeLessThan(10_000)
    } finally {
      network.close()
    }
    const next = start(environment)
    const places = await comparePlaces(environment, async () => {
      next.signal('SIGTERM')
      await next.ended
    })
    expect(places.filter((each) => each.differing > 0)).toEqual([])
  })

  test('keeps its state directory from a second one: exit 3, with the process that has it', async () => {
    const command = start(environment)
    await command.says(/the API listens/)
    const { code, stderr } = await runCommand(['run'], environment)
    expect(stderr).toMatch(
      new RegExp(
        `^STATE_LOCKED: The state directory \\S+/state is in use by the process ${command.pid}\\.\n {2}End that process`,
      ),
    )
    expect(code).toBe(EXIT.configuration)
    command.signal('SIGTERM')
    expect((await command.ended).code).toBe(EXIT.done)
  })
})

describe('a source that goes away while the pipeline runs', () => {
  let server: LocalPostgres
  let store: TestDatabase
  let environment: Record<string, string>

  const launch = (port: number): Promise<LocalPostgres> =>
    startPostgres({ directory: join(directory.path, 'pg'), port, settings: ['fsync=off'] })

  beforeEach(async () => {
    server = await launch(await steadyPort())
    store = await testDatabase()
    await initSource(server.url, { publication: 'incidents' })
    environment = {
      ...environmentOf(store, directory.path, await freePort()),
      DATABASE_URL: server.url,
      NAMESPACE: 'incidents',
      OPERATIONAL_DATABASE_URL: store.url,
      LOG_LEVEL: 'info',
    }
  })
  afterEach(async () => {
    await server.stop()
    await store.drop()
  })

  test('is asked again until it is back, and nothing is lost', async () => {
    await fill(server.url)
    const command = start(environment)
    await command.says(/the API listens/)
    await sleep(16_000) // until it counts as one that has worked
    await live(server.url, 2)
    await server.stop()
    await command.says(/"code":"SOURCE_UNREACHABLE"[^\n]*"againInMs":/)
    await sleep(3_000)
    server = await launch(server.port)
    await live(server.url, 3)
    const places = await comparePlaces(environment, async () => {
      command.signal('SIGTERM')
      expect((await command.ended).code).toBe(EXIT.done)
    })
    expect(places.filter((each) => each.differing > 0)).toEqual([])
    expect(places.reduce((sum, each) => sum + each.rows, 0)).toBeGreaterThan(1_000)
    expect(command.stderr()).not.toContain(new URL(server.url).password + '@')
  })
})
