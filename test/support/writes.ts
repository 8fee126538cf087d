/** The writing routes on an incident database of their own, called by whoever the test says. */
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import type pg from 'pg'
import type { Caller } from '../../api/access.ts'
import { answerErrors } from '../../api/errors.ts'
import * as ROLES from '../../api/roles.ts'
import { openSource } from '../../api/source.ts'
import { writeRoutes } from '../../api/write-routes.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import type { NomisReport } from '../../schemas/nomis-payload.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'

export interface Answer {
  readonly status: number
  // eslint-disable-next-line
  readonly body: any
  readonly text: string
}

export interface Writes {
  readonly database: TestDatabase
  readonly source: pg.Pool
  readonly app: FastifyInstance
  /** Everything that was logged. */
  readonly logged: () => string
  today: string
  /** Nothing is there any more, and it is the first of June 2026. */
  reset(): Promise<void>
  call(
    method: NonNullable<InjectOptions['method']>,
    path: string,
    body?: unknown,
    as?: Partial<Caller>,
  ): Promise<Answer>
  close(): Promise<void>
}

export const SOMEBODY: Caller = {
  username: 'TEST_USER001',
  clientId: 'test',
  roles: new Set(Object.values(ROLES)),
  scopes: new Set(['read', 'write']),
  caseloads: null,
}

const FIRST_DAY = '2026-06-01'

/** What everything else that is written hangs on. */
const ROOTS = [
  'public.report',
  'nomis.incident_cases',
  'nomis.questionnaires',
  ...['incident_mapping', 'rollout', 'edit', 'migration_history', 'migration_failure', 'comparison', 'difference'].map(
    (table) => `migration.${table}`,
  ),
]

export async function openWrites(): Promise<Writes> {
  const database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
  const source = openSource(database.url)
  let caller = SOMEBODY
  let log = ''
  const app = fastify({ logger: { level: 'debug', stream: { write: (line: string) => void (log += line) } } })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  answerErrors(app)
  app.decorateRequest('caller')
  app.decorateRequest('subject', null)
  app.addHook('onRequest', async (request) => void (request.caller = caller))
  const writes: Writes = {
    database,
    source,
    app,
    logged: () => log,
    today: FIRST_DAY,
    reset: async () => {
      writes.today = FIRST_DAY
      await database.query(`TRUNCATE ${ROOTS.join(', ')} CASCADE`)
    },
    call: async (method, url, body, as = {}) => {
      caller = { ...SOMEBODY, ...as }
      const raw = typeof body === 'string'
      const answer = await app.inject({
        method,
        url,
        ...(body === undefined
          ? {}
          : { payload: raw ? body : JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
      const text = answer.body
      return { status: answer.statusCode, text, body: text === '' ? null : JSON.parse(text) }
    },
    close: async () => {
      await app.close()
      await source.end()
      await database.drop()
    },
  }
  writeRoutes(app, { source, clock: () => new Date(`${writes.today}T12:00:00Z`) })
  await app.ready()
  return writes
}

const STAFF = { username: 'TEST_USER002', staffId: 4711, firstName: 'Hazel', lastName: 'Sampleton' }
const STAMPS = { createDateTime: '2020-03-04T10:00:00', createdBy: 'TEST_USER002' }

/** An incident with one of everything. */
export function nomisReport(change: Partial<NomisReport> = {}): NomisReport {
  const answer = {
    questionResponseId: 9001,
    answer: 'YES',
    responseDate: '2020-03-02',
    comment: 'seen',
    recordingStaff: STAFF,
  }
  return {
    incidentId: 247_314,
    questionnaireId: 1006,
    title: 'An assault on the wing',
    description: 'Somebody hit somebody.',
    prison: { code: 'MDI', description: 'Moorland' },
    status: { code: 'AWAN', description: 'Awaiting Analysis' },
    type: 'ASSAULTS3',
    lockedResponse: false,
    incidentDateTime: '2020-03-03T23:59:59.600',
    reportingStaff: STAFF,
    reportedDateTime: '2020-03-04T09:30:00',
    ...STAMPS,
    lastModifiedDateTime: null,
    lastModifiedBy: null,
    followUpDate: '2020-04-01',
    staffParties: [{ staff: STAFF, sequence: 1, role: { code: 'AI', description: '' }, comment: null, ...STAMPS }],
    offenderParties: [
      {
        offender: { offenderNo: 'T0001AA', firstName: 'Fern', lastName: 'Fixture' },
        sequence: 2,
        role: { code: 'PERP', description: '' },
        outcome: { code: 'ACCT', description: '' },
        comment: 'shouted',
        ...STAMPS,
      },
    ],
    requirements: [
      {
        sequence: 1,
        comment: 'say more',
        recordedDate: '2020-03-05T08:00:00',
        staff: STAFF,
        prisonId: 'MDI',
        ...STAMPS,
      },
    ],
    questions: [
      {
        questionId: 900,
        sequence: 1,
        question: 'WAS THIS A SEXUAL ASSAULT',
        createDateTime: STAMPS.createDateTime,
        createdBy: STAMPS.createdBy,
        answers: [{ ...answer, sequence: 1, ...STAMPS }],
      },
    ],
    history: [
      {
        questionnaireId: 1001,
        type: 'ABSCOND',
        description: 'Abscond',
        incidentChangeDateTime: '2020-03-04T12:00:00',
        incidentChangeStaff: STAFF,
        ...STAMPS,
        questions: [
          {
            questionId: 100,
            sequence: 1,
            question: 'WHERE',
            answers: [{ ...answer, questionResponseId: 1001, responseSequence: 1 }],
          },
        ],
      },
    ],
    ...change,
  }
}
