import { randomBytes } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkVersion, preflight } from '../../../connectors/postgres/preflight.ts'
import { connect } from '../../../connectors/postgres/session.ts'
import { initSource } from '../../../connectors/postgres/source-schema.ts'
import type { PipelineError } from '../../../core/error.ts'
import { startPostgres } from '../../../workload/postgres.ts'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let role: string

/** The database as a role sees it that may replicate and read everything, but owns nothing. */
beforeEach(async () => {
  database = await testDatabase()
  role = `r_${randomBytes(6).toString('hex')}`
  await initSource(database.url, { publication: database.name })
  await database.query(`
    CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'r';
    GRANT USAGE ON SCHEMA public, nomis TO ${role};
    GRANT SELECT ON ALL TABLES IN SCHEMA public, nomis TO ${role}`)
})

afterEach(async () => {
  await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  await database.drop()
})

function roleUrl(): string {
  const url = new URL(database.url)
  url.username = role
  url.password = 'r'
  return url.href
}

async function check(url = roleUrl(), publication = database.name): Promise<void> {
  const client = await connect(url)
  try {
    await preflight(client, publication)
  } finally {
    await client.end()
  }
}

async function finding(): Promise<PipelineError> {
  return check().then(
    () => expect.unreachable('the preflight found nothing'),
    (error: PipelineError) => error,
  )
}

test('a role that may replicate and read what the owner has published passes', async () => {
  await expect(check()).resolves.toBeUndefined()
})

describe('a finding is one sentence, and its remedy, run as it stands by the owner, mends it:', () => {
  const findings: readonly { what: string; sql: string; code: string; says: RegExp; remedy: RegExp }[] = [
    {
      what: 'a role that may not replicate',
      sql: 'ALTER ROLE $role NOREPLICATION',
      code: 'GRANT_MISSING',
      says: /^role r_\w+ may not replicate, the attribute REPLICATION is needed$/,
      remedy: /^ALTER ROLE r_\w+ REPLICATION;/,
    },
    {
      what: 'no SELECT on one table',
      sql: 'REVOKE SELECT ON public.report FROM $role',
      code: 'GRANT_MISSING',
      says: /^role r_\w+ may not read public\.report$/,
      remedy: /^GRANT SELECT ON "public"\."report" TO r_\w+;$/,
    },
    {
      what: 'no right to enter a schema',
      sql: 'REVOKE USAGE ON SCHEMA nomis FROM $role',
      code: 'GRANT_MISSING',
      says: /^role r_\w+ may not read schema nomis$/,
      remedy: /^GRANT USAGE ON SCHEMA "nomis" TO r_\w+;$/,
    },
    {
      what: 'no right to read anything',
      sql: 'DROP OWNED BY $role',
      code: 'GRANT_MISSING',
      says: /^role r_\w+ may not read nomis\.incident_case_parties, .* and 30 more$/,
      remedy: /^GRANT USAGE ON SCHEMA "nomis" TO r_\w+; GRANT SELECT ON /,
    },
    {
      what: 'no publication, and a role that owns no table',
      sql: 'DROP PUBLICATION $publication',
      code: 'PUBLICATION',
      says: /^publication t_\w+ does not exist, and only the owner of the tables may make it$/,
      remedy: /^CREATE PUBLICATION "t_\w+" FOR TABLE "nomis"\."incident_case_parties", /,
    },
    {
      what: 'a publication without deletes',
      sql: `ALTER PUBLICATION $publication SET (publish = 'insert, update, truncate')`,
      code: 'PUBLICATION',
      says: /^publication t_\w+ does not publish delete: every operation is needed$/,
      remedy: /^ALTER PUBLICATION "t_\w+" SET \(publish = /,
    },
    {
      what: 'a publication that would keep a TRUNCATE to itself',
      sql: `ALTER PUBLICATION $publication SET (publish = 'insert, update, delete')`,
      code: 'PUBLICATION',
      says: /does not publish truncate/,
      remedy: /^ALTER PUBLICATION/,
    },
    {
      what: 'a publication of nothing',
      sql: 'DROP PUBLICATION $publication; CREATE PUBLICATION $publication',
      code: 'PUBLICATION',
      says: /^publication t_\w+ has no table$/,
      remedy: /^ALTER PUBLICATION "t_\w+" ADD TABLE /,
    },
    {
      what: 'replica identity not FULL',
      sql: `ALTER TABLE public.response REPLICA IDENTITY DEFAULT; ALTER TABLE public.question REPLICA IDENTITY NOTHING`,
      code: 'REPLICA_IDENTITY',
      says: /^the replica identity of public\.question, public\.response is not FULL: /,
      remedy: /^ALTER TABLE "public"\."question" REPLICA IDENTITY FULL; ALTER TABLE "public"\."response"/,
    },
  ]

  test.for(findings)('$what', async ({ sql, code, says, remedy }) => {
    await database.query(sql.replaceAll('$role', role).replaceAll('$publication', database.name))
    const error = await finding()
    expect(error).toMatchObject({
      name: 'PipelineError',
      code,
      message: expect.stringMatching(says),
      remedy: expect.stringMatching(remedy),
    })
    await database.query(error.remedy)
    await check()
  })

  test('several at once are found one after the other, and every remedy is still right', async () => {
    await database.query(`
      ALTER ROLE ${role} NOREPLICATION; DROP OWNED BY ${role}; DROP PUBLICATION ${database.name};
      ALTER TABLE public.report REPLICA IDENTITY DEFAULT`)
    const codes: string[] = []
    for (;;) {
      const error = await check().catch((cause: PipelineError) => cause)
      if (error === undefined) break
      codes.push(error.code)
      await database.query(error.remedy)
    }
    expect(codes).toEqual(['GRANT_MISSING', 'PUBLICATION', 'GRANT_MISSING', 'REPLICA_IDENTITY'])
  })

  test('wal_level = replica, after the restart that the remedy asks for', async () => {
    const directory = await temporaryDirectory()
    await chmod(directory.path, 0o755)
    const data = join(directory.path, 'pg')
    try {
      const wrong = await startPostgres({ directory: data, settings: ['wal_level=replica', 'fsync=off'] })
      const error = await check(wrong.url, 'incidents').catch((cause: PipelineError) => cause)
      expect(error).toMatchObject({
        code: 'WAL_LEVEL',
        message: 'the source has wal_level = replica, logical is needed',
      })
      const owner = new pg.Client({ connectionString: wrong.url })
      await owner.connect()
      await owner.query((error as PipelineError).remedy)
      // The command line of this server outdoes its files: what they would give is asked of the server itself.
      const { rows } = await owner.query(
        `SELECT setting, error FROM pg_file_settings WHERE name = 'wal_level' ORDER BY seqno DESC LIMIT 1`,
      )
      expect(rows[0]).toMatchObject({ setting: 'logical' })
      await owner.end()
      await wrong.stop()
      const right = await startPostgres({ directory: data, settings: ['fsync=off'] })
      await initSource(right.url, { publication: 'incidents' })
      await check(right.url, 'incidents')
      await right.stop()
    } finally {
      await directory.remove()
    }
  })
})

/** No server that old is at hand: the rule is shown, not a real server's answer. */
test('a server before PostgreSQL 15 is refused by its version', () => {
  for (const [number, version] of [
    [90_624, '9.6.24'],
    [140_018, '14.18'],
  ] as const) {
    expect(() => checkVersion(number, version)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_VERSION',
        message: `the source runs PostgreSQL ${version}, at least 15 is needed`,
      }),
    )
  }
  expect(() => checkVersion(150_000, '15.0')).not.toThrow()
})

