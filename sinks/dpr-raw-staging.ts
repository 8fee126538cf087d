/**
 * The rows of a flush, held in DuckDB until they become parquet: one table for each folder of the raw zone.
 *
 * What becomes of a row read outside the stream is only known at the flush: an `L` is a row of a load file unless its key
 * was published already; then it is an `R`, and an `R` is an update, or nothing when a newer state of the row has been seen.
 */
import { rm } from 'node:fs/promises'
import { DuckDBInstance, type DuckDBAppender, type DuckDBConnection } from '@duckdb/node-api'
import type { Row, Value } from '../core/change.ts'
import type { Field } from '../core/incident.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { literal, parquetExpression, quoted, type DprColumn } from './dpr-raw-columns.ts'
import { goneKeys, type Gone } from './dpr-raw-gone.ts'
import {
  demoteLoadedInserts,
  demoteRepeatedLoads,
  dropStale,
  keyExpression,
  oldestInDoubt,
  type Published,
  type Staged,
  type StagedOp,
} from './dpr-raw-settle.ts'
import { folderName, shapeOf, type DprTable } from './dpr-raw-table.ts'

/** What stands beside a row's own columns. */
export interface RowMeta {
  readonly op: StagedOp
  readonly timestamp: string
  readonly checkpoint: string
  readonly position: Position
}

export interface StagingOptions {
  /** Where DuckDB may put what exceeds its memory. */
  readonly spillDirectory: string
  /** DuckDB's memory, e.g. `512MB`. */
  readonly memoryLimit: string
  /** Journals whose deletes are not forgotten yet. */
  readonly journals: readonly string[]
}

/** What a flush is compared with. */
export interface Known extends Published {
  /** Parquet files with keys and positions of what was published, complete from the position on. */
  journals(from: Position): Promise<readonly string[]>
}

export interface StagedCounts {
  readonly loads: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
}

export interface Staging {
  /** The folder's rows of this flush; `newest` is the highest position that it already holds. */
  table(table: DprTable, newest: Position): Promise<Staged>
  addRow(staged: Staged, meta: RowMeta, row: Row): void
  addValues(staged: Staged, meta: RowMeta, values: readonly Field[]): void
  tables(): readonly Staged[]
  /** The highest position of all rows of this flush. */
  newest(): Position
  /** Ends what can be added: everything is in its table, and inserts of keys that were deleted lately are updates. */
  seal(): Promise<void>
  /**
   * Of what is sealed, decides what each row becomes: drops what is older than what arrived before it, here or in the
   * journals, and tells loads from updates by the load files. Returns what is left.
   */
  settle(staged: Staged, known: Known): Promise<StagedCounts>
  /** Writes the load rows, or all others, in files of `length` rows. */
  writeParquet(staged: Staged, which: 'loads' | 'changes', files: readonly string[], length: number): Promise<void>
  /** Writes key and position of every row, and whether it is a delete. */
  writeJournal(file: string): Promise<void>
  /** Forgets all rows, and deletes up to the horizon. */
  clear(horizon: Position): Promise<void>
  close(): void
}

export async function openStaging(options: StagingOptions): Promise<Staging> {
  await rm(options.spillDirectory, { recursive: true, force: true })
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: options.memoryLimit,
    // nearly all statements are of a few rows, and dearer by half where threads hand them to one another
    threads: '1',
    // What is freed goes back to the system soon: by default 128 MB for each thread may stay with the process.
    allocator_flush_threshold: '8MB',
    allocator_bulk_deallocation_flush_threshold: '8MB',
    temp_directory: options.spillDirectory,
  })
  const connection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'`)
  return staging(instance, connection, await goneKeys(connection, options.journals))
}

