import type { FastifyInstance } from 'fastify'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { ErrorResponse } from '../../api/errors.ts'
import { ReportPage, ReportWithDetails } from '../../api/shapes.ts'
import { PipelineError } from '../../core/error.ts'
import type { EntityRow } from '../../core/incident.ts'
import { testApi } from '../support/api.ts'
import { changesOf, DPS_INCIDENT, NOMIS_INCIDENT } from '../support/incidents.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { changeOf, dpsReport, nomisReport, prisoner, staff, uuid } from '../support/unified-rows.ts'

let store: TestDatabase
let database: pg.Pool
let app: FastifyInstance
let headers: Record<string, string>

/** Reports that a filter can tell apart; each has its own reference. */
const draft = dpsReport(21, {
  status: 'DRAFT',
  type: 'FIND_6',
  incidentDateAndTimeLocal: '2024-01-31T23:59:59.999999',
  reportedBy: 'DRAFTER',
})
const migrated = dpsReport(22, {
  reference: '99',
  createdIn: 'NOMIS',
  systemOfRecord: 'NOMIS',
  incidentDateAndTimeLocal: '2024-02-01T00:00:00.000000',
  reportedAtLocal: '2024-03-01T23:59:59.999999',
})
const hidden = nomisReport(99)
const refused = dpsReport(23, { lastUserAction: 'HOLD', incidentDateAndTimeLocal: '2003-02-01T00:00:00.000000' })

beforeAll(async () => {
  const involved = [
    prisoner(41, draft, { prisonerNumber: 'A1111AA', prisonerRole: 'FIGHTER' }),
    prisoner(42, draft, { prisonerNumber: 'A1111AA', prisonerRole: 'VICTIM' }),
    prisoner(43, hidden, { prisonerNumber: 'H1111AA' }),
    staff(44, migrated, { staffUsername: 'GUARD1' }),
  ]
  const refusal = new PipelineError('UNKNOWN_CODE', 'a code without counterpart', 'Correct it.')
  store = await filledStore([
    ...changesOf(DPS_INCIDENT.rows, [...NOMIS_INCIDENT.rows, draft, migrated, hidden, refused], involved),
    changeOf({ offset: 1000, lsn: 0x2_0000_0000, refusal }, prisoner(45, refused)),
  ])
  database = openDatabase(store.url)
  const api = await testApi({ database })
  app = api.app
  headers = await api.as()
})

afterAll(async () => {
  await app.close()
  await database.end()
  await store.drop()
})

async function get(path: string) {
  const answer = await app.inject({ method: 'GET', url: path, headers })
  return { status: answer.statusCode, headers: answer.headers, body: answer.json<Record<string, unknown>>() }
}

const page = async (query: string) => ReportPage.parse((await get(`/incident-reports?${query}`)).body)
const references = async (query: string) => (await page(query)).content.map((report) => report.reportReference)
const reference = (row: EntityRow) => String(row.value['reference'])

