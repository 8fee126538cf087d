import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ADMINISTER_REPORTS, MAINTAIN_REPORTS } from '../../api/roles.ts'
import { nomisReportId } from '../../api/sync.ts'
import { nomisReport, openWrites, type Answer, type Writes } from '../support/writes.ts'

let writes: Writes

beforeAll(async () => {
  writes = await openWrites()
})
afterAll(() => writes.close())
beforeEach(async () => {
  await writes.reset()
  await writes.call('PUT', '/rollout/*ALL*/*ALL*', { dpsFrom: '2026-01-01' })
})

const REPORT = {
  type: 'ASSAULT_5',
  incidentDateAndTime: '2026-05-31T23:30:00',
  location: 'MDI',
  title: 'A fight on the wing',
  description: 'Two prisoners fought.',
}
const PRISONER = { prisonerNumber: 'T0001AA', firstName: 'Fern', lastName: 'Fixture', prisonerRole: 'FIGHTER' }
const QUESTION = {
  code: '45054',
  question: 'WAS THIS A SEXUAL ASSAULT',
  label: 'Was this a sexual assault?',
  responses: [{ code: '1', response: 'YES', label: 'Yes' }],
}

const create = (change: object = {}): Promise<Answer> =>
  writes.call('POST', '/incident-reports', { ...REPORT, ...change })

async function made(change: object = {}): Promise<{ id: string; reportReference: string; modifiedAt: string }> {
  const { status, body } = await create(change)
  expect(status).toBe(201)
  return body
}

const to = (id: string, newStatus: string, correctionRequest?: object): Promise<Answer> =>
  writes.call('PATCH', `/incident-reports/${id}/status`, {
    newStatus,
    ...(correctionRequest ? { correctionRequest } : {}),
  })

async function taken(id: string, ...statuses: string[]): Promise<void> {
  for (const status of statuses) expect(await to(id, status)).toMatchObject({ status: 200, body: { status } })
}

describe('a new report', () => {
  test('is a draft of DPS with the next reference and its first status', async () => {
    const [first, second] = [await made(), await made()]
    expect(first).toMatchObject({
      ...REPORT,
      status: 'DRAFT',
      createdInNomis: false,
      lastModifiedInNomis: false,
      reportedBy: 'TEST_USER001',
      staffInvolvementDone: false,
      prisonerInvolvementDone: false,
      historyOfStatuses: [{ status: 'DRAFT', changedBy: 'TEST_USER001', changedAt: '2026-06-01T13:00:00' }],
    })
    expect(Number(second.reportReference)).toBe(Number(first.reportReference) + 1)
    expect(Number(first.reportReference)).toBeGreaterThanOrEqual(10_000_000)
    expect(first.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)
  })

  test('made by many at once has a reference of its own each', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => made()))
    expect(new Set(all.map(({ reportReference }) => reportReference)).size).toBe(20)
  })

  test.for<[what: string, change: object, status: number, code: number | null]>([
    ['in the future', { incidentDateAndTime: '2026-06-01T13:00:01' }, 400, 100],
    ['of an inactive type', { type: 'ASSAULT_1' }, 400, 100],
    ['of a family', { type: 'ASSAULT' }, 400, 100],
    ['with a short title', { title: 'Hm' }, 400, 100],
    ['with a NUL', { description: 'SECRET\0' }, 400, 100],
    ['with half a surrogate pair', { title: 'SECRET \udc00' }, 400, 100],
    ['without a description', { description: null }, 400, 100],
    ['in the year 0', { incidentDateAndTime: '0000-01-01T00:00:00' }, 400, 100],
  ])('%s is refused and leaves nothing', async ([, change, status, code]) => {
    const answer = await create(change)
    expect([answer.status, answer.body.errorCode]).toEqual([status, code])
    expect(answer.text + writes.logged()).not.toContain('SECRET')
    expect(await writes.database.query('SELECT 1 FROM report')).toEqual([])
  })

  test('is made from the day on which the prison reports its type in DPS', async () => {
    await writes.call('PUT', '/rollout/MDI/ASSAULT_5', { dpsFrom: '2026-06-02' })
    expect((await create()).body).toMatchObject({ status: 409, errorCode: 306 })
    expect((await create({ type: 'FIRE_1' })).status).toBe(201)
    expect((await writes.call('GET', '/rollout/MDI/ASSAULT_5')).body).toMatchObject({
      reportedIn: 'NOMIS',
      cutOff: '2027-06-02',
      pastCutOff: false,
    })
    writes.today = '2026-06-02'
    expect((await create()).status).toBe(201)
  })
})

