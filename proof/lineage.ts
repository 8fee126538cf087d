/** Where each row of an incident stands in every place, and which record of the topic made it what it is there. */
import { connect } from '../connectors/postgres/session.ts'
import { PipelineError } from '../core/error.ts'
import { ENTITIES, type Entity } from '../core/incident.ts'
import { lsnText } from '../core/position.ts'
import { ENTITY_DEFINITIONS } from '../schemas/entity.ts'
import { schemaId } from '../schemas/framing.ts'
import type { ZonePlaces } from '../sinks/dpr-raw-zone.ts'
import type { Topic } from '../transport/topic.ts'
import { analyticsRows, dprRows, type FileRow, type HistoryRow } from './lineage-files.ts'

export interface RowLineage {
  readonly entity: Entity
  readonly id: string
  readonly sourceTable: string
  readonly sourceKey: string
  readonly position: string
  /** The WAL position of the row's own record, as PostgreSQL prints it. */
  readonly lsn: string
  /** The source's; null for rows read outside the stream. */
  readonly transactionId: number | null
  readonly committedAt: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Of the record there; null when the topic has forgotten it. */
  readonly schemaId: number | null
  readonly rulesVersion: number
  readonly operational: { readonly table: string; readonly id: string }
  /** The newest row with this key in the raw zone; null when there is none. */
  readonly dpr: FileRow | null
  /** This change in DuckDB's history; null when it is not published (yet). */
  readonly analytics: HistoryRow | null
}

export interface Lineage {
  readonly reference: string
  readonly rows: readonly RowLineage[]
}

export interface LineageOptions {
  readonly operationalUrl: string
  readonly raw: Topic
  readonly dpr: ZonePlaces
  readonly analyticsDirectory: string
}

interface Stored {
  readonly entity: Entity
  readonly id: string
  readonly sourceTable: string
  readonly sourceKey: string
  readonly position: string
  readonly lsn: string
  readonly txId: string
  readonly committedAt: string
  readonly partition: string
  readonly offset: string
  readonly rulesVersion: string
}

const OF_INCIDENT = ENTITIES.filter((entity) =>
  ENTITY_DEFINITIONS[entity].fields.some(({ name }) => name === 'reference'),
)

const ROWS = OF_INCIDENT.map(
  (entity, nth) => `
    SELECT ${nth} AS nth, '${entity}' AS entity, id::text, source_table AS "sourceTable", source_key AS "sourceKey",
           position, lsn::text, tx_id::text AS "txId", "partition"::text, topic_offset::text AS "offset",
           rules_version::text AS "rulesVersion",
           to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "committedAt"
    FROM prisons.incidents_${ENTITY_DEFINITIONS[entity].table} WHERE reference = $1`,
).join(' UNION ALL ')

/** `report` is a report's id or an incident's reference. CONFIG when the store has no such report. */
export async function lineage(report: string, options: LineageOptions): Promise<Lineage> {
  const { operationalUrl, raw, analyticsDirectory } = options
  const { reference, rows } = await storedRows(report, operationalUrl)
  const byEntity = Map.groupBy(rows, ({ entity }) => entity)
  const dpr = new Map<string, FileRow>()
  const analytics = new Map<string, HistoryRow>()
  for (const [entity, its] of byEntity) {
    const { table } = ENTITY_DEFINITIONS[entity]
    const ids = its.map(({ id }) => id)
    for (const [id, row] of await dprRows(options.dpr, table, ids)) dpr.set(`${entity}/${id}`, row)
    for (const [key, row] of await analyticsRows(analyticsDirectory, table, ids)) analytics.set(`${entity}/${key}`, row)
  }
  const found: RowLineage[] = []
  for (const row of rows) {
    const { entity, id, position } = row
    const [partition, offset] = [Number(row.partition), Number(row.offset)]
    const { records } = await raw.page(partition, offset, offset + 1)
    const value = records[0]?.value ?? null
    found.push({
      entity,
      id,
      sourceTable: row.sourceTable,
      sourceKey: row.sourceKey,
      position,
      lsn: lsnText(Number(row.lsn)),
      transactionId: Number(row.txId) || null,
      committedAt: row.committedAt,
      topic: raw.name,
      partition,
      offset,
      schemaId: value === null ? null : schemaId(value),
      rulesVersion: Number(row.rulesVersion),
      operational: { table: `prisons.incidents_${ENTITY_DEFINITIONS[entity].table}`, id },
      dpr: dpr.get(`${entity}/${id}`) ?? null,
      analytics: analytics.get(`${entity}/${id}/${position}`) ?? null,
    })
  }
  return { reference, rows: found }
}

async function storedRows(report: string, url: string): Promise<{ reference: string; rows: readonly Stored[] }> {
  const client = await connect(url)
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const { rows: reports } = await client.query<{ reference: string }>(
      'SELECT reference FROM prisons.incidents_report WHERE reference = $1 OR id::text = lower($1) LIMIT 1',
      [report],
    )
    const [found] = reports
    if (found === undefined) {
      throw new PipelineError(
        'CONFIG',
        'the operational store has no report with this id or reference',
        'Give the id or the reference of a report as the API answers them.',
      )
    }
    const { rows } = await client.query<Stored>(
      `SELECT * FROM (${ROWS}) r ORDER BY nth, "sourceTable", length("sourceKey"), "sourceKey"`,
      [found.reference],
    )
    return { reference: found.reference, rows }
  } finally {
    await client.end()
  }
}
