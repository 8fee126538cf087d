import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { nomisReportId } from '../../api/sync.ts'
import type { NomisReport } from '../../schemas/nomis-payload.ts'
import { nomisReport, openWrites, type Answer, type Writes } from '../support/writes.ts'

let writes: Writes

beforeAll(async () => {
  writes = await openWrites()
})
afterAll(() => writes.close())
beforeEach(async () => {
  await writes.reset()
})

const ID = nomisReportId(247_314)

const upsert = (report: NomisReport, more: { id?: string | null; initialMigration?: boolean } = {}): Promise<Answer> =>
  writes.call('POST', '/sync/upsert', { id: null, incidentReport: report, ...more })

const made = async (change: Partial<NomisReport> = {}): Promise<void> => {
  expect(await upsert(nomisReport(change))).toMatchObject({ status: 201, body: { id: ID } })
}

/** Every row of the legacy incident tables with the transaction that wrote it. */
async function held(): Promise<Record<string, unknown[]>> {
  const tables = [
    'incident_cases',
    'incident_case_parties',
    'incident_case_questions',
    'incident_case_responses',
    'incident_case_requirements',
    'incident_questionnaire_hty',
    'incident_que_question_hty',
    'incident_que_response_hty',
  ]
  const found: Record<string, unknown[]> = {}
  for (const table of tables) {
    found[table] = await writes.database.query(`SELECT xmin::text, to_jsonb(t) AS row FROM nomis.${table} t ORDER BY t`)
  }
  return found
}

const counts = async () => Object.values(await held()).map((rows) => rows.length)

async function rollout(dpsFrom: string, { prison = 'MDI', type = 'ASSAULT_5', cutOffMonths = 12 } = {}): Promise<void> {
  expect((await writes.call('PUT', `/rollout/${prison}/${type}`, { dpsFrom, cutOffMonths })).status).toBe(200)
}

describe('an incident that is new', () => {
  test('is made with everything that belongs to it and its mapping, in one transaction (rule nomis.payload)', async () => {
    await made()
    const rows = await held()
    expect(Object.values(rows).map((each) => each.length)).toEqual([1, 2, 1, 1, 1, 1, 1, 1])
    expect(rows['incident_cases']![0]).toMatchObject({
      row: {
        incident_case_id: 247_314,
        // to the second, never rounded into another day (rule nomis.moments)
        incident_date: '2020-03-03T00:00:00',
        incident_time: '2020-03-03T23:59:59',
        staff_username: 'TEST_USER002',
        response_locked_flag: 'N',
      },
    })
    expect(rows['incident_case_parties']).toMatchObject([
      { row: { party_seq: 1, staff_id: 4711, offender_no: null } },
      { row: { party_seq: 2, staff_id: null, offender_no: 'T0001AA', outcome_code: 'ACCT' } },
    ])
    expect(rows['incident_questionnaire_hty']).toMatchObject([
      { row: { type: 'ABSCOND', staff_username: 'TEST_USER002' } },
    ])
    expect(
      new Set(
        Object.values(rows)
          .flat()
          .map((each) => (each as { xmin: string }).xmin),
      ).size,
    ).toBe(1)
    expect(await writes.database.query('SELECT * FROM migration.incident_mapping')).toMatchObject([
      { incident_id: ID, nomis_incident_id: '247314', mapping_type: 'NOMIS_CREATED' },
    ])
  })

  test('has room for the longest question set (rule dps.question-sets)', async () => {
    const [question] = nomisReport().questions
    const questions = Array.from({ length: 111 }, (_, i) => ({ ...question!, answers: [], sequence: i }))
    const incidentReport = { ...nomisReport(), questions }
    expect((await writes.call('POST', '/sync/upsert', { id: null, incidentReport })).status).toBe(201)
    expect((await held())['incident_case_questions']).toHaveLength(111)
  })

  test('a second time is there already, and is told its id (rule nomis.sync)', async () => {
    await made()
    const before = await held()
    expect(await upsert(nomisReport({ title: 'Another' }))).toMatchObject({
      status: 409,
      body: { status: 409, errorCode: 302, moreInfo: ID },
    })
    expect(await held()).toEqual(before)
  })

  test('twice at once is made once', async () => {
    const both = await Promise.all(Array.from({ length: 6 }, () => upsert(nomisReport())))
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409, 409, 409, 409])
    expect(await counts()).toEqual([1, 2, 1, 1, 1, 1, 1, 1])
  })

  test('with an id is not found, and with an id in the initial migration it is not accepted', async () => {
    expect(await upsert(nomisReport(), { id: ID })).toMatchObject({ status: 404, body: { errorCode: 301 } })
    expect(await upsert(nomisReport(), { id: ID, initialMigration: true })).toMatchObject({
      status: 400,
      body: { errorCode: 100 },
    })
    expect(await counts()).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  })

  test('is not made where DPS has a report of this reference', async () => {
    await writes.database.query(
      `INSERT INTO report (id, report_reference, title, description, location, type, status, incident_date_and_time,
         reported_at, reported_by, created_at, modified_by)
       VALUES (gen_random_uuid(), '247314', '', '', 'MDI', 'ASSAULT_5', 'DRAFT', now(), now(), 'X', now(), 'X')`,
    )
    expect(await upsert(nomisReport())).toMatchObject({ status: 409, body: { errorCode: 302 } })
    expect(await upsert(nomisReport(), { id: ID })).toMatchObject({ status: 409, body: { errorCode: 303 } })
    expect(await upsert(nomisReport({ incidentId: 10_000_000 }))).toMatchObject({
      status: 409,
      body: { errorCode: 303 },
    })
  })
})