describe('the life of a report', () => {
  test('goes from draft through review, correction and closing to reopening and closing again', async () => {
    const { id } = await made()
    await taken(id, 'AWAITING_REVIEW')
    const back = await to(id, 'NEEDS_UPDATING', {
      descriptionOfChange: 'Say who',
      userAction: 'REQUEST_CORRECTION',
      userType: 'DATA_WARDEN',
    })
    expect(back.body).toMatchObject({
      status: 'NEEDS_UPDATING',
      latestUserAction: 'REQUEST_CORRECTION',
      correctionRequests: [{ sequence: 0, descriptionOfChange: 'Say who', correctionRequestedBy: 'TEST_USER001' }],
    })
    await taken(id, 'UPDATED', 'CLOSED')
    expect((await writes.call('PATCH', `/incident-reports/${id}`, { title: 'Another title' })).body).toMatchObject({
      status: 400,
      errorCode: 100,
    })
    await taken(id, 'REOPENED')
    expect((await writes.call('PATCH', `/incident-reports/${id}`, { title: 'Another title' })).body).toMatchObject({
      title: 'Another title',
    })
    await taken(id, 'WAS_CLOSED', 'CLOSED')
    const rows = await writes.database.query('SELECT status FROM status_history ORDER BY id')
    expect(rows.map(({ status }) => status)).toEqual([
      'DRAFT', 'AWAITING_REVIEW', 'NEEDS_UPDATING', 'UPDATED', 'CLOSED', 'REOPENED', 'WAS_CLOSED', 'CLOSED',
    ]) // prettier-ignore
  })

  test.for<[what: string, location: string, way: string[], refused: string, correction: object | undefined]>([
    ['a draft is not closed', 'MDI', [], 'CLOSED', undefined],
    ['a reporting officer does not close', 'MDI', ['AWAITING_REVIEW'], 'CLOSED', { userType: 'REPORTING_OFFICER' }],
    ['a recall does not close', 'MDI', ['AWAITING_REVIEW'], 'CLOSED', { userAction: 'RECALL' }],
    ['a duplicate needs its original', 'MDI', ['AWAITING_REVIEW'], 'DUPLICATE', { userAction: 'MARK_DUPLICATE' }],
    ['a closed report is not a draft again', 'MDI', ['AWAITING_REVIEW', 'CLOSED'], 'DRAFT', undefined],
    ['a report of a PECS region is not reviewed', 'NORTH', [], 'AWAITING_REVIEW', undefined],
    ['an unknown status', 'MDI', [], 'POST_INCIDENT_UPDATE', undefined],
  ])('%s', async ([, location, way, refused, correction]) => {
    const { id } = await made({ location })
    await taken(id, ...way)
    const given = correction === undefined ? undefined : { descriptionOfChange: 'Because', ...correction }
    expect((await to(id, refused, given)).body).toMatchObject({ status: 400, errorCode: 100 })
  })

  test('the same status again writes nothing', async () => {
    const { id, modifiedAt } = await made()
    expect((await to(id, 'DRAFT')).body).toMatchObject({ modifiedAt })
    expect(await writes.database.query('SELECT 1 FROM status_history')).toHaveLength(1)
  })

  test('a change of type archives the questions, destroys the prisoners involved and keeps the staff', async () => {
    const { id } = await made()
    await writes.call('PUT', `/incident-reports/${id}/questions`, [QUESTION])
    await writes.call('POST', `/incident-reports/${id}/prisoners-involved`, PRISONER)
    const staff = { firstName: 'Ivy', lastName: 'Stubbs', staffRole: 'WITNESS' }
    await writes.call('POST', `/incident-reports/${id}/staff-involved`, staff)
    const { body } = await writes.call('PATCH', `/incident-reports/${id}/type`, { newType: 'FIRE_1' })
    expect(body).toMatchObject({
      type: 'FIRE_1',
      questions: [],
      prisonersInvolved: [],
      staffInvolved: [staff],
      history: [{ type: 'ASSAULT_5', questions: [{ code: '45054', responses: [{ response: 'YES', label: 'Yes' }] }] }],
    })
    expect(await writes.database.query('SELECT 1 FROM historical_response')).toHaveLength(1)
  })

  test('made in error, it is deleted with everything of it, and what repeats it is left without the link', async () => {
    const [original, copy] = [await made(), await made()]
    await writes.call('PUT', `/incident-reports/${original.id}/questions`, [QUESTION])
    await writes.call('PATCH', `/incident-reports/${copy.id}`, { duplicatedReportId: original.id })
    expect((await writes.call('DELETE', `/incident-reports/${original.id}`)).body).toMatchObject({ id: original.id })
    expect(await writes.database.query('SELECT id, duplicated_report_id FROM report')).toEqual([
      { id: copy.id, duplicated_report_id: null },
    ])
    expect(await writes.database.query('SELECT 1 FROM response')).toEqual([])
    expect((await writes.call('DELETE', `/incident-reports/${original.id}`)).body).toMatchObject({ errorCode: 301 })
  })
})