describe('a report with details has the shape that CatTool reads (rule service.reads)', () => {
  test('of DPS', async () => {
    const { status, body } = await get(`/incident-reports/${DPS_INCIDENT.report.id}/with-details`)
    expect(status).toBe(200)
    expect(ReportWithDetails.strict().parse(body)).toEqual({
      id: uuid(1),
      reportReference: '10000001',
      type: 'ASSAULT_5',
      incidentDateAndTime: '2024-07-01T12:34:56.789',
      location: 'MDI',
      title: 'Assault in the kitchen',
      description: 'A plate\twas thrown.\nIt \\broke\\ – nobody 🚨 was hurt.\r',
      reportedBy: 'REPORTER1',
      reportedAt: '2024-07-01T13:00:00',
      status: 'AWAITING_REVIEW',
      createdAt: '2024-07-01T13:00:00',
      modifiedAt: '2024-07-02T13:00:00.5',
      modifiedBy: 'EDITOR1',
      createdInNomis: false,
      lastModifiedInNomis: false,
      duplicatedReportId: uuid(2),
      latestUserAction: 'CLOSE',
      incomplete: false,
      descriptionAddendums: [
        {
          sequence: 0,
          createdBy: 'OFFICER1',
          createdAt: '2024-07-02T11:15:00',
          firstName: 'Bo',
          lastName: 'Officer',
          text: 'Healthcare was called by radio.',
        },
        {
          sequence: 1,
          createdBy: 'INCIDENT_REPORTING_API',
          createdAt: '2024-07-02T11:15:00',
          firstName: '',
          lastName: '',
          text: '',
        },
      ],
      questions: [
        {
          code: '44001',
          question: 'WAS THIS A SEXUAL ASSAULT',
          label: 'Was this a sexual assault?',
          sequence: 1,
          responses: [
            {
              code: '180006',
              response: 'YES',
              label: 'Yes',
              sequence: 0,
              responseDate: '2024-06-30',
              additionalInformation: 'Twice',
              recordedBy: 'unknown',
              recordedAt: '2024-07-01T13:00:00',
            },
            {
              code: '180007',
              response: 'NO',
              label: 'No',
              sequence: 1,
              responseDate: null,
              additionalInformation: null,
              recordedBy: 'REPORTER1',
              recordedAt: '2024-07-01T13:00:00',
            },
          ],
          additionalInformation: null,
        },
        // The same code once more (rule dps.duplicate-questions).
        {
          code: '44001',
          question: 'AGAIN',
          label: 'AGAIN',
          sequence: 1,
          responses: [],
          additionalInformation: null,
        },
      ],
      history: [],
      historyOfStatuses: [
        { status: 'DRAFT', changedAt: '2024-07-01T13:00:00', changedBy: 'unknown', nomisStatus: null },
        { status: 'AWAITING_REVIEW', changedAt: '2024-07-01T14:00:00', changedBy: 'REPORTER1', nomisStatus: null },
      ],
      incidentTypeHistory: [
        { type: 'BARRICADE_1', changedAt: '2024-07-01T13:10:00', changedBy: 'unknown' },
        { type: 'DISORDER_2', changedAt: '2024-07-01T13:30:00', changedBy: 'EDITOR1' },
      ],
      staffInvolved: [
        {
          sequence: 4,
          staffUsername: null,
          firstName: 'Bo',
          lastName: 'Officer',
          staffRole: 'WITNESS',
          comment: 'Saw it.',
        },
      ],
      prisonersInvolved: [
        {
          sequence: 2,
          prisonerNumber: 'B1234BC',
          firstName: 'Ann',
          lastName: 'Other',
          prisonerRole: 'VICTIM',
          outcome: null,
          comment: 'Hurt',
        },
        {
          sequence: 5,
          prisonerNumber: 'A1234BC',
          firstName: 'Ann',
          lastName: 'Other',
          prisonerRole: 'ASSAILANT',
          outcome: 'PLACED_ON_REPORT',
          comment: null,
        },
      ],
      correctionRequests: [
        {
          sequence: 0,
          descriptionOfChange: 'Say who called healthcare.',
          correctionRequestedBy: 'WARDEN1',
          correctionRequestedAt: '2024-07-02T09:00:00',
          location: 'LEI',
          userAction: 'REQUEST_CORRECTION',
          originalReportReference: '10000002',
          userType: 'DATA_WARDEN',
        },
        {
          sequence: 2,
          descriptionOfChange: 'NO DETAILS GIVEN',
          correctionRequestedBy: 'unknown',
          correctionRequestedAt: '2024-07-02T09:00:00',
          location: 'LEI',
          userAction: null,
          originalReportReference: null,
          userType: 'DATA_WARDEN',
        },
      ],
      staffInvolvementDone: false,
      prisonerInvolvementDone: true,
      nomisType: null,
      nomisStatus: null,
    })
  })

  test('of NOMIS: placeholders where it knows nothing, sequences counted within their parent', async () => {
    const { body } = await get(`/incident-reports/${NOMIS_INCIDENT.report.id}/with-details`)
    expect(ReportWithDetails.strict().parse(body)).toMatchObject({
      reportReference: '247314',
      incidentDateAndTime: '2004-02-29T00:00:00',
      location: '',
      title: 'NO DETAILS GIVEN',
      description: 'NO DETAILS GIVEN',
      reportedBy: 'unknown',
      modifiedBy: 'unknown',
      createdInNomis: true,
      lastModifiedInNomis: true,
      nomisType: 'ASSAULTS3',
      nomisStatus: 'INAN',
      staffInvolvementDone: true,
      prisonerInvolvementDone: true,
      questions: [
        { sequence: 1, question: '', label: '', responses: [] },
        {
          sequence: 2,
          question: 'WERE THERE INJURIES',
          responses: [
            { sequence: 0, response: '', label: '' },
            { sequence: 1, response: 'YES', recordedAt: '2024-07-01T13:00:00' },
          ],
        },
      ],
      historyOfStatuses: [{ status: 'ON_HOLD', changedBy: 'unknown', nomisStatus: 'INAN' }],
      staffInvolved: [{ sequence: 0 }, { sequence: 1, firstName: '', lastName: '' }],
      prisonersInvolved: [{ sequence: 0, prisonerNumber: '' }],
      history: [],
      incidentTypeHistory: [{ type: 'DISORDER_2', changedAt: '2024-07-01T13:30:00', changedBy: 'EDITOR1' }],
      correctionRequests: [
        { sequence: 0, location: null, userAction: null, userType: null },
        { sequence: 1, location: 'NOU' },
      ],
      descriptionAddendums: [{ sequence: 0, createdBy: 'INCIDENT_REPORTING_API', firstName: 'Bo' }],
    })
  })

  test('with includeHistory earlier types come with their questions, and the present questions stay theirs', async () => {
    const path = `/incident-reports/${DPS_INCIDENT.report.id}/with-details`
    const { history, ...rest } = ReportWithDetails.strict().parse((await get(`${path}?includeHistory=true`)).body)
    expect(history).toEqual([
      { type: 'BARRICADE_1', changedAt: '2024-07-01T13:10:00', changedBy: 'unknown', questions: [], nomisType: null },
      {
        type: 'DISORDER_2',
        changedAt: '2024-07-01T13:30:00',
        changedBy: 'EDITOR1',
        questions: [
          {
            code: '44001',
            question: 'WAS THIS A SEXUAL ASSAULT',
            label: 'Was this a sexual assault?',
            sequence: 1,
            responses: [
              {
                code: '180006',
                response: 'YES',
                label: 'Yes',
                sequence: 0,
                responseDate: '2024-06-30',
                additionalInformation: null,
                recordedBy: 'REPORTER1',
                recordedAt: '2024-07-01T13:00:00',
              },
            ],
            additionalInformation: null,
          },
        ],
        nomisType: null,
      },
    ])
    const without = (await get(`${path}?includeHistory=false`)).body
    expect(without).toEqual({ ...rest, history: [] })
  })

  test('of NOMIS the questions of an earlier type are counted within it', async () => {
    const path = '/incident-reports/reference/247314/with-details?includeHistory=true'
    expect((await get(path)).body['history']).toMatchObject([
      {
        type: 'DISORDER_2',
        nomisType: 'DISORDER1',
        questions: [
          { code: '44004', sequence: 1, responses: [{ sequence: 0, code: '180030' }] },
          { code: '45011', sequence: 2, responses: [] },
        ],
      },
    ])
  })

  test('found by id or by reference, with details or without', async () => {
    const byId = await get(`/incident-reports/${DPS_INCIDENT.report.id}/with-details`)
    expect((await get('/incident-reports/reference/10000001/with-details')).body).toEqual(byId.body)
    const basic = (await get('/incident-reports/reference/10000001')).body
    expect((await get(`/incident-reports/${DPS_INCIDENT.report.id}`)).body).toEqual(basic)
    expect(byId.body).toMatchObject(basic)
    expect(basic).not.toHaveProperty('questions')
  })

  test('a NOMIS report whose incident DPS took over is not there', async () => {
    expect((await get(`/incident-reports/${hidden.id}`)).status).toBe(404)
    expect((await get('/incident-reports/reference/99')).body).toMatchObject({ id: migrated.id })
    expect(await references('involvingPrisonerNumber=H1111AA')).toEqual([])
  })

  test('an incident with a dead letter says so', async () => {
    expect((await get(`/incident-reports/${refused.id}`)).body).toMatchObject({ incomplete: true })
    expect((await page('reference=10000023')).content).toMatchObject([{ incomplete: true }])
  })
})

