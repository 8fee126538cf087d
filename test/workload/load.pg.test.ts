import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { SOURCE_TABLES } from '../../connectors/postgres/source-tables.ts'
import { bulkChanges } from '../../workload/bulk.ts'
import { NOMIS_STATUSES, OUTCOMES, PRISONER_ROLES, STAFF_ROLES, TYPES } from '../../workload/codes.ts'
import { runTransactions, seedReports, type Load } from '../../workload/load.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'

interface Place {
  readonly database: TestDatabase
  readonly pool: pg.Pool
  /** On one connection of the pool. */
  on<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T>
  close(): Promise<void>
}

async function place(): Promise<Place> {
  const database = await testDatabase()
  await initSource(database.url, { publication: 'incidents' })
  const pool = new pg.Pool({ connectionString: database.url, max: 2 })
  return {
    database,
    pool,
    on: async (work) => {
      const client = await pool.connect()
      try {
        return await work(client)
      } finally {
        client.release()
      }
    },
    close: async () => {
      await pool.end()
      await database.drop()
    },
  }
}

describe('the same seed', () => {
  const whole = async (seed: number): Promise<{ hashes: Record<string, string>; loads: Load[] }> => {
    const mine = await place()
    try {
      const loads = [
        await mine.on((client) => seedReports(client, { seed, reports: 60, unknownCodes: 4 })),
        await runTransactions(mine.pool, { seed, transactions: 150, unknownCodes: 2 }),
        await mine.on((client) => bulkChanges(client, { seed, rows: 450 })),
      ]
      return { hashes: await mine.on(hashes), loads }
    } finally {
      await mine.close()
    }
  }

  test('gives the same rows in every table and the same counts; another seed gives others', async () => {
    const [one, same, other] = [await whole(7), await whole(7), await whole(8)]
    expect(same).toEqual(one)
    for (const table of ['public.report', 'public.response', 'nomis.incident_cases', 'nomis.incident_case_responses']) {
      expect(other.hashes[table]).not.toBe(one.hashes[table])
    }
  })

  async function hashes(client: pg.ClientBase): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const { schema, name } of SOURCE_TABLES) {
      const { rows } = await client.query<{ hash: string | null }>(
        `SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")) AS hash FROM ${schema}.${name} t`,
      )
      found[`${schema}.${name}`] = rows[0]!.hash ?? 'empty'
    }
    return found
  }
})

