/**
 * Transactions that the server streams while they run: what is committed comes out as if it had come whole, and nothing of
 * what was undone.
 */
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assembler, type Transaction } from '../../../connectors/postgres/assembler.ts'
import { decodeFrame } from '../../../connectors/postgres/pgoutput.ts'
import type { Change, Tuple } from '../../../core/change.ts'
import { lsnOf, parseLsn } from '../../../core/position.ts'
import { PARTITIONS, runCapture, temporaryDirectory, type CaptureRun, type Captured } from '../../support/capture.ts'
import { cellsOf, xlogData } from '../../support/pgoutput.ts'
import { testDatabase, type TestDatabase } from '../../support/postgres.ts'

const SCHEMA = `
  CREATE TABLE report (id int PRIMARY KEY, report_reference varchar(25), title text);
  CREATE TABLE question (id int PRIMARY KEY, report_id int, code text);
  CREATE TABLE loose (id int PRIMARY KEY, a text);
  ALTER TABLE report REPLICA IDENTITY FULL;
  ALTER TABLE question REPLICA IDENTITY FULL;
  ALTER TABLE loose REPLICA IDENTITY FULL;`

let database: TestDatabase
let state: Awaited<ReturnType<typeof temporaryDirectory>>

beforeEach(async () => {
  database = await testDatabase()
  state = await temporaryDirectory()
  await database.query(SCHEMA)
  await database.query(`CREATE PUBLICATION ${database.name} FOR TABLE report, question, loose`)
})

afterEach(async () => {
  await database.drop()
  await state.remove()
})

const LARGE = `SELECT g, repeat(md5(g::text), 10) FROM generate_series`

/** Large transactions with everything in them: savepoints undone and kept, nested; DDL; TRUNCATE undone; two at a time. */
const WORKLOAD = [
  `BEGIN; INSERT INTO report SELECT g, (1000 + g)::text, repeat('t', 100) FROM generate_series(1, 3000) g;
   INSERT INTO question SELECT g, g, 'Q' FROM generate_series(1, 3000) g;
   SAVEPOINT a; UPDATE report SET title = 'undone'; DELETE FROM question; ROLLBACK TO a;
   UPDATE report SET title = 'kept' WHERE id <= 1500; SAVEPOINT b; DELETE FROM question WHERE id > 2000;
   SAVEPOINT c; UPDATE question SET report_id = 1; ROLLBACK TO c; RELEASE b; COMMIT`,
  `BEGIN; INSERT INTO loose ${LARGE}(1, 2000) g; ROLLBACK`,
  `BEGIN; INSERT INTO loose ${LARGE}(1, 2000) g; SAVEPOINT a; TRUNCATE loose; INSERT INTO loose ${LARGE}(5000, 7000) g; ROLLBACK TO a; COMMIT`,
  `BEGIN; INSERT INTO loose ${LARGE}(3000, 4000) g; ALTER TABLE loose ADD COLUMN b text; UPDATE loose SET b = a;
   SAVEPOINT a; ALTER TABLE loose DROP COLUMN a; UPDATE loose SET b = 'undone'; ROLLBACK TO a; DELETE FROM loose WHERE id < 500; COMMIT`,
]

async function run(client: pg.Client): Promise<void> {
  for (const sql of WORKLOAD) await client.query(sql)
}

async function interleaved(a: pg.Client, b: pg.Client): Promise<void> {
  await a.query(`BEGIN; INSERT INTO loose ${LARGE}(10000, 12000) g`)
  await b.query(`BEGIN; INSERT INTO loose ${LARGE}(20000, 22000) g`)
  await a.query(`UPDATE loose SET a = 'a' WHERE id BETWEEN 10000 AND 12000`)
  await b.query(`SAVEPOINT s; UPDATE loose SET a = 'undone' WHERE id BETWEEN 20000 AND 22000; ROLLBACK TO s`)
  await b.query(`UPDATE report SET title = 'b' WHERE id = 1; COMMIT`)
  await a.query(`UPDATE report SET title = 'a' WHERE id = 1; COMMIT`)
}

