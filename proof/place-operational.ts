/** The operational store as `reconcile` asks it: hashed by PostgreSQL itself. */
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { ENTITIES } from '../core/incident.ts'
import { connect, disconnect } from '../connectors/postgres/session.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { postgresDigest, postgresFieldCell } from './canonical.ts'
import type { Unit } from './expected.ts'
import { lineWriter } from './lines.ts'
import { byKind, type Needed, type ProvenPlace, type SeenRow, type Since } from './proven-place.ts'

const STORED = 'place_operational'

/** SOURCE_UNREACHABLE when the store does not answer. */
export async function operationalProof(url: string, projections: Projections): Promise<ProvenPlace> {
  const client = await connect(url)
  const kinds = ENTITIES.map((entity) => {
    const { table, fields } = projections[entity]
    return { table: `prisons.incidents_${table}`, cells: fields.map(postgresFieldCell) }
  })

  return {
    name: 'operational',
    form: 'operational',
    passed: async (needed: Needed) => {
      const places = await placesIn(client)
      return [...needed].every(([partition, next]) => (places.get(partition) ?? 0) >= next)
    },
    store: async (scratch, progress) => {
      const lines = lineWriter(scratch.linesOf(STORED))
      let rows = 0
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      for (const [kind, { table: from, cells }] of kinds.entries()) {
        const sql = `COPY (SELECT ${kind}, id, ${postgresDigest(cells)} FROM ${from}) TO STDOUT (DELIMITER ',')`
        rows += await copyLines(client, sql, lines.add)
        progress(rows)
      }
      await client.query('COMMIT')
      lines.end()
      await scratch.load(STORED, { kind: 'UTINYINT', key: 'VARCHAR', digest: 'UUID' })
      return { table: STORED, age: null }
    },
    look: (units) => look(client, kinds, units),
    changedSince: async (since) => {
      const units: Unit[] = []
      for (const [kind, { table }] of kinds.entries()) {
        const { rows } = await client.query<{ id: string }>(`SELECT id FROM ${table} WHERE ${condition(since)}`)
        for (const { id } of rows) units.push({ kind, key: id })
      }
      return units
    },
    close: () => disconnect(client),
  }
}

/** None where its sink has not made the store yet. */
async function placesIn(client: pg.Client): Promise<ReadonlyMap<number, number>> {
  try {
    const { rows } = await client.query<{ partition: string; next: string }>(
      'SELECT "partition"::text, next::text FROM prisons.incidents_place',
    )
    return new Map(rows.map(({ partition, next }) => [Number(partition), Number(next)]))
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return new Map()
    throw error
  }
}

const UNDEFINED_TABLE = '42P01'

async function copyLines(client: pg.Client, sql: string, take: (line: string) => void): Promise<number> {
  const stream = client.query(copyTo(sql))
  let pending = ''
  let rows = 0
  for await (const piece of stream as AsyncIterable<Buffer>) {
    const lines = (pending + piece.toString('latin1')).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) take(line)
    rows += lines.length
  }
  return rows
}

async function* look(
  client: pg.Client,
  kinds: readonly { readonly table: string; readonly cells: readonly string[] }[],
  units: readonly Unit[],
): AsyncGenerator<SeenRow> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  for (const [kind, keys] of byKind(units)) {
    const { table, cells } = kinds[kind]!
    const { rows } = await client.query({
      text: `SELECT id::text, position, lsn::text, tx_id::text, ${cells.join(', ')} FROM ${table} WHERE id = ANY ($1::uuid[])`,
      values: [keys],
      rowMode: 'array',
    })
    for (const [key, text, lsn, txId, ...found] of rows as (string | null)[][]) {
      yield {
        kind,
        key: key!,
        // boolean::text is PostgreSQL's `true`, as everywhere
        cells: found,
        at: { text: text!, lsn: Number(lsn), txId: Number(txId) },
      }
    }
  }
  await client.query('COMMIT')
}

function condition(since: Since): string {
  return 'position' in since
    ? `position >= '${since.position.replaceAll("'", "''")}'`
    : `committed_at >= to_timestamp(${since.micros}::numeric / 1000000)`
}
