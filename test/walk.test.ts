/**
 * The README's table, executed: one recorded transaction through all nine hops, a golden value at each. The frames were
 * recorded from PostgreSQL 18 for `UPDATE report SET status = 'CLOSED' …`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '../api/database.ts'
import { changesOf } from '../connectors/postgres/changes.ts'
import { assembler, type Assembled } from '../connectors/postgres/assembler.ts'
import { decodeFrame, type WalMessage } from '../connectors/postgres/pgoutput.ts'
import type { Frame } from '../connectors/postgres/framing.ts'
import { rowReader } from '../connectors/postgres/tuples.ts'
import { tableName, type Change, type Marker, type RowChange, type Table, type Tuple } from '../core/change.ts'
import { RULES_VERSION, type IncidentChange } from '../core/incident.ts'
import type { Message, Received } from '../core/message.ts'
import { BEGINNING, position } from '../core/position.ts'
import { projections } from '../schemas/policy/projection.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import { rawEncoder } from '../schemas/raw-encoder.ts'
import { localRegistry } from '../schemas/registry-local.ts'
import { operationalStore } from '../sinks/operational.ts'
import { unify } from '../transforms/unify.ts'
import { embeddedTransport } from '../transport/embedded.ts'
import { topics } from '../transport/topics.ts'
import { testApi } from './support/api.ts'
import { testDatabase, type TestDatabase } from './support/postgres.ts'

const REPORT = '0196a2b4-7c00-7000-8000-000000000001'
const PARTITIONS = 6

const frames: Frame[] = readFileSync(new URL('golden/walk.hex', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => Buffer.from(line, 'hex'))
  .map((bytes) => ({ bytes, start: 0, end: bytes.length }))

let directory: string
let database: TestDatabase
/** The README's rows: hop, value. */
const seen: string[] = []
const hop = (n: number, value: string): void => void seen.push(`${n} | ${value}`)

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-walk-'))
  database = await testDatabase()
})

afterAll(async () => {
  await database.drop()
  rmSync(directory, { recursive: true })
})

