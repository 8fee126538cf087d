/**
 * A published copy that goes on: its file is copied and given the rows of the entities that changed, and the places of
 * now. Every view is bound when it is made, all the way down, which takes longer than some thousand rows; and most of the
 * time only markers came.
 */
import { copyFile } from 'node:fs/promises'
import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { recentHistory } from './analytics-latest.ts'
import { literal } from './analytics-layout.ts'

/** What the rows of a copy were made of. */
export interface Content {
  /** The number of the newest change in the store; each has its own. */
  readonly newest: ReadonlyMap<Entity, string>
  /** The files that count: views name them. */
  readonly files: string
}

/** Of the connection's transaction, which may begin with it. */
export async function contentOf(connection: DuckDBConnection, projections: Projections): Promise<Content> {
  const newest = ENTITIES.map((entity) => `(SELECT max(seq) FROM store.history_${projections[entity].table})`)
  const rows = await connection.runAndReadAll(`
    SELECT (SELECT concat(count(*), ' ', bit_xor(hash(path))) FROM store.file WHERE replaced_at IS NULL), ${newest.join(', ')}`)
  const [files, ...numbers] = rows.getRows()[0]!
  return { files: String(files), newest: new Map(ENTITIES.map((entity, i) => [entity, String(numbers[i])])) }
}

/** A file as it was left: whoever writes to it changes this. Null where there is none. */
export function fileState(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? null : `${found.ino} ${found.size} ${found.mtimeNs}`
}

/** The table of an entity's changes that are in no file. */
export function recentTable(projections: Projections, entity: Entity): string {
  const projection = projections[entity]
  return `CREATE OR REPLACE TABLE publication.recent_history_${projection.table} AS ${recentHistory(projection)}`
}

export interface Earlier {
  readonly path: string
  readonly content: Content
  /** Whether nobody has written to it. */
  readonly isAsLeft: () => boolean
}

/**
 * Makes `next` out of an earlier copy, as the store is now; resolves to its content. Null when its views name other files,
 * or somebody wrote to it: what lies at `next` is then of no use.
 */
export async function continued(
  connection: DuckDBConnection,
  projections: Projections,
  { path, content, isAsLeft }: Earlier,
  next: string,
): Promise<Content | null> {
  if (!isAsLeft() || (await contentOf(connection, projections)).files !== content.files) return null
  await copyFile(path, next)
  if (!isAsLeft()) return null
  await connection.run(`ATTACH ${literal(next)} AS publication (RECOVERY_MODE NO_WAL_WRITES); BEGIN`)
  try {
    const now = await contentOf(connection, projections)
    const changed = ENTITIES.filter((entity) => now.newest.get(entity) !== content.newest.get(entity))
    for (const entity of changed) await connection.run(recentTable(projections, entity))
    await connection.run(`
      DELETE FROM publication.place;
      INSERT INTO publication.place FROM store.place;
      DELETE FROM publication.incomplete;
      INSERT INTO publication.incomplete ${INCOMPLETE};
      UPDATE publication.publication SET published_at = now();
      COMMIT;
      CHECKPOINT publication;
      DETACH publication`)
    return now
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    await connection.run('DETACH publication').catch(() => {})
    throw error
  }
}

export const INCOMPLETE = `
  SELECT source_table, source_key, reference, code, position FROM store.incomplete WHERE NOT healed`
