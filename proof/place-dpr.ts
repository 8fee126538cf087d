/**
 * DPR's raw zone as `reconcile` asks it: each folder folded as DPR folds it, and hashed, by DuckDB itself
 * (rule dpr.order).
 */
import { ENTITIES } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import { duckDigest, duckFieldCell, GONE, type Cell } from './canonical.ts'
import { duckDprCell } from './dpr-cells.ts'
import type { Expectations, Form, Unit } from './expected.ts'
import { passes } from './passes.ts'
import { byKind, list, streamed, type Needed, type ProvenPlace, type SeenRow } from './proven-place.ts'
import type { Scratch } from './scratch.ts'

export interface DprOptions {
  readonly scratch: Scratch
  readonly passed: (needed: Needed) => Promise<boolean>
  /** The files of `<source>/<table>` that DuckDB can read; none when the folder is empty. */
  readonly files: (source: string, table: string) => Promise<readonly string[]>
}

interface Folder {
  readonly source: string
  readonly table: string
  /** DuckDB's expression for the key. */
  readonly key: string
  readonly cells: readonly string[]
}

/** The folders of the incident database's own tables. */
export function dprTablesProof(expected: Expectations, options: DprOptions): Promise<ProvenPlace> {
  const folders = expected.tables.map((table, i): Folder | null => {
    const dpr = expected.dprTables[i]
    if (dpr == null) return null
    const key = table.key.map((name) => `CAST("${name}" AS VARCHAR)`).join(' || chr(31) || ')
    return { source: dpr.source, table: dpr.table, key, cells: dpr.columns.map(duckDprCell) }
  })
  return dprProof('dpr-raw incidentreporting', 'dpr-table', folders, options)
}

/** The folders of the unified entities. */
export function dprEntitiesProof(projections: Projections, options: DprOptions): Promise<ProvenPlace> {
  const folders = ENTITIES.map((entity): Folder => {
    const { table, fields } = projections[entity]
    return { source: 'incidents', table, key: '"id"', cells: fields.map((field) => duckFieldCell(field, true)) }
  })
  return dprProof('dpr-raw incidents', 'dpr-raw', folders, options)
}

async function dprProof(
  name: string,
  form: Form,
  folders: readonly (Folder | null)[],
  { scratch, passed, files }: DprOptions,
): Promise<ProvenPlace> {
  const connection = await scratch.connect()
  const stored = `place_${name.replaceAll(/\W/g, '_')}`

  async function fromFolder(kind: number): Promise<{ folder: Folder; from: string } | null> {
    const folder = folders[kind]
    if (folder == null) return null
    const paths = await files(folder.source, folder.table)
    return paths.length === 0 ? null : { folder, from: `read_parquet(${list(paths)}, union_by_name = true)` }
  }

  return {
    name,
    form,
    passed,
    store: async (_, progress) => {
      await connection.run(`CREATE OR REPLACE TABLE ${stored} (kind UTINYINT, key VARCHAR, digest UUID)`)
      for (const kind of folders.keys()) {
        const found = await fromFolder(kind)
        if (found === null) continue
        const { folder, from } = found
        // each file is opened once: a raw zone has thousands of small ones
        const lines = `
          CREATE OR REPLACE TABLE ${stored}_lines AS
          SELECT ${folder.key} AS key, ${AGE} AS age,
                 CASE WHEN "Op" = 'D' THEN UUID '${GONE}' ELSE ${duckDigest(folder.cells)} END AS digest
          FROM ${from}`
        await scratch.inTurn(() => connection.run(lines))
        const count = await connection.runAndReadAll(`SELECT count(*) FROM ${stored}_lines`)
        for (const pass of passes(Number(count.getRows()[0]![0]), 'key')) {
          const insert = `
            INSERT INTO ${stored}
            SELECT ${kind}, key, digest
            FROM (SELECT key, arg_max(digest, age) AS digest FROM ${stored}_lines WHERE ${pass} GROUP BY key)
            WHERE digest <> UUID '${GONE}'`
          await scratch.inTurn(() => connection.run(insert))
        }
      }
      await connection.run(`DROP TABLE IF EXISTS ${stored}_lines`)
      progress(0)
      return stored
    },
    look: async function* (units: readonly Unit[]): AsyncGenerator<SeenRow> {
      for (const [kind, keys] of byKind(units)) {
        const found = await fromFolder(kind)
        if (found === null) continue
        const { folder, from } = found
        const sql = `
          SELECT key, op, checkpoint, ${folder.cells.map((_, i) => `c${i}`).join(', ')} FROM (
            SELECT ${folder.key} AS key, "Op" AS op, checkpoint_col AS checkpoint,
                   ${folder.cells.map((cell, i) => `${cell} AS c${i}`).join(', ')},
                   row_number() OVER (PARTITION BY ${folder.key} ORDER BY ${AGE} DESC) AS rank
            FROM ${from} WHERE ${folder.key} IN (SELECT unnest(${list(keys)})))
          WHERE rank = 1 AND op <> 'D'`
        for await (const [key, , checkpoint, ...cells] of streamed(connection, sql)) {
          yield { kind, key: String(key), cells: cells as Cell[], at: checkpointAt((checkpoint ?? '') as string) }
        }
      }
    },
    close: async () => {},
  }
}

/** A load row has the empty `checkpoint_col`, which sorts before every change's. */
const AGE = `(coalesce(checkpoint_col, '') || ' ' || CAST(_timestamp AS VARCHAR))`

/** The last nineteen digits are the place in the WAL; a load row has none. */
function checkpointAt(checkpoint: string) {
  const lsn = Number(checkpoint.slice(16)) || 0
  return { text: checkpoint === '' ? 'load' : checkpoint, lsn, txId: 0 }
}