describe('a database', () => {
  test('that has none of the incident tables is refused, and changed in nothing', async () => {
    const other = await testDatabase()
    try {
      await other.query('CREATE TABLE public.prison (id int PRIMARY KEY)')
      await expect(check(other.url, other.name)).rejects.toMatchObject({
        code: 'SOURCE_SCHEMA',
        message: 'the database has none of the incident tables',
        remedy: expect.stringContaining('source init'),
      })
      expect(await other.query('SELECT FROM pg_publication')).toEqual([])
    } finally {
      await other.drop()
    }
  })

  test('that has some of the tables, and rows of its own, is captured: what is there is published', async () => {
    const own = await testDatabase()
    const state = await temporaryDirectory()
    try {
      await own.query(`
        CREATE TABLE public.report (id int PRIMARY KEY, report_reference text);
        CREATE TABLE public.question (id int PRIMARY KEY, report_id int);
        CREATE TABLE public.cell (id int PRIMARY KEY);
        ALTER TABLE public.report REPLICA IDENTITY FULL;
        ALTER TABLE public.question REPLICA IDENTITY FULL;
        INSERT INTO public.report VALUES (1, '11'), (2, '22');
        INSERT INTO public.question VALUES (5, 2);
        INSERT INTO public.cell VALUES (9)`)
      const { changes } = await runCapture({
        url: own.url,
        name: own.name,
        stateDirectory: state.path,
        until: (captured) => captured.changes.some((change) => change.op === 'm' && change.snapshotDone),
      })
      expect(
        changes.flatMap((change) => (change.op === 'm' ? [] : [`${change.table.name} of ${change.reference}`])),
      ).toEqual(['report of 11', 'report of 22', 'question of 22'])
      const published = await own.query('SELECT tablename AS name FROM pg_publication_tables ORDER BY 1')
      expect(published.map(({ name }) => name)).toEqual(['question', 'report'])
    } finally {
      await own.drop()
      await state.remove()
    }
  })

  test('whose owner may not make a publication says so, with the statement for somebody who may', async () => {
    const own = await testDatabase()
    try {
      await own.query(`CREATE TABLE public.report (id int PRIMARY KEY, report_reference text);
        ALTER TABLE public.report REPLICA IDENTITY FULL; ALTER TABLE public.report OWNER TO ${role}`)
      const url = new URL(roleUrl())
      url.pathname = `/${own.name}`
      const error = await check(url.href, own.name).catch((cause: PipelineError) => cause)
      expect(error).toMatchObject({
        code: 'GRANT_MISSING',
        message: expect.stringMatching(/^publication t_\w+ cannot be made: permission denied for database/),
      })
      await own.query((error as PipelineError).remedy)
      await check(url.href, own.name)
    } finally {
      await own.drop()
    }
  })
})