describe('an incident that is there', () => {
  test('is changed in place: what is there is updated, what is new inserted, what is gone deleted', async () => {
    await made()
    const [first] = (await held())['incident_questionnaire_hty'] as { row: { incident_questionnaire_id: number } }[]
    const { offenderParties, questions, history } = nomisReport()
    const changed = nomisReport({
      title: 'Another title',
      staffParties: [],
      offenderParties: [...offenderParties, { ...offenderParties[0]!, sequence: 3 }],
      requirements: [],
      questions: [{ ...questions[0]!, sequence: 2 }],
      history: [...history, { ...history[0]!, incidentChangeDateTime: '2020-03-04T13:00:00', questions: [] }],
    })
    expect(await upsert(changed, { id: ID })).toMatchObject({ status: 200, body: { id: ID } })
    const rows = await held()
    expect(Object.values(rows).map((each) => each.length)).toEqual([1, 2, 1, 1, 0, 2, 1, 1])
    expect(rows['incident_questionnaire_hty']).toMatchObject([
      { row: { incident_questionnaire_id: first!.row.incident_questionnaire_id } },
      { row: { change_date: '2020-03-04T13:00:00' } },
    ])
    expect(await upsert(nomisReport({ history: [] }), { id: ID })).toMatchObject({ status: 200 })
    expect(await counts()).toEqual([1, 2, 1, 1, 1, 0, 0, 0])
  })

  test('is not written at all where the payload says nothing new', async () => {
    await made()
    const before = await held()
    expect((await upsert(nomisReport(), { id: ID })).status).toBe(200)
    expect(await held()).toEqual(before)
  })

  test('changed by several at once is what one of them said, whole', async () => {
    await made()
    const titles = Array.from({ length: 6 }, (_, i) => `Title ${i}`)
    const all = await Promise.all(
      titles.map((title) =>
        upsert(nomisReport({ title, requirements: [{ ...nomisReport().requirements[0]!, comment: title }] }), {
          id: ID,
        }),
      ),
    )
    expect(all.map(({ status }) => status)).toEqual(titles.map(() => 200))
    const rows = await held()
    const { incident_title: title } = (rows['incident_cases']![0] as { row: { incident_title: string } }).row
    expect(titles).toContain(title)
    expect(rows['incident_case_requirements']).toMatchObject([{ row: { comment_text: title } }])
  })

  test('is taken out with everything when NOMIS deletes it', async () => {
    await made()
    expect((await writes.call('DELETE', `/sync/${ID}`)).status).toBe(204)
    expect(await counts()).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
    expect((await writes.call('DELETE', `/sync/${ID}`)).body).toMatchObject({ status: 404, errorCode: 301 })
  })
})

