import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseConfig } from '../config.ts'
import { initSource } from '../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../observability.ts'
import { capture, governed } from '../pipeline.ts'
import { embeddedRuntime, type Runtime } from '../runtime.ts'
import { runTransactions, seedReports, type Transaction } from '../workload/load.ts'
import { freePort } from '../workload/postgres.ts'
import { random } from '../workload/random.ts'
import { environmentOf } from './support/agreement.ts'
import { temporaryDirectory } from './support/capture.ts'
import { auditedTransactions, startAudit } from './support/event-audit.ts'
import { everyEvent, expectAudited, untilRead } from './support/events.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'
import { startStage } from './support/processes.ts'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let environment: Record<string, string>
let pool: pg.Pool
const toClose: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  environment = environmentOf(database, directory.path, await freePort())
  pool = new pg.Pool({ connectionString: database.url, max: 1 })
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 60 })
  await client.end()
  await startAudit(database)
})

afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
  await pool.end()
  await database.drop()
  await directory.remove()
})

async function openRuntime(): Promise<Runtime> {
  const config = parseConfig(environment)
  const runtime = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
  toClose.push(() => runtime.transport.close())
  return runtime
}

/** A stage in this process; it ends with the test. */
function running(stage: (signal: AbortSignal) => Promise<void>): void {
  const stop = new AbortController()
  const ended = stage(stop.signal)
  ended.catch(() => {}) // told where it is awaited
  toClose.push(() => {
    stop.abort()
    return ended
  })
}

const CREATED = ['created ANYTHING']
const DELETED = ['deleted ANYTHING']
const PEOPLE = ['amended PRISONERS_INVOLVED', 'amended STAFF_INVOLVED']

/**
 * What the service's and NOMIS's ways of writing (rule dps.writes) are told as; a report that repeats a deleted one is
 * amended too.
 */
const TOLD: Readonly<Record<string, readonly string[]>> = {
  'create-report': CREATED,
  'amend-report': ['amended BASIC_REPORT'],
  'change-status': ['amended STATUS'],
  'mark-duplicate': ['amended STATUS'],
  'change-type': ['amended TYPE'],
  'answer-again': ['amended QUESTIONS'],
  'answer-questions': ['amended QUESTIONS'],
  'remove-questions': ['amended QUESTIONS'],
  'add-people': PEOPLE,
  'change-people': PEOPLE,
  'add-addendum': ['amended DESCRIPTION_ADDENDUMS'],
  'delete-report': [...DELETED, 'amended BASIC_REPORT'],
  'merge-prisoner': ['amended PRISONERS_INVOLVED'],
  'fix-data': ['amended QUESTIONS'],
  'mark-response': [],
  'create-case': CREATED,
  'upsert-case': ['amended TYPE', 'amended STATUS', 'amended QUESTIONS', ...PEOPLE, 'amended BASIC_REPORT'],
  'case-status': ['amended STATUS', 'amended BASIC_REPORT'],
  'case-details': ['amended DESCRIPTION_ADDENDUMS', 'amended BASIC_REPORT'],
  'case-parties': PEOPLE,
  'case-answers': ['amended QUESTIONS'],
  'case-requirement': ['amended CORRECTION_REQUESTS', 'amended STATUS'],
  'case-type': ['amended TYPE'],
  'merge-offender': ['amended PRISONERS_INVOLVED'],
  'delete-case': DELETED,
  'copy-report': [],
  'delete-copy': [],
}

/** Those that write to several incidents, or to none of one. */
const SEVERAL = ['merge-prisoner', 'merge-offender', 'fix-data', 'delete-report']

