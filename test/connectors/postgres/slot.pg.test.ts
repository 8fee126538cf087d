import { chmod } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Change, RowChange } from '../../../core/change.ts'
import { EXIT, exitCode, type PipelineError } from '../../../core/error.ts'
import { lsnOf } from '../../../core/position.ts'
import { startPostgres } from '../../../workload/postgres.ts'
import { runCapture, temporaryDirectory, type Captured, type CaptureRun } from '../../support/capture.ts'
import { captureProcess, type CaptureProcess } from '../../support/capture-process.ts'
import { proxy } from '../../support/proxy.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference text, title text);
  ALTER TABLE report REPLICA IDENTITY FULL;
  INSERT INTO report SELECT g, (1000 + g)::text, 'as it was' FROM generate_series(1, 20) g`

type Query = (sql: string) => Promise<Record<string, unknown>[]>

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let topic: Change[]

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  topic = []
  await database.query(SCHEMA)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const snapshotIsDone = ({ changes }: Captured): boolean =>
  changes.some((change) => change.op === 'm' && change.snapshotDone)

/** Captures into `topic`, from where it ends. */
function capture(options: Partial<CaptureRun> & Pick<CaptureRun, 'until'>): Promise<Captured> {
  return runCapture({
    url: database.url,
    name: database.name,
    stateDirectory: state.path,
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    ...options,
  })
}

/** Until the topic has everything that the source has committed now. */
async function caughtUp(query: Query = (sql) => database.query(sql)): Promise<(captured: Captured) => boolean> {
  const [row] = await query(`SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`)
  const end = Number(row!['lsn'])
  return ({ changes }) =>
    changes.some((change) => change.op === 'm' && change.snapshotDone && lsnOf(change.position) >= end)
}

/** The rows that a reader of the topic ends with: of streamed changes it drops what it has passed. */
function folded(changes: readonly Change[]): Record<string, unknown>[] {
  const heights = new Map<number, string>()
  const rows = new Map<unknown, Record<string, unknown>>()
  for (const change of changes) {
    if (change.op === 'm') continue
    if (change.op !== 'r') {
      if (change.position <= (heights.get(change.partition) ?? '')) continue
      heights.set(change.partition, change.position)
    }
    if (change.after === null) rows.delete(change.before!['id'])
    else rows.set(change.after['id'], change.after)
  }
  return [...rows.values()].toSorted((a, b) => Number(a['id']) - Number(b['id']))
}

const sourceRows = (): Promise<Record<string, unknown>[]> => database.query('SELECT * FROM report ORDER BY id')

const streamed = (changes: readonly Change[]): RowChange[] =>
  changes.filter((change): change is RowChange => change.op !== 'm' && change.op !== 'r')

describe('a slot that another process reads', () => {
  let other: Awaited<ReturnType<typeof temporaryDirectory>>
  let first: CaptureProcess

  beforeEach(async () => {
    other = await temporaryDirectory()
    first = captureProcess({ url: database.url, name: database.name, stateDirectory: other.path }, topic)
    await first.started()
    while (
      (await database.query(`SELECT FROM pg_replication_slots WHERE slot_name = '${database.name}' AND active`))
        .length === 0
    )
      await sleep(20)
  })

  afterEach(async () => {
    first.kill()
    await first.ended
    await other.remove()
  })

  /** Writes until the end of the test's work, so that both processes have something to do. */
  async function underLoad(work: () => Promise<void>): Promise<void> {
    let stop = false
    let n = 0
    const load = (async () => {
      while (!stop) await database.query(`UPDATE report SET title = 'turn ${++n}' WHERE id = 1 + ${n} % 20`)
    })()
    try {
      await work()
    } finally {
      stop = true
      await load
    }
  }

  test('is waited for, then taken over aloud; the first ends, does not fight back, and nothing is missing', async () => {
    const warnings: string[] = []
    let takenOver = 0
    let firstEnded = false
    void first.ended.then(() => (firstEnded = true))
    const began = performance.now()
    await underLoad(async () => {
      await capture({
        warn: (sentence) => warnings.push(sentence),
        until: () => {
          if (takenOver === 0) takenOver = performance.now()
          return firstEnded
        },
      })
    })
    expect(takenOver - began).toBeGreaterThan(5_000)
    expect(takenOver - began).toBeLessThan(10_000)
    expect(warnings.slice(0, 2)).toEqual([
      expect.stringMatching(/^slot t_\w+ is read by server process \d+: waiting for it$/),
      expect.stringMatching(/^slot t_\w+ is still read by server process \d+: ending it and taking over$/),
    ])
    expect(await first.ended).toBe('SLOT_IN_USE')
    await capture({ until: await caughtUp() })
    expect(folded(topic)).toEqual(await sourceRows())
  })

  test('is taken over within ten seconds when the other is frozen, and what it still writes later does no harm', async () => {
    let takenOver = 0
    let firstEnded = false
    void first.ended.then(() => (firstEnded = true))
    await underLoad(async () => {
      await sleep(300)
      first.freeze()
      const began = performance.now()
      await capture({
        until: () => {
          if (takenOver === 0) {
            takenOver = performance.now()
            setTimeout(() => first.thaw(), 500)
          }
          return firstEnded
        },
      })
      expect(takenOver - began).toBeLessThan(10_000)
    })
    expect(await first.ended).toBe('SLOT_IN_USE')
    await capture({ until: await caughtUp() })
    expect(folded(topic)).toEqual(await sourceRows())
  })

  test('is used at once when the other ends by itself while it is waited for', async () => {
    const began = performance.now()
    setTimeout(() => first.kill(), 1_000)
    const warnings: string[] = []
    await capture({ warn: (sentence) => warnings.push(sentence), until: await caughtUp() })
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(warnings.filter((sentence) => sentence.includes('taking over'))).toEqual([])
    expect(folded(topic)).toEqual(await sourceRows())
  })
})

describe('a capture whose walsender is ended', () => {
  test('by an administrator says that the source may come back, not that it was taken over', async () => {
    let ended = false
    await expect(
      capture({
        until: (captured) => {
          if (!ended && snapshotIsDone(captured)) {
            ended = true
            setTimeout(
              () =>
                void database.query(
                  `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${database.name}'`,
                ),
              1_000,
            )
          }
          return false
        },
      }),
    ).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE', message: expect.stringContaining('administrator command') })
    await database.query(`UPDATE report SET title = 'after'`)
    await capture({ until: await caughtUp() })
    expect(folded(topic)).toEqual(await sourceRows())
    expect(streamed(topic)).toHaveLength(20)
  })
})

