/** What was migrated is in every place as NOMIS has it: NOMIS against the incident database, that against each place, and the API. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../../../api/database.ts'
import { ReportPage } from '../../../api/shapes.ts'
import { openSource } from '../../../api/source.ts'
import { embeddedTarget } from '../../../commands/incident-target.ts'
import { nomisClient } from '../../../connectors/nomis/client.ts'
import { compareNomis } from '../../../connectors/nomis/comparison.ts'
import { migrate } from '../../../connectors/nomis/migrator.ts'
import { FIRST_ID, nomisSimulator, type Simulator } from '../../../connectors/nomis/simulator/server.ts'
import type { Reconciliation } from '../../../proof/reconcile.ts'
import { testApi } from '../../support/api.ts'
import { runCommand } from '../../support/command.ts'
import { settledPipeline, type Settled } from '../../support/settled.ts'

const INCIDENTS = 150

let settled: Settled
let simulator: Simulator

beforeAll(async () => {
  settled = await settledPipeline({ seed: 61, reports: 2, transactions: 2 })
  simulator = await nomisSimulator({ incidents: INCIDENTS })
}, 120_000)

afterAll(async () => {
  await simulator.close()
  await settled.close()
})

test('NOMIS, the incident database, topics, DPR’s files, store, DuckDB and the API hold the same incidents', async () => {
  const nomis = nomisClient({ url: simulator.url })
  const source = openSource(settled.database.url, 5)
  const database = openDatabase(settled.database.url)
  const { app, as } = await testApi({ database })
  try {
    const { migrated, failed } = await migrate({ nomis, target: embeddedTarget(source) })
    expect([migrated, failed]).toEqual([INCIDENTS, 0])
    await settled.run(2)
    // the workload's own incidents of NOMIS are not the simulated one's
    const { differences } = await compareNomis({ nomis, source })
    expect(differences.filter(({ nomisIncidentId }) => nomisIncidentId >= FIRST_ID)).toEqual([])
    const { code, stdout } = await runCommand(['reconcile', '--json'], settled.environment)
    const { differing, incomplete, places } = JSON.parse(stdout) as Reconciliation
    expect([code, differing, incomplete]).toEqual([0, 0, 0])
    const reports = places.filter(({ entity, rows }) => entity === 'Report' && rows >= INCIDENTS)
    expect(reports.map(({ place }) => place)).toEqual(expect.arrayContaining(['operational', 'analytics']))
    const answer = await app.inject({ url: '/incident-reports?source=NOMIS&size=1000', headers: await as() })
    const shown = ReportPage.parse(answer.json()).content.map(({ reportReference }) => Number(reportReference))
    const brought = Array.from({ length: INCIDENTS }, (_, i) => FIRST_ID + i)
    expect(shown.filter((id) => id >= FIRST_ID && id < FIRST_ID + INCIDENTS).toSorted((a, b) => a - b)).toEqual(brought)
  } finally {
    await app.close()
    await Promise.all([source.end(), database.end()])
  }
}, 120_000)