describe('seeded reports', () => {
  let there: Place
  let load: Load

  beforeAll(async () => {
    there = await place()
    load = await there.on((client) => seedReports(client, { seed: 1, reports: 300 }))
  })
  afterAll(() => there.close())

  const one = async (sql: string): Promise<unknown> => {
    const [row] = await there.database.query(`SELECT ${sql} AS value`)
    return row!['value']
  }
  const list = async (sql: string): Promise<string[]> =>
    (await there.database.query<{ value: string }>(sql)).map((row) => row.value)

  test('are as many of each model as asked for, and the count of changes is that of the rows', async () => {
    expect(await one('(SELECT count(*)::int FROM report)')).toBe(300)
    expect(await one('(SELECT count(*)::int FROM nomis.incident_cases WHERE incident_case_id < 10000000)')).toBe(300)
    const constants = 60 + 41 + 10 + 19 + 17 + 17 + 9 + 2 + 8
    const counts = SOURCE_TABLES.map(({ schema, name }) => `(SELECT count(*) FROM ${schema}.${name})`)
    expect(await one(`(${counts.join(' + ')})::int`)).toBe(load.changes + constants)
  })

  test('cover every type and status of both models', async () => {
    expect(await list('SELECT DISTINCT type AS value FROM report ORDER BY 1')).toEqual(
      await list('SELECT code AS value FROM constant_type ORDER BY 1'),
    )
    expect(await list('SELECT DISTINCT status AS value FROM report ORDER BY 1')).toEqual(
      await list('SELECT code AS value FROM constant_status ORDER BY 1'),
    )
    expect(await list('SELECT DISTINCT incident_type AS value FROM nomis.incident_cases')).toHaveLength(60)
    expect(await list('SELECT DISTINCT incident_status AS value FROM nomis.incident_cases ORDER BY 1')).toEqual(
      [...NOMIS_STATUSES].toSorted(),
    )
  })

  test('reach every table of both models but the markers, which migrations leave empty', async () => {
    for (const { schema, name } of SOURCE_TABLES.filter((table) => table.name !== 'analytical_marker')) {
      expect(await one(`EXISTS (SELECT FROM ${schema}.${name})`), `${schema}.${name}`).toBe(true)
    }
  })

  test.each([
    ['alphabets beyond Latin and characters of two UTF-16 units', `description LIKE '%日本語%🚨%'`],
    ['quotes and backslashes', String.raw`description LIKE '%"it''s ''mine''"%\\N%'`],
    ['line breaks and tabs', String.raw`description LIKE E'%\n%\r\n\t%'`],
    [
      'a text longer than a page that is stored out of line',
      `octet_length(description) > 8192 AND pg_column_size(description) > 2000`,
    ],
    [
      'the placeholder for no description (rule legacy.placeholders)',
      `description = 'NO DETAILS GIVEN' AND title = 'NO DETAILS GIVEN'`,
    ],
    ['the placeholder for nobody (rule legacy.placeholders)', `reported_by = 'unknown'`],
    ['an empty text', `description = ''`],
    [
      'an hour that the clock left out (rule time.london)',
      `incident_date_and_time IN ('2024-03-31 01:30', '2025-03-30 01:30')`,
    ],
    [
      'an hour that was there twice (rule time.london)',
      `incident_date_and_time IN ('2024-10-27 01:30', '2025-10-26 01:30')`,
    ],
    ['microseconds', `extract(microseconds FROM reported_at)::int % 1000 > 0`],
    [
      'a report taken over from NOMIS and edited since (rule dps.systems)',
      `source = 'NOMIS' AND modified_in = 'DPS' AND question_set_id IS NOT NULL`,
    ],
    ['a duplicate with its original', `status = 'DUPLICATE' AND duplicated_report_id IS NOT NULL`],
  ])('hold %s', async (_, condition) => {
    expect(await one(`(SELECT count(*)::int FROM report WHERE ${condition})`)).toBeGreaterThan(0)
  })

  test.each([
    [
      'offenders and staff in one sequence',
      `SELECT FROM nomis.incident_case_parties a JOIN nomis.incident_case_parties b USING (incident_case_id)
        WHERE a.staff_id IS NULL AND a.offender_no IS NOT NULL AND b.staff_id IS NOT NULL AND incident_case_id < 10000000`,
    ],
    [
      'the second code for an involved member of staff (rule codes.staff-roles)',
      `SELECT FROM nomis.incident_case_parties WHERE participation_role = 'INV'`,
    ],
    [
      'an answer that has only a comment (rule nomis.answers)',
      `SELECT FROM nomis.incident_case_responses WHERE questionnaire_ans_id IS NULL AND answer IS NULL`,
    ],
    [
      'additions inside the details (rule legacy.addenda)',
      `SELECT FROM nomis.incident_cases WHERE incident_details ~ 'User:[^,]+,\\S+ Date:\\d\\d-[A-Z][a-z]{2}-\\d{4} \\d\\d:\\d\\d'`,
    ],
    [
      'a time with another day than the date (rule nomis.moments)',
      `SELECT FROM nomis.incident_cases WHERE incident_time::date <> incident_date::date`,
    ],
    [
      'no title and no details',
      `SELECT FROM nomis.incident_cases WHERE incident_title IS NULL AND incident_details IS NULL`,
    ],
    ['staff without an account', `SELECT FROM nomis.incident_case_parties WHERE staff_username = 'unknown'`],
    [
      'cases that were taken over into DPS',
      `SELECT FROM nomis.incident_cases JOIN report ON report_reference = incident_case_id::text WHERE source = 'NOMIS'`,
    ],
    [
      'copies of DPS reports in the sequences of the write-back (rule nomis.copies)',
      `SELECT FROM nomis.incident_cases JOIN report ON report_reference = incident_case_id::text
        JOIN nomis.incident_case_parties USING (incident_case_id) WHERE source = 'DPS' AND incident_case_id >= 10000000 AND party_seq >= 2000`,
    ],
    [
      'an assault with a serious injury (rule service.cattool)',
      `SELECT FROM report r JOIN question q ON q.report_id = r.id JOIN response a ON a.question_id = q.id
        WHERE r.type = 'ASSAULT_5' AND q.question = 'WAS A SERIOUS INJURY SUSTAINED' AND a.response = 'YES'`,
    ],
  ])('hold %s in NOMIS or beside it', async (_, rows) => {
    expect(await one(`EXISTS (${rows})`)).toBe(true)
  })

  test('have no code that the tables of both models do not know', async () => {
    expect(await unknownCodes(there.database)).toEqual([])
  })

  test('with unknown codes asked for have exactly so many', async () => {
    const mine = await place()
    try {
      await mine.on((client) => seedReports(client, { seed: 1, reports: 20, unknownCodes: 6 }))
      expect(await unknownCodes(mine.database)).toHaveLength(6)
    } finally {
      await mine.close()
    }
  })
})

