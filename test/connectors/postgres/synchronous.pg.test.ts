/**
 * Synchronous replication makes a commit visible long after it is in the WAL: the stream has delivered it, and a reader
 * beside the stream does not see it. What such a reader finds is old, though it is read later.
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask } from '../../../connectors/postgres/requests.ts'
import type { Change, RowChange } from '../../../core/change.ts'
import { untilDone } from '../../../proof/repair.ts'
import { startPostgres, type LocalPostgres } from '../../../workload/postgres.ts'
import { runCapture, temporaryDirectory } from '../../support/capture.ts'

let server: LocalPostgres
let client: pg.Client
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let state: Awaited<ReturnType<typeof temporaryDirectory>>
let topic: Change[]

beforeEach(async () => {
  directory = await temporaryDirectory()
  await chmod(directory.path, 0o755)
  state = await temporaryDirectory()
  server = await startPostgres({ directory: join(directory.path, 'pg'), settings: ['fsync=off'] })
  client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query(`
    CREATE TABLE report (id int PRIMARY KEY, report_reference text, title text);
    ALTER TABLE report REPLICA IDENTITY FULL;
    INSERT INTO report SELECT g, (1000 + g)::text, 'before' FROM generate_series(1, 20) g;
    CREATE PUBLICATION incidents FOR TABLE report`)
  await client.query('SET synchronous_commit = local')
  topic = []
})

afterEach(async () => {
  await client.end()
  await server.stop()
  await directory.remove()
  await state.remove()
})

function capture() {
  let stopped = false
  const running = runCapture({
    url: server.url,
    stateDirectory: state.path,
    before: () => topic,
    write: (changes) => void topic.push(...changes),
    until: () => stopped,
  })
  running.catch(() => {})
  return {
    stop: async () => {
      stopped = true
      await running
    },
  }
}

/** With a standby that is not there, every commit waits for it; without, those that wait become visible. */
async function waitForStandby(name: string): Promise<void> {
  await client.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
  await client.query('SELECT pg_reload_conf()')
  await expect
    .poll(async () => (await client.query('SHOW synchronous_standby_names')).rows[0].synchronous_standby_names)
    .toBe(name)
}

/** Commits in the WAL, and waits there. */
async function invisibleUpdate(): Promise<{ visible: Promise<unknown> }> {
  const writer = new pg.Client({ connectionString: server.url })
  await writer.connect()
  const visible = writer.query(`UPDATE report SET title = 'after' WHERE id = 1`).finally(() => writer.end())
  visible.catch(() => {})
  await expect
    .poll(async () => (await client.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).rowCount)
    .toBe(1)
  return { visible }
}

/** Another process goes on once what was delivered is acknowledged. */
async function restarted(running: ReturnType<typeof capture>): Promise<ReturnType<typeof capture>> {
  const { lsn } = topic.find(({ op }) => op === 'u')!
  await expect.poll(marked, { timeout: 20_000 }).toBeGreaterThan(lsn)
  await running.stop()
  return capture()
}

const delivered = (): boolean => topic.some(({ op }) => op === 'u')
const marked = (): number => topic.findLast(({ op }) => op === 'm')?.lsn ?? 0
const rowsRead = (from: number): RowChange[] => topic.slice(from).filter((each) => each.op === 'r') as RowChange[]

test.for([
  { what: 'this process has delivered', restarts: false },
  { what: 'the process before it had delivered', restarts: true },
])(
  'a commit that $what and that nobody sees yet is waited for, and not undone by what was read',
  async ({ restarts }) => {
    let running = capture()
    await expect.poll(() => topic.some((each) => each.op === 'm' && each.snapshotDone), { timeout: 30_000 }).toBe(true)
    await waitForStandby('nobody')
    const update = await invisibleUpdate()
    await expect.poll(delivered, { timeout: 20_000 }).toBe(true)
    if (restarts) running = await restarted(running)

    const from = topic.length
    const { id } = await ask(client, 'incidents', { kind: 'tables', tables: ['public.report'], sweep: true })
    const windows = async (): Promise<number> =>
      Number(
        (await client.query(`SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'incidents'`)).rows[0]
          .n,
      )
    await expect.poll(windows, { timeout: 20_000 }).toBeGreaterThan(1) // its reader is there
    await new Promise((resolve) => setTimeout(resolve, 2_000)) // many windows, each read too early
    expect((await client.query('SELECT title FROM report WHERE id = 1')).rows).toEqual([{ title: 'before' }])
    expect(rowsRead(from)).toEqual([])

    await waitForStandby('')
    await update.visible
    const progress = await untilDone(id, {
      stateDirectory: state.path,
      signal: AbortSignal.timeout(60_000),
      seenMs: 20_000,
    })
    expect(progress!.parts).toMatchObject([{ table: 'public.report', outcome: 'done', rows: 20 }])
    expect(rowsRead(from).find(({ after }) => after!['id'] === 1)!.after!['title']).toBe('after')
    await running.stop()
  },
)
