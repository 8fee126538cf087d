/** A write of many source transactions is merged in parts: what shows between two of them, and what a broken one leaves. */
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { operationalStore } from '../../sinks/operational.ts'
import { prepareNextStore, swapStores } from '../../sinks/operational-rebuild.ts'
import { OPERATIONAL_PROJECTIONS, openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { changeOf, dpsReport } from '../support/unified-rows.ts'

const TRANSACTIONS = 5_000

/** Each transaction inserts three reports. */
const items = Array.from({ length: TRANSACTIONS * 3 }, (_, n) =>
  changeOf({ offset: n, lsn: 8 + Math.floor(n / 3), ordinal: 1 + (n % 3), last: n % 3 === 2, op: 'c' }, dpsReport(n)),
)

test('every part ends with a source transaction; when the write resolves all of them are there', async () => {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  let writing = true
  const seen = new Set<number>()
  const reader = (async () => {
    while (writing) {
      const [row] = await database.query<{ n: number }>('SELECT count(*)::int AS n FROM prisons.incidents_report')
      seen.add(row!.n)
    }
  })()
  await sink.write(items)
  writing = false
  await reader
  expect([...seen].filter((count) => count % 3 !== 0)).toEqual([])
  expect([...seen].some((count) => count > 0 && count < items.length)).toBe(true)
  expect(await database.query('SELECT count(*)::int AS n FROM prisons.incidents_report')).toEqual([{ n: items.length }])
  await sink.close()
  await database.drop()
})

test('when a part fails, what was merged before stays, and the places say where the next sink begins', async () => {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  await database.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF (SELECT count(*) FROM prisons.incidents_report) > 9000 THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER refuse AFTER INSERT ON prisons.incidents_report FOR EACH STATEMENT EXECUTE FUNCTION refuse()`)
  await expect(sink.write(items)).rejects.toMatchObject({ code: 'SINK' })
  await expect(sink.write([])).rejects.toMatchObject({ code: 'SINK' })
  await database.query('DROP FUNCTION refuse CASCADE')
  const again = await openStore(database.url)
  const next = (await again.places([0])).get(0)!.next
  const [held] = await database.query<{ n: number }>('SELECT count(*)::int AS n FROM prisons.incidents_report')
  expect(next).toBe(held!.n)
  expect(next % 3).toBe(0)
  expect(next).toBeGreaterThan(0)
  await again.write(items.slice(next))
  expect(await database.query('SELECT count(*)::int AS n FROM prisons.incidents_report')).toEqual([{ n: items.length }])
  await again.close()
  await database.drop()
})

/** Holds up every merge, but no amendment, until it is called. */
async function mergesHeld({ url }: TestDatabase): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('BEGIN; LOCK TABLE prisons.incidents_report IN EXCLUSIVE MODE')
  return async () => {
    await client.query('COMMIT')
    await client.end()
  }
}

/** The session that has a part's rows and amendments, and waits for the part before it. */
async function waitingSession({ query, name }: TestDatabase): Promise<number> {
  return vi.waitFor(
    async () => {
      const [row] = await query<{ pid: number }>(`
        SELECT pid FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'incidents operational'
          AND state = 'idle in transaction' AND query LIKE '%INSERT INTO incidents_amendment%'`)
      expect(row).toBeDefined()
      return row!.pid
    },
    { timeout: 20_000 },
  )
}

const heldIn = async ({ query }: TestDatabase) => {
  const [row] = await query<{ reports: number; amendments: number; next: number }>(`
    SELECT (SELECT count(*)::int FROM prisons.incidents_report) AS reports,
           (SELECT count(*)::int FROM prisons.incidents_amendment) AS amendments,
           (SELECT coalesce(max(next), 0)::int FROM prisons.incidents_place) AS next`)
  return row!
}

test('a second session takes the next part while the first merges, and nothing of it shows or stays without the first', async () => {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  const release = await mergesHeld(database)
  const writing = sink.write(items)
  writing.catch(() => {})
  const second = await waitingSession(database)
  expect(await heldIn(database)).toEqual({ reports: 0, amendments: 0, next: 0 })
  await database.query(`SELECT pg_terminate_backend(${second})`)
  await release()
  await expect(writing).rejects.toMatchObject({ code: 'SINK' })
  const { reports, amendments, next } = await heldIn(database)
  expect([amendments, next, reports % 3]).toEqual([reports, reports, 0])
  expect(reports).toBeLessThan(items.length)

  const again = await openStore(database.url)
  await again.places([0])
  await again.write(items)
  expect(await heldIn(database)).toEqual({ reports: items.length, amendments: items.length, next: items.length })
  await again.close()
  await database.drop()
})

async function swapsWaiting({ query }: TestDatabase): Promise<number> {
  const waiting = await query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 3 AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
  return waiting.length
}

test('a store that is swapped in the midst of a write waits for the parts that have begun, and they for nothing else', async () => {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  const rebuilt = { url: database.url, projections: OPERATIONAL_PROJECTIONS, rulesVersion: 7, schema: 'prisons_next' }
  await prepareNextStore(rebuilt)
  const next = await operationalStore(rebuilt)
  await next.write(items)
  await next.close()
  const release = await mergesHeld(database)
  const writing = sink.write(items)
  writing.catch(() => {})
  await waitingSession(database)
  const swapping = swapStores(database.url)
  await vi.waitFor(async () => expect(await swapsWaiting(database)).toBe(1), { timeout: 20_000 })
  await release()
  expect(await swapping).toMatchObject({ done: true })
  await Promise.allSettled([writing]) // refused where a part had not begun
  expect(await heldIn(database)).toEqual({ reports: items.length, amendments: items.length, next: items.length })
  await sink.close()
  await database.drop()
})

/** Of the sink's temporary table, in bytes. */
async function stagedBytes({ query }: TestDatabase): Promise<number> {
  const [row] = await query<{ bytes: string }>(
    `SELECT sum(pg_relation_size(oid)) AS bytes FROM pg_class WHERE relname = 'staged_report' AND relpersistence = 't'`,
  )
  return Number(row!.bytes)
}

test('what is staged leaves with its transaction, and small writes take no more room however many they are', async () => {
  const database = await testDatabase()
  const sink = await openStore(database.url)
  const sizes: number[] = []
  for (let n = 0; n < 6_000; n += 30) {
    await sink.write(items.slice(n, n + 30))
    sizes.push(await stagedBytes(database))
  }
  expect(sizes[0]).toBeGreaterThan(0)
  expect(Math.max(...sizes.slice(100))).toBeLessThanOrEqual(Math.max(...sizes.slice(0, 100)))
  await sink.write(items.slice(6_000, 14_001))
  expect(await stagedBytes(database)).toBe(0)
  await sink.write(items.slice(14_001))
  expect(await heldIn(database)).toEqual({ reports: items.length, amendments: items.length, next: items.length })
  await sink.close()
  await database.drop()
})
