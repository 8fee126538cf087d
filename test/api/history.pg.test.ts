import { fastify, type FastifyInstance } from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../api/database.ts'
import { answerErrors } from '../../api/errors.ts'
import { historyRoutes, IncidentHistory } from '../../api/history.ts'
import { IncidentLineage, lineageRoutes } from '../../api/lineage.ts'
import type { Row } from '../../core/change.ts'
import type { IncidentChange } from '../../core/incident.ts'
import { position } from '../../core/position.ts'
import { unify } from '../../transforms/unify.ts'
import { filledStore } from '../support/operational.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { rowChange, sourceRow, type UnifiedTable } from '../support/source-rows.ts'

let store: TestDatabase
let database: pg.Pool
let app: FastifyInstance
let caseloads: ReadonlySet<string> | null = null

const report = sourceRow('public.report')
const id = String(report['id'])
const question = sourceRow('public.question')
const response = sourceRow('public.response')
const answered = { ...response, response: 'NO', code: '218712', label: 'No' }
const closed = { ...report, status: 'CLOSED', modified_by: 'CLOSER_GEN', modified_at: '2024-01-17 11:00:00' }
const staff = sourceRow('public.staff_involvement')

/** Transactions, each of some changes of one row: a table, the row before and the row after. */
const TRANSACTIONS: readonly (readonly (readonly [UnifiedTable, Row | null, Row | null])[])[] = [
  [
    ['public.report', null, report],
    ['public.question', null, question],
    ['public.response', null, response],
    ['public.staff_involvement', null, staff],
  ],
  [
    ['public.report', report, { ...report, modified_by: 'USER3_GEN' }],
    ['public.response', response, answered],
  ],
  [['public.report', { ...report, modified_by: 'USER3_GEN' }, closed]],
  [['public.staff_involvement', staff, null]],
]

function changes(): IncidentChange[] {
  let offset = 0
  return TRANSACTIONS.flatMap((rows, transaction) =>
    rows.map(([table, before, after], n) =>
      unify({
        ...rowChange(table, { before, after }),
        offset: offset++,
        lsn: 0x16_b374_0000 + 256 * transaction + 8 * n,
        txId: 500 + transaction,
        committedAt: 1_721_000_000_000_000 + transaction * 1_000_000,
        position: position(1, 0x16_b374_0000 + 256 * transaction, n + 1),
        lastInTransaction: n === rows.length - 1,
      }),
    ),
  )
}

const snapshot = unify({
  ...rowChange('nomis.incident_cases', { after: sourceRow('nomis.incident_cases'), op: 'r' }),
  txId: 0,
  position: position(1, 0x16_b370_0000, 0),
})

beforeAll(async () => {
  store = await filledStore([snapshot, ...changes()])
  database = openDatabase(store.url)
  app = fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.addHook('onRequest', async (request) => {
    request.caller = { username: 'READER_GEN', clientId: 'test', roles: new Set(), scopes: new Set(), caseloads }
  })
  answerErrors(app)
  historyRoutes(app, database)
  lineageRoutes(app, { database, rawTopic: 'incidents.raw' })
  await app.ready()
})

afterAll(async () => {
  await app.close()
  await database.end()
  await store.drop()
})

const get = (path: string) => app.inject({ method: 'GET', url: `/incident-reports/${path}` })
const historyOf = async (path: string) => IncidentHistory.strict().parse((await get(`${path}/history`)).json())
const lineageOf = async (path: string) => IncidentLineage.strict().parse((await get(`${path}/lineage`)).json())

