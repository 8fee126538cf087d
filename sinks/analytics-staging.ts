/** Rows on their way into the store: appended to a temporary table an entity, then applied in bulk (analytics-apply.ts). */
import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api'
import type { RowChange } from '../core/change.ts'
import { ENTITIES, type Entity, type EntityRow, type Field } from '../core/incident.ts'
import type { FieldType } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'

/** Text as found; the bulk statement makes dates and times of it, many rows at a time. */
const STAGED_TYPES: Readonly<Record<FieldType, string>> = {
  uuid: 'VARCHAR',
  string: 'VARCHAR',
  int: 'INTEGER',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  date: 'VARCHAR',
  timestamp: 'VARCHAR',
  localTimestamp: 'VARCHAR',
}

const STAGED_LINEAGE =
  'seq BIGINT, deleted BOOLEAN, op VARCHAR, position VARCHAR, lsn BIGINT, committed_at BIGINT, tx_id BIGINT, ' +
  'topic_partition INTEGER, topic_offset BIGINT'

export interface Staging {
  add(change: RowChange, row: EntityRow): void
  /** How many rows of each entity lie here since the last `clear`; what is appended so far can be queried. */
  flush(): ReadonlyMap<Entity, number>
  /** The tables are empty again. */
  clear(): Promise<void>
  /** What was appended is forgotten, after a failed write. */
  abandon(): Promise<void>
  close(): void
}

/** `firstSeq` numbers the first row; the others follow. */
export async function staging(
  connection: DuckDBConnection,
  projections: Projections,
  firstSeq: bigint,
): Promise<Staging> {
  const tables = new Map<Entity, StagedTable>()
  for (const entity of ENTITIES) tables.set(entity, await stagedTable(connection, projections[entity]))
  const counts = new Map<Entity, number>()
  let seq = firstSeq

  async function clear(): Promise<void> {
    if (counts.size > 0) {
      await connection.run(
        [...counts.keys()].map((entity) => `TRUNCATE temp.staged_${projections[entity].table}`).join(';'),
      )
    }
    counts.clear()
  }

  return {
    add(change, row) {
      tables.get(row.entity)!.append(change, row, seq)
      seq += 1n
      counts.set(row.entity, (counts.get(row.entity) ?? 0) + 1)
    },
    flush() {
      for (const entity of counts.keys()) tables.get(entity)!.appender.flushSync()
      return counts
    },
    clear,
    async abandon() {
      for (const entity of counts.keys()) tables.get(entity)!.appender.clear()
      await clear()
    },
    close() {
      for (const { appender } of tables.values()) appender.closeSync()
    },
  }
}

interface StagedTable {
  readonly appender: DuckDBAppender
  append(change: RowChange, row: EntityRow, seq: bigint): void
}

async function stagedTable(connection: DuckDBConnection, projection: Projection): Promise<StagedTable> {
  const columns = projection.fields.map(({ column, type }) => `"${column}" ${STAGED_TYPES[type]}`)
  const name = `staged_${projection.table}`
  await connection.run(`CREATE TEMP TABLE ${name} (${STAGED_LINEAGE}, ${columns.join(', ')})`)
  const appender = await connection.createAppender(name, 'main', 'temp')
  const appends = projection.fields.map(({ type }) => APPENDS[STAGED_TYPES[type]]!)
  return {
    appender,
    append(change, row, seq) {
      appender.appendBigInt(seq)
      appender.appendBoolean(row.op === 'delete')
      appender.appendVarchar(change.op)
      appender.appendVarchar(change.position)
      appender.appendBigInt(BigInt(change.lsn))
      appender.appendBigInt(BigInt(change.committedAt))
      appender.appendBigInt(BigInt(change.txId))
      appender.appendInteger(change.partition)
      appender.appendBigInt(BigInt(change.offset))
      const values = projection.project(row.value)
      for (let i = 0; i < appends.length; i += 1) {
        const value = values[i]!
        if (value === null) appender.appendNull()
        else appends[i]!(appender, value)
      }
      appender.endRow()
    },
  }
}

const APPENDS: Readonly<Record<string, (appender: DuckDBAppender, value: Exclude<Field, null>) => void>> = {
  VARCHAR: (appender, value) => appender.appendVarchar(String(value)),
  INTEGER: (appender, value) => appender.appendInteger(Number(value)),
  BIGINT: (appender, value) => appender.appendBigInt(BigInt(value)),
  BOOLEAN: (appender, value) => appender.appendBoolean(value === true),
}
