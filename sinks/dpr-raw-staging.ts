/**
 * The rows of a flush, held in DuckDB until they become parquet: one table for each folder of the raw zone.
 *
 * A row read outside the stream is an `L` while the first snapshot lasts and an `R` afterwards. What becomes of it is
 * only known at the flush: an `L` is a row of a load file unless its key was published already; then it is an `R`, and
 * an `R` is an update, or nothing when a newer state of the row has been seen.
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
} from './dpr-raw-settle.ts'
import { folderName, shapeOf, type DprTable } from './dpr-raw-table.ts'

export type StagedOp = 'I' | 'U' | 'D' | 'L' | 'R'

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
  readonly threads: number
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
  /**
   * Decides what each row becomes: drops what is older than what arrived before it, here or in the journals, and tells
   * loads from updates by the load files. Returns what is left.
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
    threads: String(options.threads),
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

  const run = async (sql: string): Promise<void> => void (await connection.run(sql))

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
      loads: false,
      reads: false,
      inserts: false,
      deletes: false,
    }
    held.set(name, [...earlier, staged])
    appenders.set(staged, await connection.createAppender(`${name}#${earlier.length}`))
    return staged
  }

  /** Everything appended is in the table from here on. */
  function seal(staged: Staged): void {
    appenders.get(staged)?.closeSync()
    appenders.delete(staged)
  }

  function addMeta(staged: Staged, meta: RowMeta): DuckDBAppender {
    const { folder } = staged
    staged.rows += 1
    if (meta.op === 'I') staged.inserts = true
    if (meta.op === 'D') staged.deletes = true
    if (meta.op === 'L') staged.loads = true
    else if (meta.op === 'R') staged.reads = true
    else if (meta.position < folder.newest) staged.doubtful = including(staged.doubtful, meta.position)
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
    tables: () => [...held.values()].flat().filter((each) => each.rows > 0),
    newest: () => highest,

    settle: async (staged, known) => {
      seal(staged)
      if (staged.loads) await run(demoteRepeatedLoads(staged, known))
      const oldest = await oldestInDoubt(connection, staged)
      if (oldest !== null) await run(dropStale(staged, await known.journals(oldest)))
      if (staged.inserts && (staged.loads || known.loadFiles.length > 0)) await run(demoteLoadedInserts(staged, known))
      await gone.settle(staged)
      const rows = await connection.runAndReadAll(`SELECT op, count(*)::INTEGER FROM ${staged.rowsTable} GROUP BY ALL`)
      const counts = new Map(rows.getRows() as [StagedOp, number][])
      const count = (op: StagedOp): number => counts.get(op) ?? 0
      return { loads: count('L'), inserts: count('I'), updates: count('U') + count('R'), deletes: count('D') }
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
      const parts = [...held.values()]
        .flat()
        .filter((each) => each.rows > 0)
        .map(
          ({ table, rowsTable }) =>
            `SELECT ${literal(folderName(table))} AS name, ${keyExpression(table)} AS key, position, op = 'D' AS gone FROM ${rowsTable}`,
        )
      await run(`COPY (${parts.join(' UNION ALL ')}) TO ${literal(file)} ${PARQUET}`)
    },

    clear: async (horizon) => {
      await gone.forget(horizon)
      for (const staged of [...held.values()].flat()) {
        seal(staged)
        await run(`DROP TABLE IF EXISTS ${staged.rowsTable}`)
      }
      held.clear()
      highest = BEGINNING
    },
    close: () => {
      for (const appender of appenders.values()) appender.closeSync()
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
