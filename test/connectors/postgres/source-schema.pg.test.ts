import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { initSource } from '../../../connectors/postgres/source-schema.ts'
import { SOURCE_TABLES } from '../../../connectors/postgres/source-tables.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const OPTIONS = { publication: 'incidents' }
let database: TestDatabase

beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('an empty database', () => {
  test('gets every table with full replica identity, all of them published with every operation', async () => {
    expect(await initSource(database.url, OPTIONS)).toEqual({ applied: true })
    const [found] = await database.query(`
      SELECT (SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname IN ('public', 'nomis') AND relkind = 'r' AND relreplident = 'f') AS full,
             (SELECT count(*)::int FROM pg_publication_tables WHERE pubname = 'incidents') AS published,
             (SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication) AS all`)
    expect(found).toEqual({ full: 33, published: 33, all: true })
  })

  test('is left as it was when one statement fails', async () => {
    // a type does not count as content, but it has the name of a table to come
    await database.query(`CREATE TYPE constant_status AS ENUM ('a')`)
    await expect(initSource(database.url, OPTIONS)).rejects.toThrow('constant_status')
    expect(await shape()).toEqual([])
  })

  test('may hold extensions', async () => {
    await database.query('CREATE EXTENSION pg_stat_statements')
    expect(await initSource(database.url, OPTIONS)).toEqual({ applied: true })
  })

  test('of two at the same time one makes the schema and the other finds it complete', async () => {
    const both = await Promise.all([initSource(database.url, OPTIONS), initSource(database.url, OPTIONS)])
    expect(both).toContainEqual({ applied: true })
    expect(both).toContainEqual({ applied: false, missing: [] })
  })

  test('a publication is named as the namespace says, whatever it is', async () => {
    const publication = 'Prison "A" incidents'
    expect(await initSource(database.url, { publication })).toEqual({ applied: true })
    expect(await initSource(database.url, { publication })).toEqual({ applied: false, missing: [] })
  })
})

describe('a database that is not empty', () => {
  const lacking: readonly { what: string; sql: string; missing: readonly string[] }[] = [
    { what: 'everything', sql: '', missing: [] },
    { what: 'more than we need', sql: 'ALTER TABLE report ADD COLUMN extra text; CREATE TABLE extra ()', missing: [] },
    {
      what: 'a column',
      sql: 'ALTER TABLE response DROP COLUMN label',
      missing: ['Column public.response.label (text) is missing.'],
    },
    {
      what: 'a table',
      sql: 'DROP TABLE nomis.incident_que_response_hty',
      missing: ['Table nomis.incident_que_response_hty is missing.'],
    },
    {
      what: 'a type',
      sql: 'ALTER TABLE report ALTER COLUMN location TYPE varchar(6)',
      missing: ['Column public.report.location is character varying(6); it must be character varying(20).'],
    },
    {
      what: 'a primary key',
      sql: 'ALTER TABLE analytical_marker DROP CONSTRAINT analytical_marker_pk',
      missing: ['Table public.analytical_marker has no primary key; it must be (response_code, marker_type).'],
    },
    {
      what: 'the order of a primary key',
      sql: `ALTER TABLE analytical_marker DROP CONSTRAINT analytical_marker_pk, ADD PRIMARY KEY (marker_type, response_code)`,
      missing: [
        'The primary key of public.analytical_marker is (marker_type, response_code); it must be (response_code, marker_type).',
      ],
    },
    {
      what: 'full replica identity',
      sql: 'ALTER TABLE question REPLICA IDENTITY DEFAULT',
      missing: ['The replica identity of public.question is not FULL.'],
    },
    {
      what: 'the publication',
      sql: 'DROP PUBLICATION incidents',
      missing: ['Publication incidents is missing.'],
    },
    {
      what: 'a table in the publication',
      sql: 'ALTER PUBLICATION incidents DROP TABLE history',
      missing: ['Table public.history is not in publication incidents.'],
    },
    {
      what: 'an operation in the publication',
      sql: `ALTER PUBLICATION incidents SET (publish = 'insert, update')`,
      missing: ['Publication incidents does not publish delete, truncate.'],
    },
    {
      what: 'rows and columns in the publication',
      sql: `ALTER PUBLICATION incidents DROP TABLE history, report;
            ALTER PUBLICATION incidents ADD TABLE history (id, report_id, type, changed_at);
            ALTER PUBLICATION incidents ADD TABLE report WHERE (source = 'DPS')`,
      missing: [
        'Publication incidents filters the rows of public.report.',
        'Publication incidents leaves out column public.history.changed_by.',
      ],
    },
    {
      what: 'several things',
      sql: `ALTER TABLE report DROP COLUMN title; DROP TABLE nomis.questionnaire_roles; DROP PUBLICATION incidents`,
      missing: [
        'Column public.report.title (text) is missing.',
        'Table nomis.questionnaire_roles is missing.',
        'Publication incidents is missing.',
      ],
    },
  ]

  test.each(lacking)('is told what it lacks and not changed: $what', async ({ sql, missing }) => {
    await initSource(database.url, OPTIONS)
    await database.query(sql)
    const before = await shape()
    expect(await initSource(database.url, OPTIONS)).toEqual({ applied: false, missing })
    expect(await shape()).toEqual(before)
  })

  test.each(['CREATE TABLE other (id int)', 'CREATE SCHEMA nomis', 'CREATE PUBLICATION incidents FOR ALL TABLES'])(
    'gets nothing beside what it has: %s',
    async (sql) => {
      await database.query(sql)
      const before = await shape()
      const result = await initSource(database.url, OPTIONS)
      if (result.applied) throw new Error('the schema was applied')
      for (const table of SOURCE_TABLES) {
        expect(result.missing).toContain(`Table ${table.schema}.${table.name} is missing.`)
      }
      expect(await shape()).toEqual(before)
    },
  )
})

test('a role without the right to create is told so, with the remedy', async () => {
  const role = `r_${randomBytes(6).toString('hex')}`
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'r'`)
  try {
    const url = new URL(database.url)
    url.username = role
    url.password = 'r'
    await expect(initSource(url.href, OPTIONS)).rejects.toMatchObject({ code: 'GRANT_MISSING' })
    expect(await shape()).toEqual([])
  } finally {
    await database.query(`DROP ROLE ${role}`)
  }
})

test('a server that does not answer is a source error without the password in it', async () => {
  const failure = await initSource('postgres://u:secret@127.0.0.1:1/x', OPTIONS).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'SOURCE_UNREACHABLE' })
  expect(String(failure)).not.toContain('secret')
})

/** Every relation, column, publication and published table. */
function shape(): Promise<unknown[]> {
  return database.query(`
    SELECT 'column' AS kind, attrelid::regclass::text AS name, attname || ' ' || atttypid::regtype AS detail
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname IN ('public', 'nomis') AND attnum > 0
    UNION ALL SELECT 'identity', c.oid::regclass::text, relreplident::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname IN ('public', 'nomis') AND relkind = 'r'
    UNION ALL SELECT 'publication', pubname, pubtruncate::text FROM pg_publication
    UNION ALL SELECT 'published', tablename, attnames::text FROM pg_publication_tables
    ORDER BY 1, 2, 3`)
}
