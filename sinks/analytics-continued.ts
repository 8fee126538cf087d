/**
 * A published copy that goes on: its file is copied and given the rows of the entities that changed, and the places of
 * now. Every view is bound when it is made, all the way down, which takes longer than some thousand rows; and most of the
 * time only markers came.
 */
import { copyFile } from 'node:fs/promises'
import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES, type Entity } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { recentHistory } from './analytics-latest.ts'
import { historyColumns, literal } from './analytics-layout.ts'

/** What the rows of a copy were made of. */
export interface Content {
  /** The number of the newest change in the store; each has its own. 0 when all are in files. */
  readonly newest: ReadonlyMap<Entity, bigint>
  /** Up to which change the copy's `recent_history_…` goes; what came later is in `recent_tail_…`. */
  readonly base: ReadonlyMap<Entity, bigint>
  /** The files that count: views name them. */
  readonly files: string
}

type Found = Omit<Content, 'base'>

/** Of the connection's transaction, which may begin with it. */
export async function contentOf(connection: DuckDBConnection, projections: Projections): Promise<Found> {
  const newest = ENTITIES.map((entity) => `(SELECT max(seq) FROM store.history_${projections[entity].table})`)
  const rows = await connection.runAndReadAll(`
    SELECT (SELECT concat(count(*), ' ', bit_xor(hash(path))) FROM store.file WHERE replaced_at IS NULL), ${newest.join(', ')}`)
  const [files, ...numbers] = rows.getRows()[0]!
  return { files: String(files), newest: new Map(ENTITIES.map((entity, i) => [entity, (numbers[i] ?? 0n) as bigint])) }
}

/** Makes the two tables of an entity's changes that are in no file: all in the first. */
export function recentTables(projection: Projection): string {
  return `
    CREATE OR REPLACE TABLE publication.recent_history_${projection.table} AS ${recentHistory(projection)};
    ${tailTable(projection, `(SELECT coalesce(max(seq), 0) FROM publication.recent_history_${projection.table})`)}`
}

/** As the rows are: the next copy replaces it, and to compress it takes a third of the time of a copy. */
function tailTable(projection: Projection, behind: bigint | string): string {
  const name = `publication.recent_tail_${projection.table}`
  const columns = [...historyColumns(projection), { name: 'newest', type: 'BOOLEAN' }]
  const definitions = columns.map((column) => `"${column.name}" ${column.type} USING COMPRESSION uncompressed`)
  return `
    CREATE OR REPLACE TABLE ${name} (${definitions.join(', ')});
    INSERT INTO ${name} ${recentHistory(projection, behind)}`
}

/** A file as it was left: whoever writes to it changes this. Null where there is none. */
export function fileState(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? null : `${found.ino} ${found.size} ${found.mtimeNs}`
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
  if (!isAsLeft()) return null
  await copyFile(path, next)
  if (!isAsLeft()) return null
  await connection.run(`ATTACH ${literal(next)} AS publication (RECOVERY_MODE NO_WAL_WRITES); BEGIN`)
  try {
    const now = await contentOf(connection, projections)
    if (now.files !== content.files) {
      await connection.run('ROLLBACK; DETACH publication')
      return null
    }
    const base = new Map(content.base)
    for (const entity of ENTITIES) {
      const newest = now.newest.get(entity)!
      if (newest === content.newest.get(entity)) continue
      if (await isLongTail(connection, projections[entity], base.get(entity)!)) {
        await connection.run(recentTables(projections[entity]))
        base.set(entity, newest)
      } else await connection.run(tailTable(projections[entity], base.get(entity)!))
    }
    await connection.run(`
      DELETE FROM publication.place;
      INSERT INTO publication.place FROM store.place;
      DELETE FROM publication.incomplete;
      INSERT INTO publication.incomplete ${INCOMPLETE};
      UPDATE publication.publication SET published_at = now();
      COMMIT;
      CHECKPOINT publication;
      DETACH publication`)
    return { ...now, base }
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    await connection.run('DETACH publication').catch(() => {})
    throw error
  }
}

/** The tail is copied each time, what is before it is not: it may be a fifth of both. */
async function isLongTail(connection: DuckDBConnection, { table }: Projection, base: bigint): Promise<boolean> {
  const rows = await connection.runAndReadAll(
    `SELECT count(*) FILTER (seq > ${base}), count(*) FROM store.history_${table}`,
  )
  const [tail, all] = rows.getRows()[0] as [bigint, bigint]
  return tail > SHORT_TAIL && tail * 5n > all
}

const SHORT_TAIL = 2_000n

export const INCOMPLETE = `
  SELECT source_table, source_key, reference, code, position FROM store.incomplete WHERE NOT healed`
