import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { londonDate } from '../../../api/clock.ts'
import { nomisStatus } from '../../../api/nomis-status.ts'
import { embeddedTarget } from '../../../commands/incident-target.ts'
import { nomisClient } from '../../../connectors/nomis/client.ts'
import { compareNomis } from '../../../connectors/nomis/comparison.ts'
import { follow } from '../../../connectors/nomis/follow.ts'
import { migrate, migrateOnly } from '../../../connectors/nomis/migrator.ts'
import {
  FIRST_ID,
  nomisSimulator,
  type Simulator,
  type SimulatorOptions,
} from '../../../connectors/nomis/simulator/server.ts'
import type { IncidentTarget } from '../../../connectors/nomis/target.ts'
import { sourceTruth } from '../../../proof/source.ts'
import { openWrites, type Writes } from '../../support/writes.ts'

let writes: Writes
let target: IncidentTarget
let simulator: Simulator

beforeAll(async () => {
  writes = await openWrites()
})
afterAll(() => writes.close())
beforeEach(async () => {
  target = embeddedTarget(writes.source, () => new Date(`${writes.today}T12:00:00Z`))
  await writes.reset()
})

async function nomis(options: SimulatorOptions, more: { tries?: number; timeoutMs?: number } = {}) {
  simulator = await nomisSimulator(options)
  return nomisClient({ url: simulator.url, backOffMs: 1, ...more })
}