describe('domain events', () => {
  test('are one for each incident and transaction, whatever the way of writing', async () => {
    const runtime = await openRuntime()
    running((signal) => capture(runtime, signal))
    running((signal) => governed(runtime, signal))
    await untilRead(runtime, database, ['unify'])
    expect(await everyEvent(runtime)).toEqual([]) // the snapshot's rows are no news

    const ran: Transaction[] = []
    await runTransactions(pool, { seed: 5, transactions: 1500, onTransaction: (each) => ran.push(each) })
    await untilRead(runtime, database, ['unify'])
    const events = await everyEvent(runtime)
    await expectAudited(database, events)

    const patterns = ran.filter(({ changes }) => changes > 0).map(({ pattern }) => pattern)
    const xids = await auditedTransactions(database)
    expect(patterns).toHaveLength(xids.length)
    expect(new Set(patterns)).toEqual(new Set(Object.keys(TOLD)))
    const byTransaction = Map.groupBy(events, ({ txId }) => txId)
    for (const [i, pattern] of patterns.entries()) {
      const its = byTransaction.get(xids[i]!) ?? []
      const told = its.map((event) => `${event.eventType.slice(16)} ${event.additionalInformation.whatChanged}`)
      expect(TOLD[pattern], pattern).toEqual(expect.arrayContaining(told))
      const count = SEVERAL.includes(pattern) ? told.length : Math.min(TOLD[pattern]!.length, 1)
      expect(told, pattern).toHaveLength(count)
    }
    expect(events.filter(({ parts, additionalInformation }) => additionalInformation.whatChanged !== parts[0])).toEqual(
      [],
    )
    const whole = events.filter(({ eventType }) => eventType !== 'incident.report.amended')
    expect(whole.filter(({ additionalInformation }) => additionalInformation.id === null)).toEqual([])
  })

  test('are neither lost nor doubled when everything is killed again and again', async () => {
    const stage = startStage('run', ['run'], environment)
    toClose.push(() => stage.stop())
    const runtime = await openRuntime()
    await untilRead(runtime, database, ['unify'])
    const transactions = 3000
    const chance = random(6, 'kills')
    const moments = new Set(Array.from({ length: 4 }, () => chance.int(1, transactions - 1)))
    const crashes: Promise<void>[] = []
    const onTransaction = ({ index }: Transaction): void => {
      if (moments.has(index)) crashes.push(stage.crash())
    }
    await runTransactions(pool, { seed: 6, transactions, onTransaction })
    await Promise.all(crashes)
    await untilRead(runtime, database, ['unify'])
    expect(await stage.stop(), stage.log()).toBe(0)
    await expectAudited(database, await everyEvent(runtime))
  })

  test('of a transaction that does not fit into memory come once too, when it is killed between two pieces', async () => {
    const runtime = await openRuntime()
    running((signal) => capture(runtime, signal))
    await untilRead(runtime, database, [])
    const [report] = await database.query<{ id: string; reference: string }>(
      'SELECT id, report_reference AS reference FROM public.report ORDER BY id LIMIT 1',
    )
    await database.query(
      `INSERT INTO public.description_addendum (report_id, sequence, text, created_at, created_by, first_name, last_name)
       SELECT $1, 100 + n, repeat('0123456789', 100000), now(), 'USER1_GEN', 'A', 'B' FROM generate_series(1, 40) n`,
      [report!.id],
    )
    const killed = dyingBetweenPieces(runtime)
    await expect(governed(killed.runtime, AbortSignal.timeout(60_000))).rejects.toThrow('killed')
    expect(killed.places()).toHaveLength(1)
    expect(await everyEvent(runtime)).toEqual([])

    running((signal) => governed(runtime, signal))
    await untilRead(runtime, database, ['unify'])
    const events = await everyEvent(runtime)
    await expectAudited(database, events)
    expect(events.map(({ parts, additionalInformation: { id } }) => ({ id, parts }))).toEqual([
      { id: report!.id, parts: ['DESCRIPTION_ADDENDUMS'] },
    ])
  })
})

/** The runtime, but its processor dies behind the first write that ends inside a transaction. */
function dyingBetweenPieces(runtime: Runtime): { readonly runtime: Runtime; places(): readonly number[] } {
  const resumes: number[] = []
  const process: Runtime['transport']['process'] = async (source, options) => {
    const { feed, sink } = await runtime.transport.process(source, options)
    return {
      feed,
      sink: {
        write: async (outputs) => {
          await sink.write(outputs)
          for (const { place } of outputs) if (place.resume !== undefined) resumes.push(place.resume)
          if (resumes.length > 0) throw new Error('killed')
        },
      },
    }
  }
  return { runtime: { ...runtime, transport: { ...runtime.transport, process } }, places: () => resumes }
}