test('UPDATE report SET status passes nine hops, each with its golden value', async () => {
  // 1 WAL bytes
  const update = frames[2]!
  expect(update.bytes.toString('hex', 25, 43)).toBe('55000040004f001474000000243031393661')
  hop(1, `\`${update.bytes.toString('hex', 25, 37)}…\` ${update.end - 25} bytes`)

  // 2 WalMessage
  const messages = frames.map((frame) => decodeFrame(frame)!)
  expect(messages.map((message) => message.tag)).toEqual(['begin', 'relation', 'update', 'commit'])
  const [begin, relation] = messages as [
    Extract<WalMessage, { tag: 'begin' }>,
    Extract<WalMessage, { tag: 'relation' }>,
  ]
  hop(
    2,
    `\`update\` of relation \`${relation.relation.schema}.${relation.relation.name}\`, ${relation.relation.columns.length} columns`,
  )

  // 3 Change
  const table: Table = { schema: 'public', name: 'report', columns: relation.relation.columns, key: ['id'] }
  const transactions = assembler({ directory, memoryBytes: 1 << 20 })
  const assembled = frames.map((frame) => transactions.push(frame)).at(-1)
  const { transaction } = assembled as Extract<Assembled, { what: 'transaction' }>
  const parents = { find: () => undefined, set: () => {}, merge: () => {} }
  const [run] = [
    ...changesOf(
      transaction,
      { epoch: 1, partitions: PARTITIONS, parents, captured: () => ({ table, leftOut: false }) },
      1 << 20,
    ),
  ]
  const captured = run![0]!
  expect(run).toHaveLength(1)
  expect({ ...rowReader(table)(captured.after!), description: undefined }).toMatchObject({
    status: 'CLOSED',
    report_reference: '11124143',
  })
  hop(
    3,
    `\`${captured.op}\` ${tableName(captured.table)} of incident ${captured.reference} at \`${captured.position}\``,
  )

  // 4 Avro message
  const registry = localRegistry(directory)
  const encoder = rawEncoder({
    registry,
    topic: 'incidents.raw',
    namespace: 'incidents',
    database: 'incident_reporting',
  })
  const markers = Array.from({ length: PARTITIONS }, (_, partition) => markerAt(begin.commitLsn, partition, captured))
  const encoded: Message[] = await encoder.encode([captured, ...markers])
  const [message] = encoded
  expect(message!.value!.toString('hex')).toMatchSnapshot('Avro value')
  expect(message!.key.toString('hex')).toMatchSnapshot('Avro key')
  hop(4, `framing \`${message!.value!.toString('hex', 0, 5)}\`, ${message!.value!.length} bytes of Avro`)

  // 5 topic
  const transport = await embeddedTransport({ directory, partitions: PARTITIONS, maxBytes: 1 << 30 })
  const raw = await transport.topic(topics('incidents').raw)
  await raw.write(encoded)
  const [record] = (await raw.tail(message!.partition, 2)) as [Received]
  hop(5, `\`${raw.name}\` partition ${record.partition} offset ${record.offset}`)

  // 6 Change again
  const changes: Change[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    changes.push(...(await rawDecoder(registry).decode(await raw.tail(partition, 10))))
  }
  const change = changes.find((each): each is RowChange => each.op === 'u')!
  expect(change.after).toEqual(rowReader(table)(captured.after!))
  expect(change.before).toEqual(rowReader(table)(captured.before!))
  hop(
    6,
    `status \`${String(change.before!['status'])}\` → \`${String(change.after!['status'])}\`, committed ${new Date(change.committedAt / 1000).toISOString()}`,
  )

  // 7 IncidentChange
  const incidentChange: IncidentChange = unify(change)
  const [row] = incidentChange.rows
  expect(incidentChange.rows).toHaveLength(1)
  expect(row!.value).toMatchSnapshot('unified Report')
  hop(
    7,
    `\`${row!.op}\` ${row!.entity}: ${String(row!.value['typeFamily'])}, ${String(row!.value['status'])}, happened ${String(row!.value['incidentDateAndTime'])}`,
  )

  // 8 sink row
  const sink = await operationalStore({
    url: database.url,
    projections: projections('operational', 'k'.repeat(16)),
    rulesVersion: RULES_VERSION,
  })
  await sink.write([incidentChange, ...changes.filter((each) => each.op === 'm').map(unify)])
  await sink.close()
  const [stored] = await database.query(
    `SELECT id, reference, status, completed, position FROM prisons.incidents_report`,
  )
  expect(stored).toEqual({
    id: REPORT,
    reference: '11124143',
    status: 'CLOSED',
    completed: true,
    position: captured.position,
  })
  hop(8, `\`prisons.incidents_report\` status \`${stored!['status']}\`, completed ${stored!['completed']}`)

  // 9 API answer
  const pool = openDatabase(database.url)
  const { app, as } = await testApi({ database: pool })
  const response = await app.inject({ url: `/incident-reports/${REPORT}`, headers: await as() })
  expect(response.json()).toMatchSnapshot('API answer')
  hop(
    9,
    `${response.statusCode} \`{"reportReference":"${response.json().reportReference}","status":"${response.json().status}"}\``,
  )
  await app.close()
  await pool.end()
  await transport.close()
})

test('the README shows the same values, and its files exist', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const rows = [...readme.matchAll(/^\| (\d) \| [^|]+ \| ([^|]+) \| `[^|]*`, \[[^\]]+\]\(([^)]+)\) \|$/gm)]
  expect(rows.map(([, n, value]) => `${n} | ${value}`)).toEqual(seen)
  for (const [, , , file] of rows)
    expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').length).toBeGreaterThan(0)
})

function markerAt(lsn: number, partition: number, after: RowChange<Tuple>): Marker {
  return {
    op: 'm',
    slot: 'incidents',
    systemIdentifier: '7000000000000000001',
    timeline: 1,
    snapshotDone: true,
    stopped: [],
    position: position(1, lsn + 48, 0),
    lsn: lsn + 48,
    committedAt: after.committedAt,
    txId: 0,
    partition,
    offset: -1,
    streamedTo: partition === after.partition ? after.position : BEGINNING,
    lastInTransaction: true,
    bytes: 0,
  }
}
