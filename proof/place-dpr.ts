/**
 * DPR's raw zone as `reconcile` asks it: each folder folded as DPR folds it, and hashed, by DuckDB itself
 * (rule dpr.order).
 */
import { ENTITIES } from '../core/incident.ts'
import type { Projections } from '../schemas/policy/projection.ts'
import type { Zone, ZoneFile } from '../sinks/dpr-raw-zone.ts'
import { duckDigest, duckFieldCell, GONE, type Cell } from './canonical.ts'
import { duckDprCell } from './dpr-cells.ts'
import type { Expectations, Form, Unit } from './expected.ts'
import { byKind, list, streamed, type Needed, type ProvenPlace, type SeenRow } from './proven-place.ts'
import type { Scratch } from './scratch.ts'

export interface DprOptions {
  readonly scratch: Scratch
  readonly passed: (needed: Needed) => Promise<boolean>
  readonly zone: Pick<Zone, 'reading'>
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
    return { source: 'incidents', table, key: '"id"', cells: fields.map(duckFieldCell) }
  })
  return dprProof('dpr-raw incidents', 'dpr-raw', folders, options)
}

async function dprProof(
  name: string,
  form: Form,
  folders: readonly (Folder | null)[],
  { scratch, passed, zone }: DprOptions,
): Promise<ProvenPlace> {
  const connection = await scratch.connect()
  const stored = `place_${name.replaceAll(/\W/g, '_')}`

  /** By kind: the names of the files that were stored, by which a stored row says where it stands. */
  const known = new Map<number, ReadonlyMap<string, number>>()

  async function reading<T>(
    kind: number,
    none: T,
    work: (folder: Folder, files: readonly ZoneFile[]) => Promise<T>,
  ): Promise<T> {
    const folder = folders[kind]
    if (folder == null) return none
    return zone.reading(folder.source, folder.table, async (files) => (files.length === 0 ? none : work(folder, files)))
  }

  async function storeFolder(kind: number): Promise<void> {
    /** Files may move while they are read. */
    let again = false
    await reading(kind, undefined, async (folder, files) => {
      if (again) await connection.run(`DELETE FROM ${stored} WHERE kind = ${kind}`)
      again = true
      // each file is opened once: a raw zone has thousands of small ones
      const lines = `
        INSERT INTO ${stored}
        SELECT ${kind}, ${folder.key}, checkpoint_col, _timestamp, file_index,
               CASE WHEN "Op" = 'D' THEN UUID '${GONE}' ELSE ${duckDigest(folder.cells)} END
        FROM ${rowsOf(files)}`
      await scratch.inTurn(() => connection.run(lines))
      known.set(kind, new Map(files.map(({ name }, file) => [name, file])))
    })
  }

  /**
   * Of a folder's files those that can say what these keys are now: where they stood, and what has come since. The newest
   * is always among them, for its columns: an older file may lack some.
   */
  async function saying(
    kind: number,
    keys: readonly string[],
    files: readonly ZoneFile[],
  ): Promise<readonly ZoneFile[]> {
    const before = known.get(kind)
    if (before === undefined) return files
    const sql = `
      SELECT arg_max(file, ${AGE}) FROM ${stored} WHERE kind = ${kind} AND key IN (SELECT unnest(${list(keys)})) GROUP BY key`
    const standing = new Set((await connection.runAndReadAll(sql)).getRows().map(([file]) => Number(file)))
    const names = new Set(files.map((each) => each.name))
    if ([...before].some(([name, file]) => standing.has(file) && !names.has(name))) return files
    const last = newestName(files)
    return files.filter((each) => {
      const file = before.get(each.name)
      return file === undefined || standing.has(file) || each.name === last
    })
  }

  return {
    name,
    form,
    passed,
    store: async (_, progress) => {
      await connection.run(`
        CREATE OR REPLACE TABLE ${stored}
          (kind UTINYINT, key VARCHAR, checkpoint_col VARCHAR, _timestamp VARCHAR, file INTEGER, digest UUID)`)
      for (const kind of folders.keys()) await storeFolder(kind)
      progress(0)
      return { table: stored, age: AGE }
    },
    look: async function* (units: readonly Unit[]): AsyncGenerator<SeenRow> {
      for (const [kind, keys] of byKind(units)) {
        yield* await reading(kind, [], async ({ key, cells }, files) => {
          const from = await saying(kind, keys, files)
          if (from.length === 0) return []
          const sql = `
            SELECT key, op, checkpoint, ${cells.map((_, i) => `c${i}`).join(', ')} FROM (
              SELECT ${key} AS key, "Op" AS op, checkpoint_col AS checkpoint,
                     ${cells.map((cell, i) => `${cell} AS c${i}`).join(', ')},
                     row_number() OVER (PARTITION BY ${key} ORDER BY ${AGE} DESC) AS rank
              FROM ${rowsOf(from)} WHERE ${key} IN (SELECT unnest(${list(keys)})))
            WHERE rank = 1 AND op <> 'D'`
          const rows: SeenRow[] = []
          for await (const [id, , checkpoint, ...its] of streamed(connection, sql)) {
            const at = checkpointAt((checkpoint ?? '') as string)
            rows.push({ kind, key: String(id), cells: its as Cell[], at })
          }
          return rows
        })
      }
    },
    close: async () => {},
  }
}

/** Change files are named by their time and sort before load files, which are older. */
function newestName(files: readonly ZoneFile[]): string {
  const names = files.map(({ name }) => name).sort()
  return names.findLast((name) => /^\d/.test(name)) ?? names.at(-1)!
}

function rowsOf(files: readonly ZoneFile[]): string {
  return `read_parquet(${list(files.map(({ local }) => local))}, union_by_name = true)`
}

/** A load row has the empty `checkpoint_col`, which sorts before every change's. */
const AGE = `(coalesce(checkpoint_col, '') || ' ' || CAST(_timestamp AS VARCHAR))`

/** The last nineteen digits are the place in the WAL; a load row has none. */
function checkpointAt(checkpoint: string) {
  const lsn = Number(checkpoint.slice(16)) || 0
  return { text: checkpoint === '' ? 'load' : checkpoint, lsn, txId: 0 }
}