function staging(instance: DuckDBInstance, connection: DuckDBConnection, gone: Gone): Staging {
  const held = new Map<string, Staged[]>()
  const appenders = new Map<Staged, DuckDBAppender>()
  let highest = BEGINNING
  /** Parts whose inserts have become updates. */
  let demoted: ReadonlySet<Staged> = new Set()

  const run = async (sql: string): Promise<void> => void (await connection.run(sql))

  async function countOps({ rowsTable }: Staged): Promise<Record<StagedOp, number>> {
    const rows = await connection.runAndReadAll(`SELECT op, count(*)::INTEGER FROM ${rowsTable} GROUP BY ALL`)
    return { I: 0, U: 0, D: 0, L: 0, R: 0, ...Object.fromEntries(rows.getRows() as [StagedOp, number][]) }
  }

  async function begin(table: DprTable, newest: Position): Promise<Staged> {
    const name = folderName(table)
    const earlier = held.get(name) ?? []
    const rowsTable = quoted(`${name}#${earlier.length}`)
    const columns = table.columns.map((column) => `${quoted(column.name)} ${column.staged}`)
    await run(`CREATE OR REPLACE TABLE ${rowsTable} (${[...META_COLUMNS, ...columns].join(', ')})`)
    const folder = earlier[0]?.folder ?? { newest }
    const staged: Staged = {
      table,
      rowsTable,
      earlier,
      bytes: 0,
      rows: 0,
      folder,
      doubtful: null,
      ops: { I: 0, U: 0, D: 0, L: 0, R: 0 },
    }
    held.set(name, [...earlier, staged])
    appenders.set(staged, await connection.createAppender(`${name}#${earlier.length}`))
    return staged
  }

  function parts(): Staged[] {
    return [...held.values()].flat()
  }

  function endAppending(): void {
    for (const appender of appenders.values()) appender.closeSync()
    appenders.clear()
  }

  function addMeta(staged: Staged, meta: RowMeta): DuckDBAppender {
    const { folder } = staged
    staged.rows += 1
    staged.ops[meta.op] += 1
    if (meta.op !== 'L' && meta.op !== 'R' && meta.position < folder.newest) {
      staged.doubtful = including(staged.doubtful, meta.position)
    }
    if (meta.position > folder.newest) folder.newest = meta.position
    if (meta.position > highest) highest = meta.position
    const appender = appenders.get(staged)!
    appender.appendVarchar(meta.op)
    appender.appendVarchar(meta.timestamp)
    appender.appendVarchar(meta.checkpoint)
    appender.appendVarchar(meta.position)
    return appender
  }

  return {
    table: async (table, newest) => {
      const shape = shapeOf(table)
      const staged = held.get(folderName(table))?.find((each) => shapeOf(each.table) === shape)
      return staged !== undefined && appenders.has(staged) ? staged : begin(table, newest)
    },
    addRow: (staged, meta, row) => {
      const appender = addMeta(staged, meta)
      for (const column of staged.table.columns) append(appender, column, row[column.name])
      appender.endRow()
    },
    addValues: (staged, meta, values) => {
      const appender = addMeta(staged, meta)
      const { columns } = staged.table
      for (let i = 0; i < columns.length; i++) append(appender, columns[i]!, values[i])
      appender.endRow()
    },
    tables: () => parts().filter((each) => each.rows > 0),
    newest: () => highest,

    seal: async () => {
      endAppending()
      demoted = await gone.settle(parts())
    },

    settle: async (staged, known) => {
      const { ops } = staged
      const loads = ops.L > 0
      if (loads) await run(demoteRepeatedLoads(staged, known))
      const oldest = await oldestInDoubt(connection, staged)
      if (oldest !== null) await run(dropStale(staged, await known.journals(oldest)))
      const mayBeLoaded = ops.I > 0 && (loads || known.loadFiles.length > 0)
      if (mayBeLoaded) await run(demoteLoadedInserts(staged, known))
      const isAsCame = !loads && oldest === null && !mayBeLoaded && !demoted.has(staged)
      const left = isAsCame ? ops : await countOps(staged)
      return { loads: left.L, inserts: left.I, updates: left.U + left.R, deletes: left.D }
    },

    writeParquet: async (staged, which, files, length) => {
      const columns = staged.table.columns.map(parquetExpression)
      const picked = which === 'loads' ? `op = 'L'` : `op <> 'L'`
      const marks =
        which === 'loads'
          ? [`'I' AS "Op"`, `'' AS checkpoint_col`]
          : [`replace(op, 'R', 'U') AS "Op"`, 'checkpoint_col']
      const select = [marks[0]!, ...columns, '_timestamp', marks[1]!].join(', ')
      for (const [part, file] of files.entries()) {
        const window = files.length === 1 ? '' : ` LIMIT ${length} OFFSET ${part * length}`
        await run(
          `COPY (SELECT ${select} FROM ${staged.rowsTable} WHERE ${picked}${window}) TO ${literal(file)} ${PARQUET}`,
        )
      }
    },

    writeJournal: async (file) => {
      const journals = parts()
        .filter((each) => each.rows > 0)
        .map(
          ({ table, rowsTable }) =>
            `SELECT ${literal(folderName(table))} AS name, ${keyExpression(table)} AS key, position, op = 'D' AS gone FROM ${rowsTable}`,
        )
      await run(`COPY (${journals.join(' UNION ALL ')}) TO ${literal(file)} ${PARQUET}`)
    },

    clear: async (horizon) => {
      await gone.forget(horizon)
      endAppending()
      const drops = parts().map(({ rowsTable }) => `DROP TABLE ${rowsTable}`)
      if (drops.length > 0) await run(drops.join(';'))
      held.clear()
      highest = BEGINNING
      demoted = new Set()
    },
    close: () => {
      endAppending()
      connection.closeSync()
      instance.closeSync()
    },
  }
}

function including(range: Staged['doubtful'], position: Position): Staged['doubtful'] {
  if (range === null) return { from: position, to: position }
  if (position < range.from) return { ...range, from: position }
  return position > range.to ? { ...range, to: position } : range
}

/** A row group is what each of the writer's threads holds in memory. */
const PARQUET = '(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 32768)'

const META_COLUMNS = ['op VARCHAR', '_timestamp VARCHAR', 'checkpoint_col VARCHAR', 'position VARCHAR']

function append(appender: DuckDBAppender, column: DprColumn, value: Value | undefined): void {
  if (value === null || value === undefined) appender.appendNull()
  else column.append(appender, value)
}
