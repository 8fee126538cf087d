/**
 * From the staged rows into the entities' tables, in bulk, guarded by position: what is not newer than what is stored,
 * or than the delete of the row, is ignored. So partitions may bring a row that moved between incidents in any order.
 *
 * Writers of other partitions run beside this one. Rows are locked in the order of entity and id, and a writer that
 * deletes excludes the others while it merges: neither would see the other's half of a row that moved.
 */
import { ENTITIES } from '../core/incident.ts'
import type { Projection, Projections } from '../schemas/policy/projection.ts'
import { amendmentStatements } from './operational-amendment.ts'
import { HIDE } from './operational-current.ts'
import { fieldColumns, LINEAGE, literal, names, POSITION_TYPE, tableOf } from './operational-layout.ts'
import type { Staged } from './operational-staging.ts'

/** Taken by every writer before it merges, until its transaction ends. */
export const BESIDE_OTHERS = 'SELECT pg_advisory_xact_lock_shared(20260, 2)'
export const ALONE = 'SELECT pg_advisory_xact_lock(20260, 2)'

/** Taken before anything else by whoever writes, and alone by who puts another store in this one's place. */
export const IN_STORE = 'SELECT pg_advisory_xact_lock_shared(20260, 3)'
export const STORE_ALONE = 'SELECT pg_advisory_xact_lock(20260, 3)'

/** What becomes of what is staged, each in one text. */
export interface Merge {
  /**
   * What prepares a session for a small write, in its first: a statement each, since PostgreSQL keeps with each the text
   * that it came in.
   */
  readonly prepare: (staged: Staged) => readonly string[]
  /** What needs no row of before: it may run while another connection merges what came earlier. */
  readonly amend: (staged: Staged) => string
  readonly merge: (staged: Staged) => string
}

/** Of so many rows the statements are planned once a session; more are worth a plan of their own. */
const SMALL = 200

export function merge(projections: Projections, rulesVersion: number): Merge {
  const statements = new Map(ENTITIES.map((entity) => [entity, entityStatements(projections[entity], rulesVersion)]))
  const hide = statement('hide_reports', HIDE)
  const refusals = unmappedStatements(projections)
  const all = [...[...statements.values()].flatMap((each) => Object.values(each)), hide, refusals]

  function amend(staged: Staged): string {
    const entities = ENTITIES.filter((entity) => staged.entities.has(entity))
    const wanted = entities.map((entity) => statements.get(entity)!.streamed)
    return [IN_STORE, ...wanted.map((each) => saidOf(each, staged))].join(';')
  }

  function mergeStaged(staged: Staged): string {
    const exclusive = staged.deleting.size > 0 || staged.unmapped
    const wanted: Statement[] = []
    for (const entity of ENTITIES) {
      if (!staged.entities.has(entity)) continue
      const { read, remove, upsert, mend } = statements.get(entity)!
      if (staged.reading.has(entity)) wanted.push(read)
      if (staged.deleting.has(entity)) wanted.push(remove)
      wanted.push(upsert, mend)
      if (entity === 'Report') wanted.push(hide)
    }
    if (staged.unmapped) wanted.push(refusals)
    const merging = wanted.map((each) => saidOf(each, staged))
    return [exclusive ? ALONE : BESIDE_OTHERS, ...merging, staged.emptying()].join(';')
  }

  const prepare = all.flatMap((each) => each.prepare)
  return { prepare: (staged) => (isSmall(staged) ? prepare : []), amend, merge: mergeStaged }
}

interface Statement {
  readonly text: string
  readonly prepare: readonly string[]
  readonly execute: string
}

function statement(name: string, ...texts: readonly string[]): Statement {
  return {
    text: texts.join(';'),
    prepare: texts.map((text, i) => `PREPARE ${name}_${i} AS ${text}`),
    execute: texts.map((_, i) => `EXECUTE ${name}_${i}`).join(';'),
  }
}

function isSmall({ size }: Staged): boolean {
  return size <= SMALL
}

function saidOf({ text, execute }: Statement, staged: Staged): string {
  return isSmall(staged) ? execute : text
}

