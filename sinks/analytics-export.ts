/**
 * A landing for Analytical Platform: every table of the published copy as parquet, all of one moment.
 *
 *   <to>/<table>/mojap_file_land_timestamp=<epoch>/<table>.parquet   the newest states, `_temporal`, `_history`
 *   <to>/metadata/<table>.json                                       what mojap-metadata reads
 *
 * A landing is there wholly or not at all and is never changed: until then its folder has a name that Athena skips.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { sinkError } from './analytics-database.ts'
import { writeDefinitions } from './analytics-definitions.ts'
import { makeDurable } from './analytics-durable.ts'
import { literal } from './analytics-layout.ts'
import { PUBLISHED_FILE } from './analytics-publication.ts'
import { onDuckDb } from './duckdb.ts'
import { exportedName, LANDED, SHAPES, type Shape } from './mojap-metadata.ts'

export interface ExportOptions {
  /** The analytics directory; its sink may be writing. */
  readonly directory: string
  /** Where the landings lie; made when it is missing. */
  readonly to: string
  /** Those of the output `analytics`. */
  readonly projections: Projections
}

export interface Exported {
  /** When the copy was published, in seconds since the Unix epoch. */
  readonly landed: number
  /** Rows by table, of those that had not landed before. */
  readonly tables: Readonly<Record<string, number>>
}

/** Lands what is published; a copy that has landed lands no second time. SINK when nothing is published, DISK_FULL. */
export async function exportPublished({ directory, to, projections }: ExportOptions): Promise<Exported> {
  try {
    return await onDuckDb(':memory:', { memory_limit: '512MB', threads: '2' }, async (connection) => {
      await connection.run(
        `SET TimeZone = 'UTC'; ATTACH ${literal(join(directory, PUBLISHED_FILE))} AS copy (READ_ONLY); USE copy`,
      )
      const published = await connection.runAndReadAll('SELECT epoch(published_at)::BIGINT FROM publication')
      const landed = Number(published.getRows()[0]![0])
      mkdirSync(to, { recursive: true })
      writeDefinitions(to, projections)
      const tables: Record<string, number> = {}
      for (const entity of ENTITIES) {
        for (const shape of SHAPES) {
          const rows = await land(connection, { to, landed, projection: projections[entity], shape })
          if (rows !== null) tables[exportedName(projections[entity], shape)] = rows
        }
      }
      return { landed, tables }
    })
  } catch (error) {
    throw sinkError(error, directory)
  }
}

interface Landing {
  readonly to: string
  readonly landed: number
  readonly projection: Projection
  readonly shape: Shape
}

/** Null when it has landed before. */
async function land(connection: DuckDBConnection, { to, landed, projection, shape }: Landing): Promise<number | null> {
  const name = exportedName(projection, shape)
  const folder = join(to, name, `${LANDED}=${landed}`)
  if (existsSync(folder)) return null
  const aside = join(to, name, `.${LANDED}=${landed}.next`)
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const file = join(aside, `${name}.parquet`)
  const copied = await connection.run(
    `COPY (FROM ${shape}_${projection.table}) TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`,
  )
  await makeDurable(file)
  await makeDurable(aside)
  renameSync(aside, folder)
  await makeDurable(join(to, name))
  return copied.rowsChanged
}
