/** A write of many source transactions is merged in parts: what shows between two of them, and what a broken one leaves. */
import { expect, test } from 'vitest'
import { openStore } from '../support/operational.ts'
import { testDatabase } from '../support/postgres.ts'
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
