/**
 * Where a proof keeps keys and hashes: DuckDB, which writes to a temporary directory what its memory does not hold, so that
 * memory stays bounded however many rows there are.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { noSpaceFor, scratchFolder } from '../core/scratch-folder.ts'
import { KEPT } from './lines.ts'
import { list } from './proven-place.ts'

export interface Scratch {
  /** A connection of its own; its time zone is UTC. */
  connect(): Promise<DuckDBConnection>
  /** Where the lines of a table may be written before it is made: a file for each who writes some. */
  linesOf(table: string, writer?: number): string
  /** Makes a table out of its lines, which go. Columns by name and DuckDB type. */
  load(table: string, columns: Readonly<Record<string, string>>): Promise<void>
  /**
   * For statements over all rows of a place: one after the other, so that each has the whole memory. Together they
   * could hold more of it than there is, and then none goes on. DISK_FULL when they do not fit the temporary directory.
   */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  close(): void
}

/** DuckDB writes the rest to its directory. */
const MEMORY = '384MB'

/** CONFIG when there is no folder for temporary files, DISK_FULL. */
export async function openScratch(): Promise<Scratch> {
  const directory = scratchFolder('proof')
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: MEMORY,
    threads: '2',
    temp_directory: join(directory, 'spill'),
    preserve_insertion_order: 'false',
  })
  const connections: DuckDBConnection[] = []
  const files = new Map<string, string[]>()
  let queue: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work).catch((error: unknown) => {
      throw noSpaceFor(error, KEPT) ?? error
    })
    queue = turn.catch(() => {})
    return turn
  }

  return {
    connect: async () => {
      const connection = await instance.connect()
      connections.push(connection)
      await connection.run("SET TimeZone = 'UTC'")
      return connection
    },
    linesOf: (table, writer = 0) => {
      const path = join(directory, `${table}.${writer}.csv`)
      files.set(table, [...(files.get(table) ?? []), path])
      return path
    },
    load: async (table, columns) => {
      const paths = files.get(table) ?? []
      files.delete(table)
      const types = Object.entries(columns).map(([column, type]) => `'${column}': '${type}'`)
      const connection = await instance.connect()
      await inTurn(() =>
        connection.run(
          `CREATE TABLE ${table} AS FROM read_csv(${list(paths)}, auto_detect = false, header = false, delim = ',',
             quote = '"', escape = '"', nullstr = '\\N', columns = {${types.join(', ')}})`,
        ),
      )
      connection.closeSync()
      for (const path of paths) rmSync(path)
    },
    inTurn,
    close: () => {
      for (const connection of connections) connection.closeSync()
      instance.closeSync()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
