import { afterEach, beforeEach, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { ROLLED_BACK } from '../../workload/ledger-patterns.ts'
import { runLedger, type Ledger } from '../../workload/ledger.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

const TABLES = [
  ['public.report', 'id'],
  ['public.question', 'id'],
  ['public.response', 'id'],
  ['public.status_history', 'id'],
  ['public.historical_response', 'id'],
  ['nomis.incident_cases', 'incident_case_id'],
  ['nomis.incident_case_parties', 'incident_case_id, party_seq'],
] as const

let databases: TestDatabase[]

beforeEach(async () => {
  databases = await Promise.all([testDatabase(), testDatabase()])
  await Promise.all(databases.map(({ url }) => initSource(url, { publication: 'p' })))
})

afterEach(async () => {
  await Promise.all(databases.map((database) => database.drop()))
})

async function rows(database: TestDatabase): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {}
  for (const [table, key] of TABLES) found[table] = await database.query(`SELECT * FROM ${table} ORDER BY ${key}`)
  return found
}

const run = (database: TestDatabase, onTransaction: (ended: number) => void = () => {}): Promise<Ledger> =>
  runLedger({
    url: database.url,
    seed: 7,
    run: 3,
    writers: 3,
    transactions: 30,
    pauseMs: 0,
    patienceMs: 20_000,
    onTransaction,
  })

async function statuses(database: TestDatabase, entries: Ledger['committed']): Promise<Set<string>> {
  const found = await database.query<{ status: string }>(
    'SELECT DISTINCT pg_xact_status(id::text::xid8) AS status FROM unnest($1::text[]) id',
    [entries.map(({ txId }) => String(txId))],
  )
  return new Set(found.map(({ status }) => status))
}

test('a seed makes the same rows, also where connections break in its midst; what was committed is known', async () => {
  const [whole, broken] = databases as [TestDatabase, TestDatabase]
  const undisturbed = await run(whole)
  const cuts: Promise<unknown>[] = []
  const disturbed = await run(broken, (ended) => {
    if (ended % 9 !== 0) return
    cuts.push(
      broken.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
           AND query NOT LIKE '%pg_terminate_backend%'`, // neither itself nor another cut that still runs
      ),
    )
  })
  await Promise.all(cuts)
  const expected = await rows(whole)
  expect(Object.entries(expected).filter(([, its]) => its.length === 0)).toEqual([])
  expect(await rows(broken)).toEqual(expected)
  expect(JSON.stringify(expected)).not.toContain(ROLLED_BACK)
  expect(disturbed.committed).toHaveLength(undisturbed.committed.length)
  expect(disturbed.rolledBack.length).toBeGreaterThan(undisturbed.rolledBack.length)
  expect(await statuses(broken, disturbed.committed)).toEqual(new Set(['committed']))
  expect(await statuses(broken, disturbed.rolledBack)).toEqual(new Set(['aborted']))
})
