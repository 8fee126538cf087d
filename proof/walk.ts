/** One change hop by hop, with its real values: the README's table executed. */
import type pg from 'pg'
import { decodeFrame, type WalMessage } from '../connectors/postgres/pgoutput.ts'
import { connect } from '../connectors/postgres/session.ts'
import { tableName, type Change, type RowChange } from '../core/change.ts'
import type { Received } from '../core/message.ts'
import type { EntityRow } from '../core/incident.ts'
import { lsnText } from '../core/position.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { unify } from '../transforms/unify.ts'
import type { Topic } from '../transport/topic.ts'
import { pause } from '../core/pause.ts'

const POLL_MS = 100

export interface Hop {
  readonly hop: number
  readonly what: string
  /** The function that this hop is, and its file. */
  readonly where: string
  readonly value: string
}

export interface WalkOptions {
  readonly databaseUrl: string
  readonly publication: string
  readonly operationalUrl: string
  readonly apiUrl: string
  /** Of a caller who may read reports. */
  readonly token: string
  readonly raw: Topic
  readonly registry: Registry
}

interface WalRecord {
  readonly bytes: Buffer
  readonly message: WalMessage
}

/**
 * Closes one DPS report with ordinary SQL and follows the change. A slot of its own, gone with its session, shows the
 * bytes that the server sends.
 */
export async function walk(options: WalkOptions): Promise<{ hops: Hop[]; reference: string; id: string }> {
  const client = await connect(options.databaseUrl)
  try {
    const slot = `walk_${process.pid}`
    await client.query('SELECT pg_create_logical_replication_slot($1, $2, true)', [slot, 'pgoutput'])
    const report = await closeReport(client)
    const wal = await sent(client, slot, options.publication)
    const { record, change } = await found(options, report.reference)
    const [row] = unify(change).rows
    return {
      ...report,
      hops: [...walHops(wal, change), ...topicHops(options, record, change), ...(await placeHops(options, row!))],
    }
  } finally {
    await client.end()
  }
}

async function closeReport(client: pg.Client): Promise<{ id: string; reference: string }> {
  const { rows } = await client.query<{ id: string; reference: string }>(
    `UPDATE report SET status = 'CLOSED', modified_at = modified_at + interval '1 minute'
     WHERE id = (SELECT id FROM report WHERE status <> 'CLOSED' ORDER BY report_reference LIMIT 1)
     RETURNING id, report_reference AS reference`,
  )
  const [report] = rows
  if (report === undefined) throw new Error('the source has no report that could be closed')
  return report
}

async function sent(client: pg.Client, slot: string, publication: string): Promise<WalRecord> {
  const { rows } = await client.query<{ lsn: string; data: string }>(
    `SELECT lsn::text, encode(data, 'hex') AS data
     FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
    [slot, publication],
  )
  const row = rows.find(({ data }) => data.startsWith('55'))
  if (row === undefined) throw new Error('the server sent no update')
  const bytes = Buffer.concat([Buffer.from('w'), Buffer.alloc(24), Buffer.from(row.data, 'hex')])
  return { bytes, message: decodeFrame({ bytes, start: 0, end: bytes.length })! }
}

async function found(
  { raw, registry }: WalkOptions,
  reference: string,
): Promise<{ record: Received; change: RowChange }> {
  const decoder = rawDecoder(registry)
  for (let tries = 0; tries < 100; tries++) {
    for (let partition = 0; partition < raw.partitions; partition++) {
      const records = await raw.tail(partition, 200)
      const changes = await decoder.decode(records)
      const i = changes.findLastIndex((change) => isClosing(change, reference))
      if (i !== -1) return { record: records[i]!, change: changes[i] as RowChange }
    }
    await pause(POLL_MS)
  }
  throw new Error('the change did not reach the raw topic within 10 s')
}

function isClosing(change: Change, reference: string): boolean {
  return (
    change.op === 'u' &&
    tableName(change.table) === 'public.report' &&
    change.reference === reference &&
    change.after?.['status'] === 'CLOSED'
  )
}

function walHops({ bytes, message }: WalRecord, change: RowChange): Hop[] {
  const shown = bytes.subarray(25, 49).toString('hex')
  return [
    {
      hop: 1,
      what: 'WAL bytes',
      where: 'connectReplication · connectors/postgres/replication.ts',
      value: `${shown}… ${bytes.length - 25} bytes`,
    },
    {
      hop: 2,
      what: 'WalMessage',
      where: 'decodeFrame · connectors/postgres/pgoutput.ts',
      value: `${message.tag} of relation ${'oid' in message ? message.oid : ''}`,
    },
    {
      hop: 3,
      what: 'Change',
      where: 'changesOf · connectors/postgres/changes.ts',
      value: `${change.op} ${tableName(change.table)} of incident ${change.reference} at ${change.position}`,
    },
  ]
}

function topicHops({ raw }: WalkOptions, record: Received, change: RowChange): Hop[] {
  const value = record.value!
  return [
    {
      hop: 4,
      what: 'Avro message',
      where: 'rawEncoder · schemas/raw-encoder.ts',
      value: `schema ${value.readUInt32BE(1)}, ${value.length} bytes, key ${record.key.subarray(5).toString('hex').slice(0, 24)}…`,
    },
    {
      hop: 5,
      what: 'topic',
      where: 'Topic.write · transport/topic.ts',
      value: `${raw.name} partition ${record.partition} offset ${record.offset}`,
    },
    {
      hop: 6,
      what: 'Change again',
      where: 'rawDecoder · schemas/raw-decoder.ts',
      value: `status ${String(change.before?.['status'])} → ${String(change.after?.['status'])}, committed ${new Date(change.committedAt / 1000).toISOString()}, WAL ${lsnText(change.lsn)}`,
    },
  ]
}

async function placeHops({ operationalUrl, apiUrl, token }: WalkOptions, row: EntityRow): Promise<Hop[]> {
  const { value } = row
  const stored = await storedRow(operationalUrl, row.id)
  const answer = await apiAnswer(`${apiUrl}/incident-reports/${row.id}`, token)
  return [
    {
      hop: 7,
      what: 'IncidentChange',
      where: 'unify · transforms/unify.ts',
      value: `${row.op} ${row.entity} ${row.id}: ${String(value['typeFamily'])}, ${String(value['status'])}, completed ${String(value['completed'])}`,
    },
    {
      hop: 8,
      what: 'sink row',
      where: 'operationalStore · sinks/operational.ts',
      value: `prisons.incidents_report: status ${stored['status']} at ${stored['position']}`,
    },
    { hop: 9, what: 'API answer', where: 'incidentRoutes · api/incidents.ts', value: answer },
  ]
}

async function storedRow(url: string, id: string): Promise<Record<string, string>> {
  const client = await connect(url)
  try {
    for (let tries = 0; ; tries++) {
      const { rows } = await client.query<Record<string, string>>(
        `SELECT status, position FROM prisons.incidents_report WHERE id = $1`,
        [id],
      )
      if (rows[0]?.['status'] === 'CLOSED' || tries === 100) return rows[0] ?? {}
      await pause(POLL_MS)
    }
  } finally {
    await client.end()
  }
}

async function apiAnswer(url: string, token: string): Promise<string> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  const body = (await response.json()) as { reportReference: string; status: string }
  return `${response.status} {"reportReference":"${body.reportReference}","status":"${body.status}"} X-Source-LSN ${response.headers.get('x-source-lsn')}`
}
