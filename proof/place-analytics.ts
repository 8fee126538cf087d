/** The published DuckDB file as `reconcile` asks it: one connection on the copy of the moment, hashed by DuckDB itself. */
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { ENTITIES } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { fileState } from '../sinks/analytics-continued.ts'
import { sinkError } from '../sinks/analytics-database.ts'
import { PUBLISHED_FILE } from '../sinks/analytics-publication.ts'
import { duckDigest, duckFieldCell, type Cell } from './canonical.ts'
import type { Unit } from './expected.ts'
import { byKind, list, literal, streamed, type ProvenPlace, type SeenRow, type Since } from './proven-place.ts'
import type { Scratch } from './scratch.ts'

export interface AnalyticsOptions {
  readonly directory: string
  readonly projections: Projections
  readonly scratch: Scratch
}

export async function analyticsProof({ directory, projections, scratch }: AnalyticsOptions): Promise<ProvenPlace> {
  const connection = await scratch.connect()
  const path = join(directory, PUBLISHED_FILE)
  let attached = 0
  /** Of the publication that was asked last: while it is the newest, asking again says the same. */
  let asked: { readonly file: string; readonly places: ReadonlyMap<number, number> } | null = null
  const kinds = ENTITIES.map((entity) => {
    const { table, fields } = projections[entity]
    return { view: `latest_${table}`, cells: fields.map(duckFieldCell) }
  })

  let queue: Promise<unknown> = Promise.resolve()

  /** One use after the other: a connection has one result at a time, an instance one attachment of a file. */
  function onCopy<T>(work: (catalog: string) => Promise<T>): Promise<T> {
    const turn = queue.then(() => attachedTo(work))
    queue = turn.catch(() => {})
    return turn
  }

  /** A later publication is another file under the same name: each use attaches what is there now. */
  async function attachedTo<T>(work: (catalog: string) => Promise<T>): Promise<T> {
    const catalog = `published_${attached++}`
    try {
      await connection.run(`ATTACH ${literal(path)} AS ${catalog} (READ_ONLY)`)
    } catch (error) {
      throw sinkError(error, directory)
    }
    try {
      return await work(catalog)
    } finally {
      await connection.run(`DETACH ${catalog}`)
    }
  }

  return {
    name: 'analytics',
    form: 'analytics',
    passed: async (needed) => {
      const file = fileState(path)
      if (file === null) return false // nothing has been published yet
      if (asked?.file !== file) {
        const places = await onCopy(async (catalog) => {
          const rows = await connection.runAndReadAll(`SELECT topic_partition, next_offset FROM ${catalog}.place`)
          return new Map((rows.getRows() as [number, bigint][]).map(([p, next]) => [p, Number(next)]))
        })
        // a publication in between is another file, so that it is asked again
        asked = { file, places }
      }
      const { places } = asked
      return [...needed].every(([partition, next]) => (places.get(partition) ?? 0) >= next)
    },
    store: (_, progress) =>
      onCopy(async (catalog) => {
        const selects = kinds.map(
          ({ view, cells }, kind) =>
            `SELECT ${kind}::UTINYINT AS kind, id AS key, ${duckDigest(cells)} AS digest FROM ${catalog}.${view}`,
        )
        await connection.run('CREATE TABLE place_analytics (kind UTINYINT, key VARCHAR, digest UUID)')
        for (const select of selects)
          await scratch.inTurn(() => connection.run(`INSERT INTO place_analytics ${select}`))
        progress(0)
        return { table: 'place_analytics', age: null }
      }),
    look: async function* (units) {
      const rows = await onCopy((catalog) => collect(connection, catalog, kinds, units))
      yield* rows
    },
    changedSince: (since) =>
      onCopy(async (catalog) => {
        const units: Unit[] = []
        for (const [kind, { view }] of kinds.entries()) {
          const sql = `SELECT id FROM ${catalog}.${view} WHERE ${condition(since)}`
          for await (const [id] of streamed(connection, sql)) units.push({ kind, key: String(id) })
        }
        return units
      }),
    close: async () => {},
  }
}

async function collect(
  connection: DuckDBConnection,
  catalog: string,
  kinds: readonly { readonly view: string; readonly cells: readonly string[] }[],
  units: readonly Unit[],
): Promise<SeenRow[]> {
  const found: SeenRow[] = []
  for (const [kind, keys] of byKind(units)) {
    const { view, cells } = kinds[kind]!
    const sql = `SELECT id, position, lsn, ${cells.join(', ')} FROM ${catalog}.${view}
                 WHERE id IN (SELECT unnest(${list(keys)}))`
    for await (const [key, text, lsn, ...values] of streamed(connection, sql)) {
      found.push({
        kind,
        key: String(key),
        cells: values as Cell[],
        at: { text: String(text), lsn: Number(lsn), txId: 0 },
      })
    }
  }
  return found
}

function condition(since: Since): string {
  return 'position' in since
    ? `position >= ${literal(since.position)}`
    : `committed_at >= make_timestamptz(${since.micros}::BIGINT)`
}
