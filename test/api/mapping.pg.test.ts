import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openWrites, type Writes } from '../support/writes.ts'

let writes: Writes

beforeAll(async () => {
  writes = await openWrites()
})
afterAll(() => writes.close())
beforeEach(() =>
  writes.database.query('TRUNCATE migration.incident_mapping, migration.migration_history, migration.rollout'),
)

const ID = '0190a1b2-0000-7000-8000-000000000001'
const OTHER = '0190a1b2-0000-7000-8000-000000000002'
const map = (nomisIncidentId: number, dpsIncidentId: string, more: object = {}) =>
  writes.call('POST', '/mapping/incidents', {
    nomisIncidentId,
    dpsIncidentId,
    mappingType: 'MIGRATED',
    label: 'one',
    ...more,
  })

test('a mapping is found from both sides, and is gone when it is deleted', async () => {
  expect((await map(7, ID.toUpperCase())).status).toBe(201)
  for (const path of ['nomis-incident-id/7', `dps-incident-id/${ID}`]) {
    expect((await writes.call('GET', `/mapping/incidents/${path}`)).body).toMatchObject({
      dpsIncidentId: ID,
      nomisIncidentId: 7,
      label: 'one',
      mappingType: 'MIGRATED',
    })
  }
  expect((await writes.call('DELETE', `/mapping/incidents/dps-incident-id/${ID}`)).status).toBe(204)
  expect((await writes.call('GET', '/mapping/incidents/nomis-incident-id/7')).body).toMatchObject({ status: 404 })
})

test('neither side is mapped twice; the answer tells what is there (rule service.mapping)', async () => {
  await map(7, ID)
  for (const answer of [await map(7, OTHER), await map(8, ID), await map(7, ID)]) {
    expect(answer).toMatchObject({
      status: 409,
      body: { status: 409, moreInfo: { existing: { nomisIncidentId: 7, dpsIncidentId: ID } } },
    })
  }
  const both = await Promise.all([map(9, OTHER), map(9, OTHER)])
  expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409])
})

test('several are asked for at once: all of them or 404, or those that there are', async () => {
  await map(7, ID)
  const path = '/mapping/incidents/nomis-incident-id'
  expect((await writes.call('GET', `${path}?nomisIncidentId=7`)).body).toHaveLength(1)
  expect((await writes.call('GET', `${path}?nomisIncidentId=7&nomisIncidentId=8`)).status).toBe(404)
  expect((await writes.call('POST', path, [7, 8])).body).toMatchObject([{ nomisIncidentId: 7 }])
})

test('a run’s mappings come a page at a time, the newest by itself, and the migrated ones can go alone', async () => {
  for (let i = 1; i <= 5; i++)
    await map(i, `0190a1b2-0000-7000-8000-00000000010${i}`, i === 5 ? { mappingType: 'NOMIS_CREATED' } : {})
  expect((await writes.call('GET', '/mapping/incidents/migration-id/one?size=2&page=1')).body).toMatchObject({
    totalElements: 5,
    content: [{ nomisIncidentId: 3 }, { nomisIncidentId: 4 }],
  })
  expect((await writes.call('GET', '/mapping/incidents/migrated/latest')).body).toMatchObject({ nomisIncidentId: 4 })
  await writes.call('DELETE', '/mapping/incidents?onlyMigrated=true')
  expect((await writes.call('GET', '/mapping/incidents/migration-id/one')).body).toMatchObject({ totalElements: 1 })
  await writes.call('DELETE', '/mapping/incidents')
  expect((await writes.call('GET', '/mapping/incidents/migration-id/one')).body).toMatchObject({ totalElements: 0 })
})

test.for<[what: string, body: object]>([
  ['no UUID', { dpsIncidentId: 'SECRET' }],
  ['no number', { nomisIncidentId: 'SECRET' }],
  ['a number too large', { nomisIncidentId: 1e10 }],
  ['another kind', { mappingType: 'SECRET' }],
  ['a label with a NUL', { label: 'SECRET\0' }],
])('%s is not mapped', async ([, body]) => {
  const answer = await map(7, ID, body)
  expect(answer).toMatchObject({ status: 400, body: { errorCode: 100 } })
  expect(answer.text).not.toContain('SECRET')
})

test('two migrators at once are one run, which ends once (rule service.runs)', async () => {
  const begin = () => writes.call('POST', '/migrate/history/active/INCIDENTS', { estimatedRecordCount: 3 })
  const [first, second] = await Promise.all([begin(), begin()])
  expect(second!.body.migrationId).toBe(first!.body.migrationId)
  const path = `/migrate/history/${first!.body.migrationId}`
  await writes.call('PATCH', path, { status: 'COMPLETED', recordsMigrated: 3 })
  expect((await writes.call('PATCH', path, { status: 'STARTED' })).body).toMatchObject({ status: 'COMPLETED' })
  expect((await writes.call('GET', '/migrate/history/active/INCIDENTS')).body).toEqual([])
  expect((await writes.call('GET', '/migrate/history/all/INCIDENTS')).body).toMatchObject([{ recordsMigrated: 3 }])
  expect((await writes.call('GET', '/migrate/history/none')).status).toBe(404)
})

test.for<[path: string, body: object]>([
  ['/rollout/MDI/ASSAULT', { dpsFrom: '2026-01-01' }],
  ['/rollout/mdi/ASSAULT_5', { dpsFrom: '2026-01-01' }],
  ['/rollout/MDI/ASSAULT_5', { dpsFrom: '2026-01-01', cutOffMonths: 5 }],
  ['/rollout/MDI/ASSAULT_5', { dpsFrom: '2026-01-01', cutOffMonths: 13 }],
  ['/rollout/MDI/ASSAULT_5', { dpsFrom: '0000-01-01' }],
  ['/rollout/MDI/ASSAULT_5', {}],
])('a rollout of another form is not accepted: %s %o', async ([path, body]) => {
  expect(await writes.call('PUT', path, body)).toMatchObject({ status: 400, body: { errorCode: 100 } })
})
