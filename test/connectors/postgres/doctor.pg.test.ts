import { chmod } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { examineSource } from '../../../connectors/postgres/doctor.ts'
import { connect, disconnect } from '../../../connectors/postgres/session.ts'
import { initSource } from '../../../connectors/postgres/source-schema.ts'
import type { Finding } from '../../../core/finding.ts'
import { startPostgres, type LocalPostgres } from '../../../workload/postgres.ts'
import { temporaryDirectory } from '../../support/capture.ts'

/** A server of its own: settings and slots are the whole cluster's. */
let server: LocalPostgres
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let owner: pg.Client

beforeAll(async () => {
  directory = await temporaryDirectory()
  await chmod(directory.path, 0o755) // the server's own user must be able to come this way
  server = await startPostgres({
    directory: `${directory.path}/pg`,
    settings: ['max_replication_slots=2', 'max_prepared_transactions=5', 'fsync=off'],
  })
  owner = new pg.Client(server.url)
  await owner.connect()
  await owner.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`)
  await owner.query('SELECT pg_reload_conf()')
  await owner.query(`CREATE ROLE reader LOGIN REPLICATION PASSWORD 'r'; GRANT pg_read_all_stats TO reader`)
})

afterAll(async () => {
  await owner.end()
  await server.stop()
  await directory.remove()
})

/** A database that lacks nothing, and the reader that owns nothing of it. */
let name: string
let url: string
let database: pg.Client
let serial = 0

beforeEach(async () => {
  name = `d_${++serial}`
  await owner.query(`CREATE DATABASE ${name}`)
  url = server.url.replace(/postgres$/, name)
  await initSource(url, { publication: name })
  database = new pg.Client(url)
  await database.connect()
  await database.query(`GRANT USAGE ON SCHEMA public, nomis TO reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA public, nomis TO reader`)
  return async () => {
    await database.end()
    await owner.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE 'd\\_%'`,
    )
    await owner.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
    await owner.query(`DROP DATABASE ${name} WITH (FORCE)`)
  }
})

async function examine(): Promise<readonly Finding[]> {
  const client = await connect(url.replace(/\/\/[^@]*@/, '//reader:r@'))
  try {
    return await examineSource(client, { publication: name, slot: name, idleSeconds: 0, sampleMs: 50 })
  } finally {
    await disconnect(client)
  }
}

/** A session that stays where it is put. */
async function session(...statements: readonly string[]): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  for (const statement of statements) await client.query(statement)
  return client
}

/** What is printed, as an administrator runs it: one statement after the other. */
async function runSql(text: string): Promise<void> {
  for (const statement of text.replaceAll(/--.*$/gm, '').split(';')) {
    if (statement.trim() !== '') await database.query(statement)
  }
}

test('a source that lacks nothing has no finding, asked by a role that owns nothing', async () => {
  expect(await examine()).toEqual([])
})

