/** The console over everything that is real behind it: seeded incidents, every stage, the API, the published copy. */
import { join } from 'node:path'
import pg from 'pg'
import { demoIdentity, type TokenFor } from '../../api/demo-identity.ts'
import * as ROLES from '../../api/roles.ts'
import { serveApi } from '../../api/serve.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { accessPage } from '../../console/pages/access.ts'
import { analysePage } from '../../console/pages/analyse.ts'
import { incidentAnswerPages } from '../../console/pages/incident-answers.ts'
import { incidentChangePages } from '../../console/pages/incident-changes.ts'
import { incidentPeoplePages } from '../../console/pages/incident-people.ts'
import { incidentTypePages } from '../../console/pages/incident-type.ts'
import { incidentPage } from '../../console/pages/incident.ts'
import { incidentsPage } from '../../console/pages/incidents.ts'
import { rolloutPage } from '../../console/pages/rollout.ts'
import type { DemoPerson } from '../../console/sign-in.ts'
import { parseLsn } from '../../core/position.ts'
import { logger, metrics } from '../../observability.ts'
import { capture, deliver } from '../../pipeline.ts'
import type { SinkName } from '../../sinks/names.ts'
import { embeddedRuntime } from '../../runtime.ts'
import { untilPassed } from '../../proof/progress.ts'
import { seedReports } from '../../workload/load.ts'
import { temporaryDirectory } from './capture.ts'
import { startConsole } from './console.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'
import { visitOf, type Visit } from './visit.ts'
import { PATIENCE_MS } from './patience.ts'

const { VIEW_REPORTS, MAINTAIN_REPORTS, OPERATE_READ, REVIEW_AUDIT, ADMINISTER_REPORTS, DELETE_REPORTS } = ROLES

export const WORLD_PEOPLE: readonly DemoPerson[] = [
  { username: 'VIEWER', says: 'reads reports of one prison', roles: [VIEW_REPORTS], caseloads: ['MDI'] },
  { username: 'OPERATOR', says: 'runs the pipeline', roles: [VIEW_REPORTS, OPERATE_READ] },
  { username: 'EDITOR', says: 'writes reports', roles: [VIEW_REPORTS, MAINTAIN_REPORTS] },
  { username: 'OTHER_EDITOR', says: 'writes reports too', roles: [VIEW_REPORTS, MAINTAIN_REPORTS] },
  { username: 'ADMIN', says: 'decides', roles: [VIEW_REPORTS, MAINTAIN_REPORTS, ADMINISTER_REPORTS, DELETE_REPORTS] },
  { username: 'AUDITOR', says: 'reads who saw what', roles: [REVIEW_AUDIT] },
]

export interface World {
  readonly url: string
  readonly database: TestDatabase
  /** The published copy. */
  readonly analytics: string
  /** A browser without a screen: signed in, with its cookies. */
  visit(username: string): Promise<Visit>
  /** Until every sink has what the source has committed now. */
  settled(): Promise<void>
  token(caller: TokenFor): Promise<string>
  readonly apiUrl: string
  close(): Promise<void>
}

const RUNNING: readonly SinkName[] = ['operational', 'analytics']

export async function openWorld({ reports = 6 }: { readonly reports?: number } = {}): Promise<World> {
  const database = await testDatabase()
  const { path, remove } = await temporaryDirectory()
  const config = parseConfig({
    DATABASE_URL: database.url,
    NAMESPACE: database.name,
    STATE_DIR: join(path, 'state'),
    ANALYTICS_DIR: join(path, 'analytics'),
    PSEUDONYM_KEY: 'a key for tests only',
    ANALYTICS_PUBLISH_MS: '300',
    METRICS_PORT: '0',
    LOG_LEVEL: 'warn',
  })
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  if (reports > 0) await seedReports(client, { seed: 7, reports })
  const runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  const stop = new AbortController()
  const stages = [capture(runtime, stop.signal), ...RUNNING.map((name) => deliver(runtime, name, stop.signal))]
  const failed = Promise.race(stages)
  failed.catch(() => {})
  const identity = await demoIdentity({ production: false })
  const api = await serveApi({
    databaseUrl: database.url,
    sourceUrl: database.url,
    rawTopic: 'incidents.raw',
    host: '127.0.0.1',
    port: 0,
    identity: { demo: identity },
  })
  const analytics = join(path, 'analytics', 'incidents.duckdb')
  const served = await startConsole({
    apiUrl: api.url,
    token: (person) => identity.token(person),
    people: WORLD_PEOPLE,
    pages: [
      incidentsPage,
      incidentPage({ places: async () => new Map() }),
      incidentChangePages,
      incidentPeoplePages,
      incidentAnswerPages,
      incidentTypePages,
      rolloutPage,
      accessPage,
      analysePage({
        file: analytics,
        questions: [
          { title: 'How many incidents are there?', sql: 'SELECT count(*) AS incidents FROM current_report' },
        ],
      }),
      (app) => void app.get('/', (_, reply) => reply.view('message.njk', { heading: 'Here', paragraphs: [] })),
    ],
  })

  async function settled(): Promise<void> {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    const passed = untilPassed(parseLsn(rows[0]!.lsn), {
      ...runtime,
      groups: RUNNING.map((name) => `${config.NAMESPACE}.${name}`),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await Promise.race([passed, failed])
    await new Promise((done) => setTimeout(done, 600))
  }

  await settled()
  return {
    url: served.url,
    apiUrl: api.url,
    database,
    analytics,
    settled,
    token: (caller) => identity.token(caller),
    visit: (username) => visitOf(served.url, username),
    close: async () => {
      await served.close()
      await api.close()
      stop.abort()
      await Promise.allSettled(stages)
      await runtime.transport.close()
      await client.end()
      await database.drop()
      await remove()
    },
  }
}

/** Moorland reports everything in DPS, so that incidents can be made there. */
export async function switchToDps(admin: Visit): Promise<void> {
  const switched = await admin.send('/rollout', {
    prison: 'MDI',
    type: '*ALL*',
    dpsFrom: '2025-01-01',
    cutOffMonths: '12',
    reason: 'Moorland begins',
  })
  if (!switched.words.includes('It is saved')) throw new Error(switched.words)
}

/** When the incidents of `reportIncident` happened. */
export const HAPPENED = '2026-01-15T09:30'

/** A draft of Moorland, made by its form; its reference. */
export async function reportIncident(
  editor: Visit,
  given: Partial<Record<'title' | 'description' | 'location' | 'type', string>> = {},
): Promise<string> {
  const page = await editor.send('/incidents/new', {
    type: 'FIRE_1',
    location: 'MDI',
    incidentDateAndTime: HAPPENED,
    title: 'A fire in a bin',
    description: 'It was put out.',
    ...given,
  })
  const [, reference] = /Incident (\d+)/.exec(page.words) ?? []
  if (reference === undefined) throw new Error(page.words.slice(0, 400))
  return reference
}