test.for<[query: string, found: readonly EntityRow[]]>([
  ['', [DPS_INCIDENT.report, migrated, draft, NOMIS_INCIDENT.report, refused]],
  ['reference=247314', [NOMIS_INCIDENT.report]],
  ['reference=247', []],
  ['location=MDI', [DPS_INCIDENT.report]],
  ['location=MDI&location=LEI', [DPS_INCIDENT.report, migrated, draft, refused]],
  ['source=NOMIS', [migrated, NOMIS_INCIDENT.report]],
  ['status=DRAFT&status=ON_HOLD', [draft, NOMIS_INCIDENT.report]],
  ['type=FIND_6', [draft]],
  ['status=DRAFT&type=ASSAULT_5', []],
  ['incidentDateFrom=2024-02-01&incidentDateUntil=2024-02-01', [migrated]],
  ['incidentDateUntil=2024-01-31', [draft, NOMIS_INCIDENT.report, refused]],
  ['reportedDateFrom=2024-03-01&reportedDateUntil=2024-03-01', [migrated]],
  ['reportedByUsername=DRAFTER', [draft]],
  ['involvingStaffUsername=GUARD1', [migrated]],
  ['involvingPrisonerNumber=A1111AA', [draft]],
  ['involvingPrisonerRole=VICTIM', [DPS_INCIDENT.report, draft]],
  ['involvingPrisonerNumber=A1234BC&involvingPrisonerRole=VICTIM', [DPS_INCIDENT.report]],
  ['involvingPrisonerNumber=A1111AA&involvingPrisonerRole=ASSAILANT', []],
  ['userAction=HOLD', [refused]],
  ['status=&reference=&unheardOf=1', [DPS_INCIDENT.report, migrated, draft, NOMIS_INCIDENT.report, refused]],
])('reports are found by %s', async ([query, found]) => {
  expect(await references(query)).toEqual(found.map(reference))
})