describe('each finding is one sentence, and its SQL, run as it is printed, mends it:', () => {
  interface Case {
    readonly what: string
    readonly check: string
    readonly says: RegExp
    /** Breaks it; what is to be ended afterwards is given back. */
    breaks(): Promise<pg.Client | void>
  }
  const sql = (text: string) => async () => void (await database.query(text.replaceAll('$name', name)))
  const setting = (text: string) => async () => {
    await database.query(`ALTER SYSTEM SET ${text}`)
    await database.query('SELECT pg_reload_conf()')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const cases: readonly Case[] = [
    {
      what: 'a role that may not replicate',
      check: 'role',
      says: /may not replicate/,
      breaks: sql('ALTER ROLE reader NOREPLICATION'),
    },
    {
      what: 'a table that it may not read',
      check: 'tables',
      says: /may not read public\.report$/,
      breaks: sql('REVOKE SELECT ON report FROM reader'),
    },
    {
      what: 'a role that sees no other session',
      check: 'sessions-seen',
      says: /may not see what other sessions do/,
      breaks: sql('REVOKE pg_read_all_stats FROM reader'),
    },
    {
      what: 'no publication',
      check: 'publication',
      says: /publication d_\d+ does not exist/,
      breaks: sql('DROP PUBLICATION $name'),
    },
    {
      what: 'a publication without deletes',
      check: 'publication',
      says: /does not publish delete/,
      breaks: sql(`ALTER PUBLICATION $name SET (publish = 'insert, update, truncate')`),
    },
    {
      what: 'a publication without a table',
      check: 'publication-tables',
      says: /leaves out public\.response:/,
      breaks: sql('ALTER PUBLICATION $name DROP TABLE response'),
    },
    {
      what: 'a publication without a column',
      check: 'publication-columns',
      says: /leaves out column \w+(, \w+)* of public\.report:/,
      breaks: sql(
        'ALTER PUBLICATION $name DROP TABLE report; ALTER PUBLICATION $name ADD TABLE report (id, report_reference, type)',
      ),
    },
    {
      what: 'a publication that filters',
      check: 'publication-rows',
      says: /filters the rows of public\.report:/,
      breaks: sql(
        `ALTER PUBLICATION $name DROP TABLE report; ALTER PUBLICATION $name ADD TABLE report WHERE (type <> 'x')`,
      ),
    },
    {
      what: 'a replica identity that is not FULL',
      check: 'tables',
      says: /replica identity of public\.response is not FULL/,
      breaks: sql('ALTER TABLE response REPLICA IDENTITY DEFAULT'),
    },
    {
      what: 'no limit of what a slot may hold',
      check: 'wal-limit',
      says: /max_slot_wal_keep_size is -1/,
      breaks: setting('max_slot_wal_keep_size = -1'),
    },
    {
      what: 'slots that are given up when idle',
      check: 'idle-timeout',
      says: /idle_replication_slot_timeout is 60 s/,
      breaks: setting(`idle_replication_slot_timeout = '1min'`),
    },
    {
      what: 'an impatient server',
      check: 'sender-timeout',
      says: /wal_sender_timeout is 1000 ms/,
      breaks: setting(`wal_sender_timeout = '1s'`),
    },
    {
      what: 'a session that is idle in a transaction',
      check: 'session-idle',
      says: /server process \d+ of role postgres .*: the slot cannot release WAL/,
      breaks: () => session('BEGIN', 'CREATE TABLE held (id int)'),
    },
    {
      what: 'a session that only looks',
      check: 'session-idle',
      says: /: it keeps a new slot waiting$/,
      breaks: () => session('BEGIN', 'SELECT 1'),
    },
    {
      what: 'a prepared transaction',
      check: 'transaction-prepared',
      says: /transaction \d+ was prepared/,
      breaks: () => session('BEGIN', 'CREATE TABLE held (id int)', `PREPARE TRANSACTION 'it''s held'`),
    },
    {
      what: 'a slot that is another database’s, and no longer needed',
      check: 'slot-limit',
      says: /no replication slot is free for d_\d+$/,
      breaks: sql(
        `SELECT pg_create_logical_replication_slot('d_a', 'pgoutput'), pg_create_logical_replication_slot('d_b', 'pgoutput')`,
      ),
    },
  ]
  test.each(cases)('$what', async ({ check, says, breaks }) => {
    const left = await breaks()
    const found = (await examine()).filter((finding) => finding.check === check)
    expect(found.map((finding) => finding.found)).toEqual([expect.stringMatching(says)])
    if (check === 'slot-limit') {
      // needs a restart, as its comment says: its other remedy is run here
      await database.query(`SELECT pg_drop_replication_slot('d_a')`)
      await database.query('ALTER SYSTEM RESET max_replication_slots')
    } else await runSql(found[0]!.mend)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await left?.end().catch(() => {})
    expect((await examine()).filter((finding) => finding.check === check)).toEqual([])
  })
})

describe('a slot', () => {
  test('that nobody reads is found, with what it holds', async () => {
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
    const [found] = await examine()
    expect(found).toMatchObject({ check: 'slot-active', severity: 'warning' })
    expect(found!.found).toMatch(/^nobody reads slot d_\d+, which holds \d+\.\d MB of WAL on the source's disk$/)
  })

  test('that is near its end is an error, with the time that is left; more room mends it', async () => {
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
    await database.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'`)
    await database.query(`SELECT pg_reload_conf()`)
    await database.query(`SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', repeat('x', 9000000))`)
    await database.query(`SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', repeat('x', 9000000))`)
    const found = (await examine()).find(({ check }) => check === 'slot-room')
    expect(found?.found).toMatch(/holds \d+\.\d MB of WAL \(\w+\); -?\d+\.\d MB are left/)
    await runSql(found!.mend)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await examine()).filter(({ check }) => check === 'slot-room')).toEqual([])
  })

  test('that the server has given up is named with its remedy, which frees it', async () => {
    await database.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
    await database.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`)
    await database.query(`SELECT pg_reload_conf()`)
    for (let i = 0; i < 6; i++) {
      await database.query(`SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', repeat('x', 9000000))`)
    }
    await database.query('CHECKPOINT')
    const found = (await examine()).filter(({ check }) => check.startsWith('slot'))
    expect(found).toEqual([
      expect.objectContaining({
        check: 'slot-lost',
        severity: 'error',
        mend: expect.stringContaining('incidents source adopt'),
      }),
    ])
    await runSql(found[0]!.mend)
    await database.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'; `)
    await database.query(`SELECT pg_reload_conf()`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await examine()).toEqual([])
  })
})