test('a network that swallows everything is noticed, and what was committed meanwhile comes once it is back', async () => {
  await database.query(`ALTER DATABASE ${database.name} SET wal_sender_timeout = '2s'`)
  const network = await proxy(Number(new URL(database.url).port))
  const url = new URL(database.url)
  url.port = String(network.port)
  try {
    let frozenAt = 0
    await expect(
      capture({
        url: url.href,
        until: (captured) => {
          if (frozenAt === 0 && snapshotIsDone(captured)) {
            frozenAt = performance.now()
            setTimeout(() => network.freeze(), 1_000)
          }
          return false
        },
      }),
    ).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: expect.stringMatching(/does not answer: .*nothing for 6 s$/),
    })
    expect(performance.now() - frozenAt).toBeLessThan(15_000)
    await database.query(`UPDATE report SET title = 'meanwhile'`)
    network.thaw()
    await capture({ url: url.href, until: await caughtUp() })
    expect(folded(topic)).toEqual(await sourceRows())
    expect(streamed(topic)).toHaveLength(20)
  } finally {
    network.close()
  }
})

describe('a slot of the same name that is not ours', () => {
  const drop = (): Promise<unknown> => database.dropSlot(database.name)
  const refusal = (): Promise<PipelineError> =>
    capture({ until: snapshotIsDone }).then(
      () => expect.unreachable('it was used'),
      (error: PipelineError) => error,
    )

  const foreign: readonly { what: string; sql: string; says: RegExp }[] = [
    {
      what: 'another plugin',
      sql: `SELECT pg_create_logical_replication_slot('$name', 'test_decoding')`,
      says: /^slot t_\w+ is of database t_\w+ and plugin test_decoding, one of this database and plugin pgoutput is needed$/,
    },
    {
      what: 'physical replication',
      sql: `SELECT pg_create_physical_replication_slot('$name')`,
      says: /^slot t_\w+ is one for physical replication, /,
    },
  ]

  test.for(foreign)('$what: is left alone, and the remedy mends it', async ({ sql, says }) => {
    await database.query(sql.replace('$name', database.name))
    try {
      const error = await refusal()
      expect(error).toMatchObject({ code: 'SLOT_IN_USE', message: expect.stringMatching(says) })
      await database.query(error.remedy.slice(error.remedy.indexOf('SELECT')))
      await capture({ until: snapshotIsDone })
      expect(folded(topic)).toEqual(await sourceRows())
    } finally {
      await drop().catch(() => {})
    }
  })

  test('another database: is left alone', async () => {
    const elsewhere = await testDatabase()
    try {
      await elsewhere.query(`SELECT pg_create_logical_replication_slot('${database.name}', 'pgoutput')`)
      const error = await refusal()
      expect(error.message).toContain(`slot ${database.name} is of database ${elsewhere.name} and plugin pgoutput`)
      expect(exitCode(error)).toBe(EXIT.source)
    } finally {
      await elsewhere.drop()
    }
  })
})