/** `must` is in every transaction of the pattern, `may` in some, nothing else in any. */
const WRITTEN: Readonly<Record<string, { must: string; may?: string }>> = {
  'create-report': { must: '+report +status_history' },
  'add-people': { must: '*report', may: '+prisoner_involvement +staff_involvement' },
  'change-people': {
    must: '*report',
    may: '*prisoner_involvement -prisoner_involvement *staff_involvement -staff_involvement',
  },
  'amend-report': { must: '*report' },
  'answer-questions': { must: '+question +response *report' },
  'answer-again': { must: '*question +response *report', may: '-response' },
  'remove-questions': { must: '-question *report', may: '-response' },
  'change-status': { must: '*report +status_history', may: '+correction_request' },
  'mark-duplicate': { must: '*report +status_history +correction_request' },
  'change-type': {
    must: '+history *report',
    may: '+historical_question +historical_response -response -question -prisoner_involvement +question +response',
  },
  'add-addendum': { must: '+description_addendum *report' },
  'merge-prisoner': { must: '*prisoner_involvement *report' },
  'delete-report': {
    must: '-report -status_history',
    may: '-response -question -prisoner_involvement -staff_involvement -correction_request -description_addendum -history -historical_question -historical_response *report',
  },
  'fix-data': { must: '', may: '*constant_type *question' },
  'mark-response': { must: '', may: '+analytical_marker *analytical_marker -analytical_marker' },
  'create-case': {
    must: '+incident_cases +incident_case_questions +incident_case_responses',
    may: '+incident_case_parties +incident_case_requirements +incident_questionnaire_hty +incident_que_question_hty +incident_que_response_hty',
  },
  'copy-report': {
    must: '',
    may: `+incident_cases *incident_cases +incident_case_parties *incident_case_parties -incident_case_parties
      +incident_case_questions *incident_case_questions -incident_case_questions
      +incident_case_responses *incident_case_responses -incident_case_responses
      +incident_case_requirements *incident_case_requirements
      +incident_questionnaire_hty +incident_que_question_hty +incident_que_response_hty`,
  },
  'upsert-case': {
    must: '*incident_cases *incident_case_questions *incident_case_responses',
    may: `+incident_case_parties *incident_case_parties -incident_case_parties +incident_case_questions -incident_case_questions
      +incident_case_responses -incident_case_responses
      +incident_case_requirements *incident_case_requirements -incident_case_requirements
      +incident_questionnaire_hty +incident_que_question_hty +incident_que_response_hty`,
  },
  'case-status': { must: '*incident_cases' },
  'case-details': { must: '*incident_cases' },
  'case-parties': {
    must: '*incident_cases',
    may: '+incident_case_parties *incident_case_parties -incident_case_parties',
  },
  'case-answers': {
    must: '*incident_cases *incident_case_responses',
    may: '+incident_case_responses -incident_case_responses',
  },
  'case-requirement': { must: '*incident_cases +incident_case_requirements' },
  'case-type': {
    must: `+incident_questionnaire_hty +incident_que_question_hty -incident_case_questions *incident_cases
      +incident_case_questions +incident_case_responses`,
    may: '+incident_que_response_hty -incident_case_responses',
  },
  'merge-offender': { must: '*incident_case_parties' },
  'delete-case': {
    must: '-incident_cases -incident_case_questions',
    may: `-incident_case_responses -incident_case_parties -incident_case_requirements
      -incident_questionnaire_hty -incident_que_question_hty -incident_que_response_hty`,
  },
  'delete-copy': {
    must: '-incident_cases',
    may: `-incident_case_questions -incident_case_responses -incident_case_parties -incident_case_requirements
      -incident_questionnaire_hty -incident_que_question_hty -incident_que_response_hty`,
  },
}