describe('what belongs to a report (rule service.writes)', () => {
  test('a question that is there keeps its place; its responses are replaced; others go by their codes', async () => {
    const { id } = await made()
    const path = `/incident-reports/${id}/questions`
    await writes.call('PUT', path, [QUESTION, { ...QUESTION, code: 'second' }])
    const [before] = await writes.database.query('SELECT max(id) AS id FROM response')
    const again = {
      ...QUESTION,
      label: 'Changed',
      responses: [{ code: '2', response: 'NO', responseDate: '2026-05-01' }],
    }
    expect((await writes.call('PUT', path, [again])).body).toMatchObject([
      { code: '45054', sequence: 1, label: QUESTION.label, responses: [{ code: '2', sequence: 0, label: 'NO' }] },
      { code: 'second', sequence: 2 },
    ])
    expect(await writes.database.query('SELECT 1 FROM response WHERE id > $1', [before!['id']])).toHaveLength(1)
    expect((await writes.call('DELETE', `${path}?code=45054&code=none`)).body).toMatchObject([{ code: 'second' }])
  })

  test.for<[path: string, first: object, change: object]>([
    ['prisoners-involved', PRISONER, { outcome: 'ACCT', comment: 'Hurt' }],
    [
      'staff-involved',
      { firstName: 'Ivy', lastName: 'Stubbs', staffRole: 'WITNESS' },
      { staffUsername: 'TEST_USER009' },
    ],
    ['description-addendums', { firstName: 'Ivy', lastName: 'Stubbs', text: 'More' }, { text: 'Less' }],
    ['correction-requests', { descriptionOfChange: 'Say more' }, { userAction: 'HOLD' }],
  ])('%s are added, changed and removed by their place', async ([path, first, change]) => {
    const { id } = await made()
    const url = `/incident-reports/${id}/${path}`
    expect(await writes.call('POST', url, first)).toMatchObject({ status: 201, body: [{ sequence: 0, ...first }] })
    await writes.call('POST', url, first)
    expect((await writes.call('PATCH', `${url}/2`, change)).body).toMatchObject([first, { sequence: 1, ...change }])
    expect((await writes.call('DELETE', `${url}/1`)).body).toMatchObject([{ sequence: 1, ...change }])
    expect((await writes.call('PATCH', `${url}/2`, change)).body).toMatchObject({ status: 404, errorCode: 301 })
    expect((await writes.call('PATCH', `${url}/0`, change)).status).toBe(400)
  })
})

test('an addition without its author and time is the caller’s and of now, and stays so', async () => {
  const { id } = await made()
  const url = `/incident-reports/${id}/description-addendums`
  const unsaid = { createdBy: null, createdAt: null }
  const added = { createdBy: 'TEST_USER001', createdAt: '2026-06-01T13:00:00' }
  expect(
    (await writes.call('POST', url, { firstName: 'Ivy', lastName: 'Stubbs', text: 'More', ...unsaid })).body,
  ).toMatchObject([added])
  expect((await writes.call('PATCH', `${url}/1`, { text: 'Less', ...unsaid })).body).toMatchObject([
    { ...added, text: 'Less' },
  ])
})