describe('the history of an incident', () => {
  test('tells every amendment in order: who, when, where in the source, and both values of what differs', async () => {
    const { amendments, knownSince } = await historyOf(id)
    expect(amendments.map(({ entity, what, changedBy }) => [entity, what, changedBy])).toEqual([
      ['Report', 'created', 'USER2_GEN'],
      ['Question', 'created', 'USER2_GEN'],
      ['Response', 'created', 'USER2_GEN'],
      ['StaffInvolvement', 'created', 'USER2_GEN'],
      ['Report', 'changed', 'USER3_GEN'],
      ['Response', 'changed', 'USER3_GEN'],
      ['Report', 'changed', 'CLOSER_GEN'],
      ['StaffInvolvement', 'removed', null],
    ])
    expect(amendments[5]).toEqual({
      entity: 'Response',
      id: expect.any(String) as string,
      what: 'changed',
      model: 'DPS',
      sourceTable: 'public.response',
      changedBy: 'USER3_GEN',
      readOutsideStream: false,
      position: '0001/00000016b3740100/00000002',
      lsn: '16/B3740108',
      transactionId: 501,
      committedAt: '2024-07-14T23:33:21.000000Z',
      before: { response: 'YES', code: '218711', label: 'Yes' },
      after: { response: 'NO', code: '218712', label: 'No' },
    })
    expect(knownSince).toBe('2024-07-14T23:33:20.000000Z')
  })

  test('gives a row as it was made, although later changes have gone over it', async () => {
    const { amendments, questions } = await historyOf('reference/10000042')
    expect(amendments[0]!.after).toMatchObject({
      status: 'AWAITING_REVIEW',
      modifiedBy: 'USER2_GEN',
      modifiedAtLocal: '2024-01-16T10:00:00.5',
      modifiedAt: '2024-01-16T10:00:00.5Z',
    })
    expect(amendments[2]!.after).toMatchObject({ response: 'YES', recordedAtLocal: '2024-01-15T09:30:00' })
    expect(questions[0]!.responses[0]!.response, 'as it is now').toBe('NO')
  })

  test('gives a row that is gone as it was made and as it went', async () => {
    const { amendments } = await historyOf(id)
    expect(amendments[3]!.after).toEqual(amendments[7]!.before)
    expect(amendments[7]!.before).toMatchObject({ staffUsername: 'STAFF1_GEN', comment: 'Saw it.' })
  })

  test('says of rows read outside the stream that they were', async () => {
    const { amendments } = await historyOf('reference/247314')
    expect(amendments.map((each) => [each.readOutsideStream, each.transactionId, each.changedBy])).toEqual(
      amendments.map(() => [true, null, null]),
    )
    expect(amendments.map(({ what }) => what)).toContain('created')
  })
})

describe('the lineage of an incident', () => {
  test('names for each row the WAL position, transaction, commit and record that made it', async () => {
    const { rows, elsewhere } = await lineageOf(id)
    expect(rows.map(({ entity, lsn, transactionId, offset }) => [entity, lsn, transactionId, offset])).toEqual([
      ['Report', '16/B3740200', 502, 6],
      ['Question', '16/B3740008', 500, 1],
      ['Response', '16/B3740108', 501, 5],
    ])
    expect(rows[0]).toMatchObject({
      storeTable: 'prisons.incidents_report',
      sourceKey: id,
      topic: 'incidents.raw',
      partition: 3,
      committedAt: '2024-07-14T23:33:22.000000Z',
      rulesVersion: 7,
    })
    expect(elsewhere).toBe('incidents lineage 10000042')
  })

  test('says of a row read outside the stream that no transaction is known', async () => {
    const { rows } = await lineageOf('reference/247314')
    expect(new Set(rows.map((row) => row.transactionId))).toEqual(new Set([null]))
  })
})

test.for(['history', 'lineage'])(
  '%s of a prison that is not the caller’s, or of no report, is not found',
  async (what) => {
    expect((await get(`reference/1/${what}`)).statusCode).toBe(404)
    caseloads = new Set(['LEI'])
    expect((await get(`${id}/${what}`)).statusCode).toBe(404)
    caseloads = new Set(['MDI'])
    expect((await get(`${id}/${what}`)).statusCode).toBe(200)
    caseloads = null
  },
)