describe('transactions', () => {
  let there: Place
  let load: Load
  const patterns: string[] = []
  /** What the server's own decoding plugin saw: `+` insert, `*` update, `-` delete, in order. */
  let log: string[][]

  beforeAll(async () => {
    there = await place()
    await there.on((client) => seedReports(client, { seed: 4, reports: 200 }))
    await there.database.query(`SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')`)
    load = await runTransactions(there.pool, {
      seed: 4,
      transactions: 1_500,
      onTransaction: ({ pattern }) => patterns.push(pattern),
    })
    log = await decoded(there.database)
  })
  afterAll(() => there.close())

  test('are as many, and have as many row changes, as logical decoding sees', () => {
    expect(log).toHaveLength(load.transactions)
    expect(log.flat()).toHaveLength(load.changes)
    expect(load.transactions).toBe(1_500)
  })

  test('four in ten write to NOMIS, and none to both models', () => {
    const nomis = log.filter((changes) => changes.every((change) => change.includes('incident_')))
    const dps = log.filter((changes) => changes.every((change) => !change.includes('incident_')))
    expect(nomis.length + dps.length).toBe(log.length)
    expect(nomis.length / log.length).toBeGreaterThan(0.33)
    expect(nomis.length / log.length).toBeLessThan(0.47)
  })

  test.each(Object.entries(WRITTEN))(
    'of the pattern %s write what they should (rule dps.writes)',
    (name, { must, may = '' }) => {
      const mine = log.filter((_, i) => patterns[i] === name)
      const allowed = new Set([...words(must), ...words(may)])
      expect(mine.length, 'occurs').toBeGreaterThan(0)
      expect(mine.flat().filter((change) => !allowed.has(change))).toEqual([])
      for (const changes of mine) expect(changes).toEqual(expect.arrayContaining(words(must)))
    },
  )

  test('do each thing to each table that one of the patterns may do', () => {
    const listed = Object.values(WRITTEN).flatMap(({ must, may = '' }) => [...words(must), ...words(may)])
    expect([...new Set(log.flat())].toSorted()).toEqual([...new Set(listed)].toSorted())
  })

  test('have no pattern beside those', () => {
    expect(new Set(patterns)).toEqual(new Set(Object.keys(WRITTEN)))
  })

  test('that answer again mostly insert the new answers before the old go, but not always (rule dps.answers)', () => {
    const firsts = log
      .filter((changes, i) => patterns[i] === 'answer-again' && changes.includes('-response'))
      .map((changes) => (changes.indexOf('+response') < changes.indexOf('-response') ? 'insert' : 'delete'))
    expect(new Set(firsts)).toEqual(new Set(['insert', 'delete']))
  })

  test('leave no code that the tables of both models do not know', async () => {
    expect(await unknownCodes(there.database)).toEqual([])
  })

  test('never use the clock: every time lies within the time of the load', async () => {
    const [found] = await there.database.query(`
      SELECT (SELECT max(modified_at) < '2026-02-01' FROM report) AS reports,
             (SELECT max(recorded_at) < '2026-02-01' FROM response) AS responses,
             (SELECT max(greatest(create_datetime, modify_datetime)) < '2026-02-01' FROM nomis.incident_case_parties) AS parties,
             (SELECT max(greatest(create_datetime, modify_datetime)) < '2026-02-01' FROM nomis.incident_cases) AS cases`)
    expect(found).toEqual({ reports: true, responses: true, parties: true, cases: true })
  })
})