describe('two at once', () => {
  test('who read an older report is told of the conflict, and exactly one of two wins', async () => {
    const { id, modifiedAt } = await made()
    const amend = (title: string) =>
      writes.app.inject({
        method: 'PATCH',
        url: `/incident-reports/${id}`,
        payload: { title },
        headers: { 'if-match': `"${modifiedAt}"` },
      })
    const both = await Promise.all([amend('First of two'), amend('Second of two')])
    expect(both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([200, 409])
    expect(both.find(({ statusCode }) => statusCode === 409)!.json()).toMatchObject({ status: 409, errorCode: 307 })
  })

  test('who does not say what they read changes what is there, one after the other', async () => {
    const { id } = await made()
    const all = await Promise.all(
      Array.from({ length: 8 }, () => writes.call('POST', `/incident-reports/${id}/prisoners-involved`, PRISONER)),
    )
    expect(all.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201))
    const rows = await writes.database.query('SELECT sequence FROM prisoner_involvement ORDER BY 1')
    expect(rows.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('who waits a second for a report that is held is told to try again', async () => {
    const { id } = await made()
    const holder = await writes.source.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM report WHERE id = $1 FOR UPDATE', [id])
    expect((await writes.call('PATCH', `/incident-reports/${id}`, { title: 'In vain' })).body).toMatchObject({
      status: 409,
      errorCode: 307,
    })
    await holder.query('ROLLBACK')
    holder.release()
  })
})

describe('who may', () => {
  const ELSEWHERE = { caseloads: new Set(['LEI']) }

  test('a report of another prison is not there, for no route', async () => {
    const { id } = await made()
    const path = `/incident-reports/${id}`
    const tries: [Parameters<Writes['call']>[0], string, unknown?][] = [
      ['PATCH', path, { title: 'Another title' }],
      ['PATCH', `${path}/status`, { newStatus: 'AWAITING_REVIEW' }],
      ['PATCH', `${path}/type`, { newType: 'FIRE_1' }],
      ['PUT', `${path}/questions`, [QUESTION]],
      ['DELETE', `${path}/questions?code=1`],
      ['POST', `${path}/prisoners-involved`, PRISONER],
      ['DELETE', `${path}/staff-involved/1`],
      ['DELETE', path],
    ]
    for (const [method, url, body] of tries) {
      expect((await writes.call(method, url, body, ELSEWHERE)).body, url).toMatchObject({ status: 404, errorCode: 301 })
    }
    expect(await writes.call('POST', '/incident-reports', REPORT, ELSEWHERE)).toMatchObject({ status: 403 })
    expect(await writes.call('PATCH', path, { location: 'LEI' }, { caseloads: new Set(['MDI']) })).toMatchObject({
      status: 403,
    })
    expect(await writes.database.query('SELECT 1 FROM report WHERE modified_at > created_at')).toEqual([])
  })

  test('a record of NOMIS is read-only; after its cut-off the admin role edits it, with before and after kept', async () => {
    await writes.call('PUT', '/rollout/MDI/ASSAULT_5', { dpsFrom: '2021-01-01', cutOffMonths: 6 })
    await writes.call('POST', '/sync/upsert', { id: null, initialMigration: true, incidentReport: nomisReport() })
    const path = `/incident-reports/${nomisReportId(247_314)}`
    const maintainer = { roles: new Set([MAINTAIN_REPORTS]) }
    const admin = { roles: new Set([MAINTAIN_REPORTS, ADMINISTER_REPORTS]), username: 'TEST_ADMIN' }
    const edit = { title: 'Corrected by hand' }
    for (const [method, url, body] of [
      ['PATCH', path, edit],
      ['PATCH', `${path}/status`, { newStatus: 'CLOSED' }],
      ['DELETE', path],
    ] as const) {
      expect((await writes.call(method, url, body, maintainer)).body).toMatchObject({ status: 409, errorCode: 304 })
    }
    writes.today = '2021-06-30'
    expect((await writes.call('PATCH', path, edit, admin)).body).toMatchObject({ status: 409, errorCode: 304 })
    writes.today = '2021-07-01'
    expect((await writes.call('PATCH', path, edit, admin)).body).toMatchObject({ ...edit, modifiedBy: 'TEST_ADMIN' })
    expect((await writes.call('PATCH', `${path}/status`, { newStatus: 'CLOSED' }, admin)).body).toMatchObject({
      status: 'CLOSED',
    })
    const edits = await writes.database.query('SELECT edited_by, before, after FROM migration.edit ORDER BY id')
    expect(edits).toMatchObject([
      {
        edited_by: 'TEST_ADMIN',
        before: { incident_title: nomisReport().title, incident_status: 'AWAN' },
        after: { incident_title: 'Corrected by hand' },
      },
      { before: { incident_status: 'AWAN' }, after: { incident_status: 'CLOSE' } },
    ])
  })

  test('a report that nobody has is not found, and an id that is none is not accepted', async () => {
    const none = '/incident-reports/0190a1b2-0000-7000-8000-000000000000'
    expect((await writes.call('PATCH', none, { title: 'Another title' })).body).toMatchObject({ errorCode: 301 })
    expect((await writes.call('PATCH', '/incident-reports/1', { title: 'Another title' })).body).toMatchObject({
      status: 400,
      errorCode: 100,
    })
  })
})