function entityStatements(projection: Projection, rulesVersion: number) {
  const table = tableOf(projection)
  const staged = `staged_${projection.table}`
  const entity = literal(projection.entity)
  const columns = [...fieldColumns(projection), ...LINEAGE]
  const set = columns
    .filter(({ name }) => name !== 'id')
    .map(({ name }) => `"${name}" = excluded."${name}"`)
    .join(', ')
  /** What is sorted is what it says: no column more. */
  const newest = (wanted: string): string =>
    `SELECT DISTINCT ON (id) ${wanted} FROM ${staged} ORDER BY id, position DESC`
  const { streamed, read } = amendmentStatements(projection, rulesVersion)
  const named = (what: string, ...texts: readonly string[]): Statement =>
    statement(`${what}_${projection.table}`, ...texts)
  return {
    streamed: named('amend', streamed),
    read: named('amend_read', read),
    remove: named(
      'remove',
      `
      WITH s AS (${newest('id, position, "partition", deleted')})
      INSERT INTO incidents_gone AS g (entity, id, position, "partition")
      SELECT ${entity}, id, position, "partition" FROM s WHERE deleted
      ON CONFLICT (id, entity) DO UPDATE
      SET position = excluded.position, "partition" = excluded."partition", gone_at = now()
      WHERE g.position < excluded.position`,
      `DELETE FROM ${table} t USING ${staged} s WHERE s.deleted AND t.id = s.id AND t.position < s.position`,
    ),
    upsert: named(
      'upsert',
      `
      INSERT INTO ${table} AS t (${names(columns)}, rules_version)
      SELECT ${names(columns)}, ${rulesVersion} FROM (${newest(`${names(columns)}, deleted`)}) s
      WHERE NOT deleted AND NOT EXISTS (
        SELECT FROM incidents_gone g WHERE g.id = s.id AND g.entity = ${entity} AND g.position >= s.position)
      ON CONFLICT (id) DO UPDATE SET ${set}, rules_version = excluded.rules_version
      WHERE t.position < excluded.position`,
    ),
    mend: named(
      'mend',
      `
      DELETE FROM incidents_incomplete i USING ${staged} s
      WHERE i.source_table = s.source_table AND i.source_key = s.source_key AND i.position < s.position`,
    ),
  }
}

/** After the entities' rows: what they or a delete know of the same source row is newer, or is not. */
function unmappedStatements(projections: Projections): Statement {
  const known = ENTITIES.map(
    (entity) =>
      `NOT EXISTS (SELECT FROM ${tableOf(projections[entity])} t WHERE t.id = s.id AND t.position > s.position)`,
  )
  const latest = `
    SELECT DISTINCT ON (source_table, source_key) * FROM staged_unmapped
    ORDER BY source_table, source_key, position DESC`
  return statement(
    'unmapped',
    `
    WITH s AS (${latest})
    INSERT INTO incidents_gone AS g (entity, id, position, "partition")
    SELECT source_table, id, position, "partition" FROM s WHERE code IS NULL
    ON CONFLICT (id, entity) DO UPDATE
    SET position = excluded.position, "partition" = excluded."partition", gone_at = now()
    WHERE g.position < excluded.position`,
    `
    DELETE FROM incidents_incomplete i USING staged_unmapped s
    WHERE i.source_table = s.source_table AND i.source_key = s.source_key AND s.code IS NULL
      AND i.position < s.position`,
    `
    INSERT INTO incidents_incomplete AS i (source_table, source_key, reference, code, position, remedy)
    SELECT source_table, source_key, reference, code, position, remedy FROM (${latest}) s
    WHERE code IS NOT NULL AND ${known.join(' AND ')}
      AND NOT EXISTS (SELECT FROM incidents_gone g WHERE g.id = s.id AND g.position > s.position)
    ON CONFLICT (source_table, source_key) DO UPDATE
    SET reference = excluded.reference, code = excluded.code, position = excluded.position, remedy = excluded.remedy
    WHERE i.position < excluded.position`,
  )
}

/**
 * Forgets deletes that no older state of their row can follow any more: every partition's marker has passed them. The
 * day is for what a broker may still hold back of a capture process that was replaced.
 */
export const FORGET_OLD_DELETES = `
  DELETE FROM incidents_gone WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM incidents_gone
    WHERE gone_at < now() - interval '1 day'
      AND position < (SELECT CASE WHEN bool_and(snapshot_done) THEN min(marker) ELSE '' END::${POSITION_TYPE}
                      FROM incidents_place)
    FOR UPDATE SKIP LOCKED))`