describe('a run', () => {
  let there: Place
  beforeEach(async () => {
    there = await place()
  })
  afterEach(() => there.close())

  test('begins on a database without a report', async () => {
    const load = await runTransactions(there.pool, { seed: 1, transactions: 20 })
    expect(load.changes).toBeGreaterThan(20)
  })

  test('may follow another with the same seed, and comes later in time', async () => {
    await runTransactions(there.pool, { seed: 1, transactions: 40 })
    const [first] = await there.database.query('SELECT max(modified_at)::text AS newest, count(*)::int FROM report')
    await there.on((client) => seedReports(client, { seed: 1, reports: 10 }))
    await there.on((client) => seedReports(client, { seed: 1, reports: 10 }))
    await runTransactions(there.pool, { seed: 1, transactions: 40 })
    const [second] = await there.database.query(
      'SELECT min(modified_at)::text, max(modified_at)::text AS newest FROM report',
    )
    expect(second!['newest'] > first!['newest']).toBe(true)
  })

  test('goes on beside rows of others: odd references, codes and questionnaires', async () => {
    await there.database.query(`
      INSERT INTO report (id, report_reference, title, description, location, type, status, incident_date_and_time,
                          reported_at, reported_by, created_at, modified_by, modified_at)
      SELECT gen_random_uuid(), reference, '', '', 'A-LONG-LOCATION-CODE', 'A_TYPE_OF_THEIR_OWN', 'CLOSED', '-infinity', 'infinity',
             'u', '2024-01-01', 'u', 'infinity'
        FROM (VALUES ('ABC'), ('10000000000000000000'), ('9999999'), ('10999999')) v (reference);
      INSERT INTO prisoner_involvement (report_id, prisoner_number, prisoner_role, first_name, last_name)
      SELECT id, 'A1111AA', 'A_ROLE_OF_THEIR_OWN', 'A', 'B' FROM report;
      INSERT INTO question (report_id, code, question, label) SELECT id, 'not a number', 'q', 'q' FROM report;
      INSERT INTO response (question_id, response, recorded_by, code, label) SELECT id, 'r', 'u', 'null', 'r' FROM question;
      INSERT INTO nomis.questionnaires (questionnaire_id, questionnaire_category, code) VALUES (77, 'IR_TYPE', 'ASSAULTS3');
      INSERT INTO nomis.questionnaire_questions (questionnaire_que_id, questionnaire_id, que_seq, description) VALUES (40001, 77, 1, 'THEIRS')`)
    const load = await runTransactions(there.pool, { seed: 5, transactions: 200 })
    expect(load.transactions).toBe(201) // with the one that makes the missing questionnaires
    const [kept] = await there.database.query(
      'SELECT description FROM nomis.questionnaire_questions WHERE questionnaire_que_id = 40001',
    )
    expect(kept).toEqual({ description: 'THEIRS' })
  })

  test('ends after the open transaction when the signal says so', async () => {
    await there.on((client) => seedReports(client, { seed: 1, reports: 4 }))
    const stop = new AbortController()
    const load = await runTransactions(there.pool, {
      seed: 1,
      transactions: Infinity,
      signal: stop.signal,
      onTransaction: ({ index }) => index === 4 && stop.abort(),
    })
    expect(load.transactions).toBe(5)
  })

  test('keeps to its rate, and a stop does not wait for the next turn', async () => {
    await there.on((client) => seedReports(client, { seed: 1, reports: 4 }))
    const begun = performance.now()
    await runTransactions(there.pool, { seed: 1, transactions: 11, rate: 50 })
    expect(performance.now() - begun).toBeGreaterThan(195)
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    const load = await runTransactions(there.pool, { seed: 1, transactions: 100, rate: 0.001, signal: stop.signal })
    expect(load.transactions).toBe(1)
  })

  test('rejects with the error of the database, leaves no half transaction and gives the connection back', async () => {
    await there.on((client) => seedReports(client, { seed: 1, reports: 20 }))
    await there.database.query('ALTER TABLE status_history RENAME TO gone')
    await expect(runTransactions(there.pool, { seed: 1, transactions: 1_000 })).rejects.toThrow('status_history')
    expect(there.pool.idleCount).toBe(there.pool.totalCount)
    const halves = await there.database.query(
      'SELECT FROM report r WHERE NOT EXISTS (SELECT FROM gone WHERE report_id = r.id)',
    )
    expect(halves).toEqual([])
  })
})