describe('the drip-feed', () => {
  const CLOSED = { status: { code: 'CLOSE', description: '' } }

  test.for<[what: string, first: Partial<NomisReport>, then: Partial<NomisReport>, code: number | null]>([
    ['open, changed', {}, { title: 'B' }, null],
    ['open, closed now', {}, CLOSED, null],
    ['closed, said again', CLOSED, CLOSED, null],
    ['closed, changed', CLOSED, { ...CLOSED, title: 'B' }, 304],
    ['closed, open again', CLOSED, { title: 'B' }, null],
  ])('while NOMIS works on it: %s', async ([, first, then, code]) => {
    await made(first)
    const before = await held()
    const { status, body } = await upsert(nomisReport(then), { id: ID })
    expect([status, body.errorCode ?? null]).toEqual(code === null ? [200, null] : [409, code])
    // a refusal leaves everything as it was
    expect(code === null ? before : await held()).toEqual(before)
  })

  test('ends on the day of the cut-off, for changes, new incidents and deletions', async () => {
    await made()
    await rollout('2025-08-31', { cutOffMonths: 6 }) // six months on is a month without a 31st
    writes.today = '2026-02-27'
    expect((await upsert(nomisReport({ title: 'B' }), { id: ID })).status).toBe(200)
    writes.today = '2026-02-28'
    const before = await held()
    expect((await upsert(nomisReport({ title: 'C' }), { id: ID })).body).toMatchObject({ status: 409, errorCode: 305 })
    expect((await upsert(nomisReport({ incidentId: 5 }))).body).toMatchObject({ status: 409, errorCode: 305 })
    expect((await writes.call('DELETE', `/sync/${ID}`)).body).toMatchObject({ status: 409, errorCode: 305 })
    expect(await held()).toEqual(before)
    // the old ones are still brought over
    expect((await upsert(nomisReport({ incidentId: 5 }), { initialMigration: true })).status).toBe(201)
  })

  test('brings no incident that NOMIS made after the prison had moved', async () => {
    await rollout('2020-03-04')
    expect((await upsert(nomisReport())).body).toMatchObject({ status: 409, errorCode: 306 })
    expect(
      (await upsert(nomisReport({ createDateTime: '2020-03-03T23:59:59' }), { initialMigration: true })).status,
    ).toBe(201)
  })
})

describe('what cannot be stored or understood', () => {
  const many = <T>(count: number, item: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => item(i))
  const [question] = nomisReport().questions
  const [party] = nomisReport().offenderParties

  test.for<[what: string, change: object]>([
    ['a number as text', { incidentId: '247314' }],
    ['a number too large', { incidentId: 2 ** 53 }],
    ['no incident', { incidentId: 0 }],
    ['an unknown type', { type: 'SECRETTYPE' }],
    ['a DPS type', { type: 'ASSAULT_5' }],
    ['an unknown status', { status: { code: 'IUP', description: '' } }],
    ['an unknown role', { offenderParties: [{ ...party!, role: { code: 'DRONE', description: '' } }] }],
    ['a staff role for a prisoner', { offenderParties: [{ ...party!, role: { code: 'AI', description: '' } }] }],
    ['an unknown outcome', { offenderParties: [{ ...party!, outcome: { code: 'SECRET', description: '' } }] }],
    ['ten thousand questions', { questions: many(10_000, (i) => ({ ...question!, answers: [], sequence: i })) }],
    ['a NUL', { title: 'SECRET\0' }],
    ['half a surrogate pair', { description: 'SECRET\ud800' }],
    ['a title too long', { title: 'SECRET'.repeat(41) }],
    ['the year 0', { incidentDateTime: '0000-01-01T00:00:00' }],
    ['the year 10000', { incidentDateTime: '10000-01-01T00:00:00' }],
    ['a day that is none', { followUpDate: '2023-02-29' }],
    ['a time with a zone', { reportedDateTime: '2023-02-28T10:00:00Z' }],
    ['a sequence twice', { offenderParties: [party!, party!] }],
    ['a sequence of staff and prisoner', { offenderParties: [{ ...party!, sequence: 1 }] }],
    ['a questionnaire of another type', { questionnaireId: 1001 }],
    ['no list', { questions: null }],
  ])('%s is answered 400 without a word of it, and nothing is written', async ([, change]) => {
    const { status, body, text } = await writes.call('POST', '/sync/upsert', {
      id: null,
      incidentReport: { ...nomisReport(), ...change },
    })
    expect([status, body.status, body.errorCode]).toEqual([400, 400, 100])
    expect(text + writes.logged()).not.toContain('SECRET')
    expect(await counts()).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  })

  test.for<[what: string, body: string, status: number]>([
    ['no JSON', '{"id": null, "incidentReport": {', 400],
    ['nothing', 'null', 400],
    [
      'ten megabytes',
      JSON.stringify({ id: null, incidentReport: { ...nomisReport(), title: 'x'.repeat(10 << 20) } }),
      413,
    ],
  ])('%s', async ([, body, status]) => {
    const answer = await writes.call('POST', '/sync/upsert', body)
    expect([answer.status, answer.body.status]).toEqual([status, status])
  })

  test('markup is text like any other', async () => {
    await made({ title: `<script>alert('x')</script> '); DROP TABLE report; --` })
    expect((await held())['incident_cases']).toMatchObject([
      { row: { incident_title: `<script>alert('x')</script> '); DROP TABLE report; --` } },
    ])
  })
})
