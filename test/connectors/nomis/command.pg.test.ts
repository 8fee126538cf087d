/** `incidents migrate` as a process: on the database itself, over the API, killed in the middle. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../../../api/database.ts'
import * as ROLES from '../../../api/roles.ts'
import { openSource } from '../../../api/source.ts'
import { FIRST_ID, nomisSimulator, type Simulator } from '../../../connectors/nomis/simulator/server.ts'
import { initSource } from '../../../connectors/postgres/source-schema.ts'
import { testApi } from '../../support/api.ts'
import { runCommand, startCommand } from '../../support/command.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let simulator: Simulator

beforeEach(async () => {
  database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
})
afterEach(async () => {
  await simulator.close()
  await database.drop()
})

test('killed in the middle it goes on where it was, and ends with every incident once', async () => {
  simulator = await nomisSimulator({ incidents: 1_500 })
  const environment = { DATABASE_URL: database.url, NOMIS_API_URL: simulator.url }
  const first = startCommand(['migrate', '--json'], environment)
  await expect
    .poll(async () => (await database.query('SELECT count(*)::int AS n FROM nomis.incident_cases'))[0]!['n'], {
      timeout: 60_000,
    })
    .toBeGreaterThan(200)
  first.signal('SIGKILL')
  await first.ended
  const { code, stdout } = await runCommand(['migrate', '--json', '--compare'], environment)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    migrated: 1_500,
    failed: 0,
    compared: 1_500,
    differing: 0,
    complete: true,
  })
  const runs = await database.query("SELECT status FROM migration.migration_history WHERE migration_type = 'INCIDENTS'")
  expect(runs).toEqual([{ status: 'COMPLETED' }])
  const status = await runCommand(['nomis', 'status', '--json'], environment)
  expect(status.code).toBe(1)
  expect(JSON.parse(status.stdout)).toMatchObject({ migrated: 1_500, screens: { may: false } })
})

test('over the API it posts with its token; one that failed is named, and repeated alone', async () => {
  const fields: Record<number, object> = { [FIRST_ID + 1]: { type: 'NOTATYPE' } }
  simulator = await nomisSimulator({ incidents: 12, fields })
  const [store, source] = [openDatabase(database.url), openSource(database.url)]
  const api = await testApi({ database: store, writes: { source } })
  try {
    const API_URL = await api.app.listen({ host: '127.0.0.1', port: 0 })
    const API_TOKEN = await api.identity.token({ roles: [ROLES.MIGRATE_REPORTS, ROLES.MAP_INCIDENTS] })
    const environment = { NOMIS_API_URL: simulator.url, API_URL, API_TOKEN }
    const all = await runCommand(['migrate', '--json'], environment)
    expect(all.code).toBe(1)
    expect(JSON.parse(all.stdout)).toMatchObject({
      migrated: 11,
      failed: 1,
      failures: [{ nomisIncidentId: FIRST_ID + 1, code: '100', reason: 'Unknown NOMIS type code' }],
    })
    delete fields[FIRST_ID + 1]
    expect((await runCommand(['migrate', '--only', String(FIRST_ID + 1)], environment)).code).toBe(0)
    expect(await database.query('SELECT 1 FROM migration.migration_failure')).toEqual([])
    const refused = await runCommand(['migrate'], { ...environment, API_TOKEN: 'nobody' })
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('TARGET_UNREACHABLE')])
  } finally {
    await api.app.close()
    await Promise.all([store.end(), source.end()])
  }
})

test('a database without the schema is told how to get it', async () => {
  simulator = await nomisSimulator({ incidents: 1 })
  await database.query('DROP SCHEMA migration CASCADE')
  const environment = { DATABASE_URL: database.url, NOMIS_API_URL: simulator.url }
  const { code, stderr } = await runCommand(['migrate'], environment)
  expect([code, stderr]).toEqual([
    3,
    expect.stringMatching(/Schema migration is missing.*\n.*schemas\/source\/migration\.sql/),
  ])
  expect((await runCommand(['source', 'init'], environment)).stdout).toContain('Schema migration is missing')
})