describe('bulk changes', () => {
  let there: Place
  beforeEach(async () => {
    there = await place()
  })
  afterEach(() => there.close())

  test('are exactly as many as asked for, a hundred to a transaction, of all three kinds', async () => {
    await there.on((client) => seedReports(client, { seed: 1, reports: 20 }))
    await there.database.query(`SELECT pg_create_logical_replication_slot('oracle', 'test_decoding')`)
    const load = await there.on((client) => bulkChanges(client, { seed: 1, rows: 3_050 }))
    expect(load).toEqual({ transactions: 31, changes: 3_050 })
    const log = await decoded(there.database)
    expect(log.map((changes) => changes.length)).toEqual([...Array.from({ length: 30 }, () => 100), 50])
    const counts = Map.groupBy(log.flat(), (change) => change)
    const kinds = ['+', '*', '-'].flatMap((sign) => [`${sign}prisoner_involvement`, `${sign}response`])
    expect(kinds.filter((kind) => (counts.get(kind)?.length ?? 0) < 50)).toEqual([])
  })

  test('need reports, and say so', async () => {
    await expect(there.on((client) => bulkChanges(client, { seed: 1, rows: 10 }))).rejects.toThrow('seed some first')
  })
})

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/** Every transaction since the slot `oracle` was made, as signs and table names. */
async function decoded(database: TestDatabase): Promise<string[][]> {
  const rows = await database.query<{ data: string }>(
    `SELECT data FROM pg_logical_slot_get_changes('oracle', NULL, NULL)`,
  )
  const transactions: string[][] = []
  for (const { data } of rows) {
    if (data.startsWith('BEGIN')) transactions.push([])
    const [, table, operation] = /^table (?:public|nomis)\.(\w+): (INSERT|UPDATE|DELETE):/.exec(data) ?? []
    if (table === undefined) continue
    const sign = { INSERT: '+', UPDATE: '*', DELETE: '-' }[operation as 'INSERT' | 'UPDATE' | 'DELETE']
    transactions.at(-1)!.push(`${sign}${table}`)
  }
  return transactions
}

/** The places of codes that neither the constant tables nor the tables of pairs know. */
async function unknownCodes(database: TestDatabase): Promise<string[]> {
  const nomis = (pairs: readonly (readonly [string, string])[], more: readonly string[] = []): string =>
    [...pairs.map((pair) => pair[1]), ...more].map((code) => `'${code}'`).join(', ')
  const rows = await database.query<{ place: string }>(`
    SELECT 'report.type' AS place FROM report WHERE type NOT IN (SELECT code FROM constant_type)
    UNION ALL SELECT 'report.status' FROM report WHERE status NOT IN (SELECT code FROM constant_status)
    UNION ALL SELECT 'history.type' FROM history WHERE type NOT IN (SELECT code FROM constant_type)
    UNION ALL SELECT 'status_history.status' FROM status_history WHERE status NOT IN (SELECT code FROM constant_status)
    UNION ALL SELECT 'prisoner_role' FROM prisoner_involvement WHERE prisoner_role NOT IN (SELECT code FROM constant_prisoner_role)
    UNION ALL SELECT 'outcome' FROM prisoner_involvement WHERE outcome NOT IN (SELECT code FROM constant_prisoner_outcome)
    UNION ALL SELECT 'staff_role' FROM staff_involvement WHERE staff_role NOT IN (SELECT code FROM constant_staff_role)
    UNION ALL SELECT 'user_action' FROM correction_request WHERE user_action NOT IN (SELECT code FROM constant_user_action)
    UNION ALL SELECT 'user_type' FROM correction_request WHERE user_type NOT IN (SELECT code FROM constant_user_type)
    UNION ALL SELECT 'incident_type' FROM nomis.incident_cases WHERE incident_type NOT IN (${nomis(TYPES)})
    UNION ALL SELECT 'incident_status' FROM nomis.incident_cases WHERE incident_status NOT IN (${nomis([], NOMIS_STATUSES)})
    UNION ALL SELECT 'hty type' FROM nomis.incident_questionnaire_hty WHERE type NOT IN (${nomis(TYPES)})
    UNION ALL SELECT 'offender role' FROM nomis.incident_case_parties WHERE staff_id IS NULL AND participation_role NOT IN (${nomis(PRISONER_ROLES)})
    UNION ALL SELECT 'staff role' FROM nomis.incident_case_parties WHERE staff_id IS NOT NULL AND participation_role NOT IN (${nomis(STAFF_ROLES, ['INV'])})
    UNION ALL SELECT 'outcome' FROM nomis.incident_case_parties WHERE outcome_code NOT IN (${nomis(OUTCOMES)})`)
  return rows.map((row) => row.place)
}
