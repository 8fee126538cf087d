/** Reading the published copy: what a proof compares, from any process, while the sink writes. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api'
import type { Entity, Field } from '../core/incident.ts'
import type { Position } from '../core/position.ts'
import type { FieldType } from '../schemas/entity.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { sinkError } from './analytics-database.ts'
import { readPlaces, type ReachedPlace } from './analytics-places.ts'
import { PUBLISHED_FILE } from './analytics-publication.ts'
import { onDuckDb } from './duckdb.ts'

export interface AnalyticsRow {
  readonly id: string
  readonly position: Position
  /** In the order of the projection's fields, as `project` gives them: dates and times as ISO 8601 text. */
  readonly values: readonly Field[]
}

/** One published state; a later publication does not change it. */
export interface PublishedCopy {
  readonly places: ReadonlyMap<number, ReachedPlace>
  /** Every row that exists, of both models, in no order. */
  rows(entity: Entity): AsyncIterable<AnalyticsRow>
  close(): void
}

/** SINK when nothing has been published in this directory. */
export async function publishedCopy(directory: string, projections: Projections): Promise<PublishedCopy> {
  try {
    const instance = await DuckDBInstance.create(join(directory, PUBLISHED_FILE), {
      access_mode: 'READ_ONLY',
      memory_limit: '512MB',
      threads: '2',
    })
    const connection = await instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    return {
      places: await readPlaces(connection),
      rows: (entity) => readRows(connection, projections[entity], `FROM latest_${projections[entity].table}`),
      close() {
        connection.closeSync()
        instance.closeSync()
      },
    }
  } catch (error) {
    throw sinkError(error, directory)
  }
}

export interface PublishedAge {
  /** When the copy was made. */
  readonly publishedAt: Date
  /** Up to which moment of the source it is whole; null before the first change or marker. */
  readonly wholeTo: Date | null
}

/** How old the published copy is, from any process; null where nothing is published. SINK when it cannot be read. */
export async function publishedAge(directory: string): Promise<PublishedAge | null> {
  const path = join(directory, PUBLISHED_FILE)
  if (!existsSync(path)) return null
  try {
    const options = { access_mode: 'READ_ONLY', memory_limit: '64MB', threads: '1' }
    return await onDuckDb(path, options, async (connection) => {
      const rows = await connection.runAndReadAll(`
        SELECT epoch_ms(published_at), (SELECT epoch_ms(min(passed_at)) FROM place WHERE passed <> '') FROM publication`)
      const [published, whole] = rows.getRows()[0] as [bigint, bigint | null]
      return { publishedAt: new Date(Number(published)), wholeTo: whole === null ? null : new Date(Number(whole)) }
    })
  } catch (error) {
    throw sinkError(error, directory)
  }
}

/** Streams the rows of a query with an entity's columns. */
export async function* readRows(
  connection: DuckDBConnection,
  projection: Projection,
  query: string,
): AsyncGenerator<AnalyticsRow> {
  const columns = projection.fields.map(({ column, type }) => asText(column, type))
  const result = await connection.stream(`SELECT id, position, ${columns.join(', ')} FROM (${query})`)
  while (true) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) return
    for (const [id, position, ...values] of chunk.getRows()) {
      yield { id: id as string, position: position as Position, values: values.map(plain) }
    }
  }
}

/** Dates and times as ISO 8601 text; DuckDB pads neither years nor microseconds when it casts. */
const FORMATS: Partial<Record<FieldType, (column: string) => string>> = {
  timestamp: (column) => `strftime(${column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')`,
  localTimestamp: (column) => `strftime(${column}, '%Y-%m-%dT%H:%M:%S.%f')`,
  date: (column) => `strftime(${column}, '%Y-%m-%d')`,
}

function asText(column: string, type: FieldType): string {
  return FORMATS[type]?.(`"${column}"`) ?? `"${column}"`
}

function plain(value: DuckDBValue): Field {
  return typeof value === 'bigint' ? Number(value) : (value as Field)
}