test.for<[sort: string, echoed: string[], found: readonly EntityRow[]]>([
  [
    'sort=incidentDateAndTime,ASC',
    ['incidentDateAndTime,ASC'],
    [refused, NOMIS_INCIDENT.report, draft, migrated, DPS_INCIDENT.report],
  ],
  [
    'sort=reportReference,desc',
    ['reportReference,DESC'],
    [refused, draft, DPS_INCIDENT.report, NOMIS_INCIDENT.report, migrated],
  ],
  [
    'sort=reportReference',
    ['reportReference,ASC'],
    [migrated, NOMIS_INCIDENT.report, DPS_INCIDENT.report, draft, refused],
  ],
  [
    'sort=status,DESC&sort=reportReference,ASC',
    ['status,DESC', 'reportReference,ASC'],
    [NOMIS_INCIDENT.report, draft, migrated, DPS_INCIDENT.report, refused],
  ],
])('reports are sorted by %s, references by their number', async ([sort, echoed, found]) => {
  const answer = await page(sort)
  expect(answer.sort).toEqual(echoed)
  expect(answer.content.map((report) => report.reportReference)).toEqual(found.map(reference))
})

describe('pages', () => {
  test('say how many there are, whatever they show', async () => {
    const counts = ({ content, ...rest }: ReportPage) => ({ ...rest, content: content.length })
    const sort = ['incidentDateAndTime,DESC']
    const shown = { totalElements: 5, sort }
    expect(counts(await page('size=2&page=2'))).toEqual({
      ...shown,
      content: 1,
      number: 2,
      size: 2,
      totalPages: 3,
      numberOfElements: 1,
    })
    expect(counts(await page('size=2&page=9'))).toEqual({
      ...shown,
      content: 0,
      number: 9,
      size: 2,
      totalPages: 3,
      numberOfElements: 0,
    })
    expect(counts(await page(''))).toEqual({
      ...shown,
      content: 5,
      number: 0,
      size: 20,
      totalPages: 1,
      numberOfElements: 5,
    })
  })

  test('one after the other hold each report once: the id decides what the sort leaves open', async () => {
    const all: string[] = []
    for (let number = 0; number < 5; number++) all.push(...(await references(`size=1&sort=status,DESC&page=${number}`)))
    expect(all).toEqual([NOMIS_INCIDENT.report, draft, refused, migrated, DPS_INCIDENT.report].map(reference))
  })
})

type ReportPage = Awaited<ReturnType<typeof page>>