test('the topic has the same bytes whether the server streamed its transactions or kept them', async () => {
  const twin = `${database.name}_twin`
  await database.query(`CREATE PUBLICATION ${twin} FOR TABLE report, question, loose`)
  const snapshotIsDone = ({ changes }: Captured): boolean =>
    changes.some((change) => change.op === 'm' && change.snapshotDone)
  const { changes: before } = await capture({ name: database.name, before: [], until: snapshotIsDone })
  await database.query(`SELECT pg_copy_logical_replication_slot('${database.name}', '${twin}')`)
  const [a, b] = [await session(), await session()]
  await run(a)
  await interleaved(a, b)
  await a.end()
  await b.end()
  const end = await insertLsn()
  const found = async (name: string, memory: string): Promise<{ bytes: string[]; positions: string[][] }> => {
    await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '${memory}'`)
    const fresh = await temporaryDirectory()
    const until = ({ changes }: Captured): boolean =>
      changes.some((change) => change.op === 'm' && lsnOf(change.position) >= end)
    const { changes, bytes } = await capture({ name, before, until, stateDirectory: fresh.path })
    await fresh.remove()
    const isStreamed = ({ op }: Change): boolean => op === 'c' || op === 'u' || op === 'd'
    return {
      bytes: bytes.filter((_, i) => isStreamed(changes[i]!)),
      positions: Array.from({ length: PARTITIONS }, (_, partition) =>
        changes.filter((each) => each.partition === partition && isStreamed(each)).map((each) => each.position),
      ),
    }
  }
  const kept = await found(database.name, '1GB')
  const streamed = await found(twin, '64kB')
  expect([await streams(database.name), (await streams(twin)) > 3]).toEqual([0, true])
  expect(kept.bytes.length).toBeGreaterThan(15_000)
  expect(streamed.bytes.toSorted()).toEqual(kept.bytes.toSorted())
  expect(streamed.positions).toEqual(kept.positions)
})

describe('what the server sends as protocol 2', () => {
  test('becomes the transactions that it sends as protocol 1, row by row', async () => {
    await database.query(`SELECT pg_create_logical_replication_slot('${database.name}', 'pgoutput')`)
    const [a, b] = [await session(), await session()]
    await run(a)
    await interleaved(a, b)
    await a.query(`BEGIN; SELECT pg_logical_emit_message(true, 'kept', 'x'); SAVEPOINT s;
      SELECT pg_logical_emit_message(true, 'undone', 'y'); ROLLBACK TO s; INSERT INTO loose ${LARGE}(50000, 52000) g; COMMIT`)
    await a.end()
    await b.end()
    const whole = await transactions(['proto_version', '1'], '1GB')
    const streamed = await transactions(['proto_version', '2', 'streaming', 'on'], '64kB')
    expect(streamed.streamed).toBeGreaterThan(4)
    expect(whole.streamed).toBe(0)
    expect(streamed.found.map(({ head }) => head)).toEqual(whole.found.map(({ head }) => head))
    for (const [i, { rows }] of streamed.found.entries()) expect(rows).toEqual(whole.found[i]!.rows)
    expect(streamed.found.flatMap(({ head }) => head.messages)).toEqual(['kept'])
  })
})

interface Read {
  readonly head: { readonly txId: number; readonly truncated: number; readonly messages: readonly string[] }
  readonly rows: readonly unknown[]
}

/** Everything committed since the slot, as an assembler gives it, with how many pieces were streamed. */
async function transactions(options: readonly string[], memory: string): Promise<{ found: Read[]; streamed: number }> {
  const client = await session()
  await client.query(`SET logical_decoding_work_mem = '${memory}'`)
  const { rows } = await client.query<{ lsn: string; data: Buffer }>(
    `SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes('${database.name}', NULL, NULL,
       'publication_names', '${database.name}', 'messages', 'true', ${options.map((each) => `'${each}'`).join(', ')})`,
  )
  await client.end()
  const pieces = assembler({ directory: state.path, memoryBytes: 100_000 })
  const found: Read[] = []
  let streamed = 0
  for (const { lsn, data } of rows) {
    if (data[0] === 0x53) streamed += 1
    const assembled = pieces.push(xlogData(parseLsn(lsn), data))
    if (assembled?.what === 'transaction') found.push(read(assembled.transaction))
  }
  pieces.close()
  return { found, streamed }
}

function read(transaction: Transaction): Read {
  const { txId, truncated, messages, form } = transaction
  const rows = Array.from(transaction.rows(), ({ frame, relation }) => {
    const message = decodeFrame(frame, form) as { tag: string; before?: Tuple | null; after?: Tuple }
    return [
      relation.name,
      relation.columns.map(({ name }) => name).join(),
      message.tag,
      message.before == null ? null : cellsOf(message.before),
      message.after === undefined ? null : cellsOf(message.after),
    ]
  })
  transaction.discard()
  return { head: { txId, truncated: truncated.length, messages: messages.map(({ prefix }) => prefix) }, rows }
}

async function session(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  return client
}

/** How many transactions of a slot the server has streamed. */
async function streams(slot: string): Promise<number> {
  const [row] = await database.query<{ n: string }>(
    `SELECT stream_txns::text AS n FROM pg_stat_replication_slots WHERE slot_name = '${slot}'`,
  )
  return Number(row?.n ?? 0)
}

async function insertLsn(): Promise<number> {
  const [row] = await database.query<{ lsn: string }>(
    `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text AS lsn`,
  )
  return Number(row!.lsn)
}

function capture(
  options: Pick<CaptureRun, 'name' | 'before' | 'until'> & { stateDirectory?: string },
): Promise<Captured> {
  return runCapture({ url: database.url, stateDirectory: state.path, ...options })
}
