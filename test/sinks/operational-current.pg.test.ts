/** Which reports speak for their incident, and how many there are, whatever was written in whatever order. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditStore } from '../../api/audit-store.ts'
import type { EntityRow, IncidentChange } from '../../core/incident.ts'
import { prepareNextStore, swapStores } from '../../sinks/operational-rebuild.ts'
import { operationalStore } from '../../sinks/operational.ts'
import { OPERATIONAL_PROJECTIONS, openStore } from '../support/operational.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { changeOf, dpsReport, nomisReport } from '../support/unified-rows.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const RULE = `r.source = 'NOMIS' AND EXISTS (
  SELECT FROM prisons.incidents_report d WHERE d.reference = r.reference AND d.source = 'DPS')`

const BY = 'location, type, status, created_in'

/** Reports that are shown against the rule, or hidden against it; and counts that are not the table's. */
async function wrong(): Promise<{ shown: unknown[]; counted: unknown[] }> {
  const shown = await database.query(`SELECT id FROM prisons.incidents_report r WHERE hidden <> (${RULE})`)
  const counts = `SELECT ${BY}, sum(reports)::int AS n FROM prisons.incidents_report_count GROUP BY ${BY} HAVING sum(reports) <> 0`
  const rows = `SELECT ${BY}, count(*)::int AS n FROM prisons.incidents_report r WHERE NOT (${RULE}) GROUP BY ${BY}`
  const counted = await database.query(`(${counts} EXCEPT ${rows}) UNION ALL (${rows} EXCEPT ${counts})`)
  return { shown, counted }
}

interface Step {
  readonly model: 'DPS' | 'NOMIS'
  /** Which report of its model. */
  readonly n: number
  readonly reference: number
  readonly deleted: boolean
  readonly values: { readonly location: string | null; readonly status: string }
}

const STEP = fc.record({
  model: fc.constantFrom('DPS', 'NOMIS'),
  n: fc.integer({ min: 1, max: 3 }),
  reference: fc.integer({ min: 1, max: 3 }),
  deleted: fc.boolean(),
  values: fc.record({ location: fc.constantFrom('MDI', 'LEI', null), status: fc.constantFrom('CLOSED', 'DRAFT') }),
})

/** What each partition brings: an incident's changes come by one; a report that moves goes there and comes here. */
function partitioned(steps: readonly Step[]): [IncidentChange[], IncidentChange[]] {
  const partitions: [IncidentChange[], IncidentChange[]] = [[], []]
  const stored = new Map<string, EntityRow<'Report'>>()
  const bring = (row: EntityRow<'Report'>, lsn: number, { ordinal, op }: { ordinal: number; op: 'c' | 'd' }): void => {
    const partition = Number(row.value['reference']) % 2
    const items = partitions[partition]!
    items.push(changeOf({ offset: items.length, lsn, ordinal, partition, op }, row))
  }
  for (const [i, { model, n, reference, deleted, values }] of steps.entries()) {
    const lsn = 8 * (i + 1)
    // a legacy incident's number is its key
    const row =
      model === 'DPS' ? dpsReport(n, { reference: String(reference), ...values }) : nomisReport(n, { ...values })
    const before = stored.get(row.id)
    if (deleted && before === undefined) continue
    if (before !== undefined && (deleted || before.value['reference'] !== row.value['reference'])) {
      bring(before, lsn, { ordinal: 1, op: 'd' })
    }
    stored.delete(row.id)
    if (deleted) continue
    bring(row, lsn, { ordinal: 2, op: 'c' })
    stored.set(row.id, row)
  }
  return partitions
}

test('after any changes, by two writers at once and in batches of any size, both are as the rows say', async () => {
  const written = fc.asyncProperty(
    fc.array(STEP, { minLength: 1, maxLength: 40 }),
    fc.integer({ min: 1, max: 8 }),
    async (steps, size) => {
      await database.query('DROP SCHEMA IF EXISTS prisons CASCADE')
      const writers = [await openStore(database.url), await openStore(database.url)]
      await Promise.all(
        partitioned(steps).map(async (items, p) => {
          for (let i = 0; i < items.length; i += size) await writers[p]!.write(items.slice(i, i + size))
        }),
      )
      for (const writer of writers) await writer.close()
      expect(await wrong()).toEqual({ shown: [], counted: [] })
    },
  )
  await fc.assert(written, { numRuns: 12 })
})

test('a store that took the place of another goes on with its own counts', async () => {
  const options = { url: database.url, projections: OPERATIONAL_PROJECTIONS, rulesVersion: 7 }
  await database.query('DROP SCHEMA IF EXISTS prisons CASCADE')
  const audit = auditStore(database.url)
  for (const first of [1, 3, 5]) {
    await prepareNextStore(options)
    const next = await operationalStore({ ...options, schema: 'prisons_next' })
    await next.write([changeOf({ offset: first, lsn: 8 * first }, dpsReport(1), dpsReport(2))])
    await next.close()
    expect((await swapStores(database.url)).done).toBe(true)
    const sink = await openStore(database.url)
    await sink.write([
      changeOf({ offset: first + 1, lsn: 8 * first + 8 }, dpsReport(1, { location: 'MDI' }), nomisReport(7)),
    ])
    await sink.close()
    await audit.ready()
    expect(await wrong()).toEqual({ shown: [], counted: [] })
    expect(await database.query('SELECT sum(reports)::int AS n FROM prisons.incidents_report_count')).toEqual([
      { n: 3 },
    ])
  }
  await audit.close()
  // nor do the stores that were dropped since take the audit records' own guard with them
  await expect(database.query('DELETE FROM prisons.incidents_audit')).rejects.toThrow('audit records are not changed')
})