test.for<[path: string, message: string]>([
  ['?size=1001', 'Page size must be 1000 or less'],
  ['?size=0', 'size must be a whole number from 1'],
  ['?page=-1', 'page must be a whole number from 0'],
  ['?page=1&page=2', 'page must be a whole number from 0'],
  ['?page=99999999999', 'page is too large'],
  ['?reference=12a', 'reference must be 1 to 25 digits'],
  ['?location=X', 'location must have 2 to 20 characters'],
  ['?source=TAG', 'source must be one of DPS, NOMIS'],
  ['?incidentDateFrom=2023-02-29', 'incidentDateFrom must be a date like 2024-07-01'],
  ['?reportedDateUntil=0000-01-01', 'reportedDateUntil must be a date like 2024-07-01'],
  ['?involvingPrisonerNumber=A1', 'involvingPrisonerNumber must have 7 to 10 characters'],
  ['?involvingStaffUsername=ab', 'involvingStaffUsername must have 3 to 120 characters'],
  ['?location=AB%00', 'a parameter has a value that no row can have'],
  ['/not-a-uuid', 'the id of a report is a UUID'],
  ['/not-a-uuid/with-details', 'the id of a report is a UUID'],
  ['/reference/1/with-details?includeHistory=maybe', 'includeHistory must be true or false'],
  ['/reference/12a', 'reference must be 1 to 25 digits'],
  ['/%E0%A4%A', 'the request cannot be read'],
])('%s is refused with what is needed', async ([path, message]) => {
  const { status, body } = await get(`/incident-reports${path}`)
  expect([status, body]).toEqual([
    400,
    {
      status: 400,
      errorCode: 100,
      userMessage: `Validation failure: ${message}`,
      developerMessage: message,
      moreInfo: null,
    },
  ])
})

test.for(['status', 'type', 'involvingPrisonerRole', 'userAction', 'sort'])(
  'an unknown %s is refused with what is known, and not repeated',
  async (name) => {
    const { status, body } = await get(`/incident-reports?${name}=A1234BC`)
    expect(status).toBe(400)
    expect(body['developerMessage']).toMatch(new RegExp(`^${name} must be one of [A-Z]`, 'i'))
    expect(JSON.stringify(body)).not.toContain('A1234BC')
  },
)

test('whatever is asked, the service does not break', async () => {
  const names = [
    'reference',
    'location',
    'source',
    'status',
    'type',
    'incidentDateFrom',
    'reportedDateUntil',
    'page',
    'size',
    'sort',
    'involvingPrisonerNumber',
    'reportedByUsername',
  ]
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('9999-12-31', '0001-01-01', '1e3', '-0', 'NaN', ' 5', "'", '__proto__'),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 4 }), async (pairs) => {
      const query = pairs.map(([name, given]) => `${name}=${encodeURIComponent(given.toWellFormed())}`).join('&')
      const { status, body } = await get(`/incident-reports?${query}`)
      expect([200, 400]).toContain(status)
      if (status === 400) ErrorResponse.parse(body)
    }),
    { numRuns: 200 },
  )
})

test('a report that is not there is told as the present service tells it', async () => {
  expect((await get(`/incident-reports/${uuid(999)}`)).body).toEqual({
    status: 404,
    errorCode: 301,
    userMessage: 'There is no report found',
    developerMessage: 'There is no report found',
    moreInfo: null,
  })
  expect((await get('/nowhere')).body).toMatchObject({ status: 404, moreInfo: null })
})

test('every incident of a model with a stopped table says so', async () => {
  const incomplete = async () =>
    (await page('')).content.filter((report) => report.incomplete).map((report) => report.reportReference)
  const before = await incomplete()
  await store.query('ALTER TABLE prisons.incidents_place ADD COLUMN IF NOT EXISTS stopped text[]')
  expect(await incomplete()).toEqual(before)
  await store.query(`UPDATE prisons.incidents_place SET stopped = ARRAY['nomis.incident_cases']`)
  expect((await incomplete()).toSorted()).toEqual([...before, '247314'].toSorted())
  await store.query(`UPDATE prisons.incidents_place SET stopped = '{}'`)
  expect(await incomplete()).toEqual(before)
})

test('every answer says how new it is: the oldest of the partitions’ newest markers', async () => {
  const places = await store.query<{ at: string; marker: string }>(
    `SELECT marker, to_char(marker_committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
     FROM prisons.incidents_place ORDER BY marker LIMIT 1`,
  )
  const [high, low] = [places[0]!.marker.slice(5, 13), places[0]!.marker.slice(13, 21)]
  const lsn = [high, low].map((half) => Number.parseInt(half, 16).toString(16).toUpperCase()).join('/')
  for (const path of ['', `/${DPS_INCIDENT.report.id}/with-details`, `/${uuid(999)}`]) {
    const { headers } = await get(`/incident-reports${path}`)
    expect(headers).toMatchObject({ 'x-data-as-of': places[0]!.at, 'x-source-lsn': lsn })
  }
})