async function count(table: string): Promise<number> {
  const [row] = await writes.database.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`)
  return row!.count
}

const status = () =>
  nomisStatus(async (text, values) => (await writes.source.query(text, [...(values ?? [])])).rows, writes.today)

describe('a migration', () => {
  test('brings every incident over once with its mapping, and is then what NOMIS has', async () => {
    const client = await nomis({ incidents: 1_203 })
    const told: number[] = []
    const result = await migrate({ nomis: client, target, progress: ({ migrated }) => told.push(migrated) })
    expect(result).toMatchObject({ total: 1_203, migrated: 1_203, failed: 0, complete: true })
    expect(told.at(-1)).toBe(1_203)
    expect([await count('nomis.incident_cases'), await count('migration.incident_mapping')]).toEqual([1_203, 1_203])
    expect(await writes.call('GET', `/migrate/history/${result.migrationId}`)).toMatchObject({
      body: { status: 'COMPLETED', recordsMigrated: 1_203, recordsFailed: 0, migrationType: 'INCIDENTS' },
    })
    expect(await compareNomis({ nomis: client, source: writes.source })).toEqual({
      compared: 1_203,
      differences: [],
      complete: true,
    })
    await simulator.close()
  })

  test.for<[what: string, fault: SimulatorOptions['fault']]>([
    ['is slow', (n) => (n % 40 === 0 ? 'slow' : null)],
    ['answers 500', (n) => (n % 3 === 0 ? 'error' : null)],
    ['breaks off in the middle', (n) => (n % 3 === 0 ? 'half' : null)],
    ['sends the page before once more', (n, path) => (path === '/incidents/ids' && n % 2 === 0 ? 'repeat' : null)],
  ])('misses nothing and brings nothing twice where NOMIS %s', async ([, fault]) => {
    const client = await nomis({ incidents: 1_100, fault: fault!, slowMs: 300 }, { timeoutMs: 100, tries: 12 })
    expect(await migrate({ nomis: client, target })).toMatchObject({ migrated: 1_100, failed: 0, complete: true })
    expect(await count('nomis.incident_cases')).toBe(1_100)
    await simulator.close()
  })

  test('goes on where it was stopped, with the same run, and asks nothing again that is there', async () => {
    const client = await nomis({ incidents: 2_000 })
    const stop = new AbortController()
    const stopped = await migrate({
      nomis: {
        ...client,
        incident: async (id) => (id === FIRST_ID + 1_200 ? (stop.abort(), null) : client.incident(id)),
      },
      target,
      signal: stop.signal,
    })
    expect(stopped.complete).toBe(false)
    const there = await count('nomis.incident_cases')
    expect(there).toBeGreaterThan(1_000)
    const before = simulator.requests()
    const result = await migrate({ nomis: client, target })
    expect(result).toMatchObject({ migrationId: stopped.migrationId, migrated: 2_000, complete: true })
    expect(simulator.requests() - before).toBeLessThan(2_000 - there + 10)
    await simulator.close()
  })

  test('lists what cannot be brought over, with a reason that names nothing, and brings it alone once it is mended', async () => {
    const fields: Record<number, object> = {
      [FIRST_ID + 3]: { status: { code: 'IUP', description: 'SECRET' } },
      [FIRST_ID + 5]: { title: 'SECRET'.repeat(100) },
      [FIRST_ID + 7]: { description: 'SECRET\0' },
    }
    const client = await nomis({ incidents: 20, fields })
    expect(await migrate({ nomis: client, target })).toMatchObject({ migrated: 17, failed: 3, complete: true })
    const failed = await writes.call('GET', '/migrate/history/failures')
    expect(failed.body).toMatchObject([
      { nomisIncidentId: FIRST_ID + 3, code: '100', reason: 'Unknown NOMIS status code' },
      { nomisIncidentId: FIRST_ID + 5, code: 'NOMIS_PAYLOAD' },
      { nomisIncidentId: FIRST_ID + 7, code: 'NOMIS_PAYLOAD' },
    ])
    expect(failed.text).not.toContain('SECRET')
    expect(await migrateOnly({ nomis: client, target }, FIRST_ID + 3)).toMatchObject({ done: false, code: 100 })
    fields[FIRST_ID + 3] = {}
    expect(await migrateOnly({ nomis: client, target }, FIRST_ID + 3)).toEqual({ done: true })
    expect((await status()).failed).toBe(2)
    expect(await migrateOnly({ nomis: client, target }, 1)).toMatchObject({ done: false })
    await simulator.close()
  })

  test('brings rows that mean something to the pipeline: none of them is refused', async () => {
    const client = await nomis({ incidents: 200 })
    await migrate({ nomis: client, target })
    const truth = await sourceTruth(writes.database.url, 'incidents', 'a key of sixteen characters')
    expect([truth.refused, truth.copies]).toEqual([0, 0])
    const unified = truth.unified('operational').entities
    expect(unified.get('Report')?.size).toBe(200)
    expect(unified.get('Response')?.size).toBeGreaterThan(200)
    await simulator.close()
  })

  test('keeps to a rate', async () => {
    const client = await nomis({ incidents: 30 })
    const { seconds } = await migrate({ nomis: client, target, rate: 60 })
    expect(seconds).toBeGreaterThan(0.4)
    await simulator.close()
  })

  test('ends with a clear error when NOMIS goes away, and what was brought over before is whole', async () => {
    const client = await nomis({ incidents: 500, fault: (n) => (n > 100 ? 'error' : null) }, { tries: 2 })
    await expect(migrate({ nomis: client, target })).rejects.toMatchObject({ code: 'NOMIS_UNREACHABLE' })
    const there = await count('nomis.incident_cases')
    expect(there).toBeGreaterThan(80)
    expect(await count('migration.incident_mapping')).toBe(there)
    const [run] = (await writes.call('GET', '/migrate/history/active/INCIDENTS')).body as { recordsMigrated: number }[]
    expect(run!.recordsMigrated).toBe(there)
    await simulator.close()
    await expect(migrate({ nomis: client, target })).rejects.toMatchObject({ code: 'NOMIS_UNREACHABLE' })
  })
})

describe('the drip-feed', () => {
  test('brings what changed, was made and was deleted, until the cut-off', async () => {
    const editOnly: { prison: string; type: string }[] = []
    const client = await nomis({ incidents: 50, fields: {}, editOnly })
    await migrate({ nomis: client, target })
    const stop = new AbortController()
    const following = follow({ nomis: client, target, pollMs: 10, signal: stop.signal })
    simulator.change(FIRST_ID + 1, { status: 'AWAN' })
    simulator.change(FIRST_ID + 1, { fields: { title: 'Changed in NOMIS' } })
    simulator.remove(FIRST_ID + 2)
    const made = simulator.create()!
    await expect
      .poll(async () => (await compareNomis({ nomis: client, source: writes.source })).differences, { timeout: 20_000 })
      .toEqual([])
    expect([...(await target.mapped([FIRST_ID + 1, FIRST_ID + 2, made])).keys()]).toEqual([FIRST_ID + 1, made])
    await writes.call('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2025-01-01', cutOffMonths: 6 })
    expect(await following).toBe(true)
    stop.abort()
    await simulator.close()
  })

  test('misses nothing that changed between the migration and its own, later beginning, nor while it was stopped', async () => {
    const client = await nomis({ incidents: 10 })
    const same = async (): Promise<void> => {
      await expect
        .poll(async () => (await compareNomis({ nomis: client, source: writes.source })).differences, {
          timeout: 20_000,
        })
        .toEqual([])
    }
    await migrate({ nomis: client, target })
    for (const id of [FIRST_ID, FIRST_ID + 1]) {
      simulator.change(id, { status: 'INREQ' })
      const stop = new AbortController()
      const following = follow({ nomis: client, target, pollMs: 10, signal: stop.signal })
      await same()
      stop.abort()
      expect(await following).toBe(false)
    }
    await simulator.close()
  })

  test('a new incident of an edit-only prison and type is not made in NOMIS', async () => {
    const probe = await nomis({ incidents: 1 })
    const next = (await probe.incident(FIRST_ID))!
    await simulator.close()
    await nomis({ incidents: 0, editOnly: [{ prison: next.prison.code, type: next.type }] })
    expect(simulator.create()).toBeNull()
    await simulator.close()
  })
})

describe('the evidence', () => {
  test('says what stands in the way of switching NOMIS off, and then that nothing does', async () => {
    const client = await nomis({ incidents: 40 })
    expect((await status()).tables).toMatchObject({ may: false })
    await migrate({ nomis: client, target })
    const early = await status()
    expect(early).toMatchObject({ migrated: 40, failed: 0, screens: { may: false }, lastComparison: null })
    expect(early.rows.every(({ reportedIn, differing }) => reportedIn === 'NOMIS' && differing === null)).toBe(true)
    expect(early.openInNomis).toBeGreaterThan(0)
    await writes.call('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2026-01-01', cutOffMonths: 6 })
    expect((await status()).screens.reasons.join()).toContain('before their cut-off')
    writes.today = '2026-07-01'
    expect(await status()).toMatchObject({
      screens: { may: true, reasons: [] },
      endpoints: { may: true },
      tables: { may: false, reasons: ['NOMIS was never compared with the incident database.'] },
    })
    await writes.database.query(`UPDATE nomis.incident_case_parties SET comment_text = 'lost' WHERE incident_case_id =
      (SELECT min(incident_case_id) FROM nomis.incident_case_parties)`)
    const { differences } = await compareNomis({ nomis: client, source: writes.source })
    expect(differences).toMatchObject([{ what: 'incident_case_parties' }])
    const differing = await status()
    expect(differing.tables.reasons).toEqual(['1 incidents differ from NOMIS.'])
    expect(differing.rows.reduce((sum, row) => sum + row.differing!, 0)).toBe(1)
    await writes.call('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2026-06-30' })
    await migrateOnly({ nomis: client, target }, differences[0]!.nomisIncidentId)
    await writes.call('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2026-01-01', cutOffMonths: 6 })
    const { body } = await writes.call('GET', '/nomis/status')
    expect(body).toMatchObject({ migrated: 40, screens: { may: true } })
    await simulator.close()
  })

  test('an incident that is only in the incident database is a difference', async () => {
    const client = await nomis({ incidents: 5 })
    await migrate({ nomis: client, target })
    simulator.remove(FIRST_ID + 4)
    expect((await compareNomis({ nomis: client, source: writes.source })).differences).toMatchObject([
      { nomisIncidentId: FIRST_ID + 4, what: 'not in NOMIS' },
    ])
    await simulator.close()
  })
})

test('London decides which day it is', () => {
  expect(londonDate(new Date('2026-06-30T23:30:00Z'))).toBe('2026-07-01')
})