describe('a server of its own', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let server: Awaited<ReturnType<typeof startPostgres>> | null

  beforeEach(async () => {
    directory = await temporaryDirectory()
    await chmod(directory.path, 0o755)
    server = null
  })

  afterEach(async () => {
    await server?.stop()
    await directory.remove()
  })

  /** Starts it, or starts it again with other settings. */
  async function start(...settings: string[]): Promise<Query> {
    const port = server?.port
    await server?.stop()
    server = await startPostgres({
      directory: join(directory.path, 'pg'),
      settings: ['fsync=off', ...settings],
      ...(port === undefined ? {} : { port }),
    })
    return async (sql) => {
      const client = new pg.Client({ connectionString: server!.url })
      await client.connect()
      try {
        return (await client.query(sql)).rows as Record<string, unknown>[]
      } finally {
        await client.end()
      }
    }
  }

  const run = (until: CaptureRun['until'], further: Partial<CaptureRun> = {}): Promise<Captured> =>
    capture({ url: server!.url, name: 'incidents', until, ...further })

  test('that has no slot left says so, and the remedy mends it', async () => {
    const query = await start('max_replication_slots=1')
    await query(SCHEMA)
    await query(`SELECT pg_create_logical_replication_slot('somebody_else', 'pgoutput')`)
    await expect(run(snapshotIsDone)).rejects.toMatchObject({
      code: 'SLOT_LIMIT',
      message: 'slot incidents cannot be made: all replication slots are in use',
      remedy: expect.stringMatching(/^Raise max_replication_slots and restart the server/),
    })
    expect(topic).toEqual([])
    const again = await start('max_replication_slots=2')
    await run(snapshotIsDone)
    expect(folded(topic)).toEqual(await again('SELECT * FROM report ORDER BY id'))
  })

  test('that has no walsender left says so', async () => {
    const query = await start('max_wal_senders=1')
    await query(SCHEMA)
    const occupant = new pg.Client({ connectionString: server!.url, replication: 'database' } as pg.ClientConfig)
    await occupant.connect()
    await expect(run(snapshotIsDone)).rejects.toMatchObject({
      code: 'SLOT_LIMIT',
      message: expect.stringContaining('max_wal_senders'),
      remedy: expect.stringContaining('Raise max_wal_senders'),
    })
    await occupant.end()
    await run(snapshotIsDone)
    expect(folded(topic)).toEqual(await query('SELECT * FROM report ORDER BY id'))
  })

  test('that removed WAL which the slot needed: capture stops in doubt, and starts no new slot by itself', async () => {
    const query = await start('max_slot_wal_keep_size=1MB', 'max_wal_size=32MB', 'min_wal_size=32MB')
    await query(SCHEMA)
    await run(snapshotIsDone)
    const before = topic.length
    await query(`CREATE TABLE filler AS SELECT repeat(md5(g::text), 30) AS text FROM generate_series(1, 1) g`)
    for (let i = 0; i < 6; i++) {
      await query(`INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 10000) g`)
      await query('SELECT pg_switch_wal()')
      await query('CHECKPOINT')
    }
    expect(await query('SELECT wal_status FROM pg_replication_slots')).toEqual([{ wal_status: 'lost' }])
    const error = await run(snapshotIsDone).catch((cause: PipelineError) => cause)
    expect(error).toMatchObject({
      code: 'SLOT_LOST',
      message: 'the server removed WAL that slot incidents still needed',
      remedy: expect.stringContaining('source adopt'),
    })
    expect(exitCode(error)).toBe(EXIT.doubt)
    expect(topic).toHaveLength(before)
    expect(await query('SELECT count(*)::int AS n FROM pg_replication_slots')).toEqual([{ n: 1 }])
  })

  test('that is stopped in the midst of a stream: the source may come back, and capture goes on where it was', async () => {
    const query = await start()
    await query(SCHEMA)
    let stopped = false
    const broken = run((captured) => {
      if (!stopped && snapshotIsDone(captured)) {
        stopped = true
        setTimeout(() => void start(), 500)
      }
      return false
    })
    await expect(broken).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: expect.stringContaining(`the source database postgres at 127.0.0.1:${server!.port}`),
    })
    for (let i = 0; i < 100; i++) {
      const up = await query('SELECT 1').then(
        () => true,
        () => false,
      )
      if (up) break
      await sleep(100)
    }
    await query(`UPDATE report SET title = 'after the restart'`)
    await run(await caughtUp(query))
    expect(folded(topic)).toEqual(await query('SELECT * FROM report ORDER BY id'))
    expect(streamed(topic)).toHaveLength(20)
  })
})
