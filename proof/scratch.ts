/**
 * Where a proof keeps keys and hashes: a DuckDB file in a temporary directory, so that memory stays bounded however many
 * rows there are.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'

export interface Scratch {
  /** A connection of its own; its time zone is UTC. */
  connect(): Promise<DuckDBConnection>
  /** Rows into a new table, which is there when `done` resolves. Columns by name and DuckDB type. */
  table(name: string, columns: Readonly<Record<string, string>>): TableWriter
  close(): void
}

export interface TableWriter {
  /** One line of CSV without its end: texts through {@link csv}, `\N` for NULL. */
  add(line: string): void
  /** The table is the result of this query over `lines`; all of them as they are when it is absent. */
  done(query?: string): Promise<void>
}

/** A text as a CSV field. */
export function csv(text: string): string {
  return /[",\n\r\\]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text
}

/** DuckDB writes the rest to its directory. */
const MEMORY = '384MB'
const CHUNK = 1 << 20

export async function openScratch(): Promise<Scratch> {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-proof-'))
  const instance = await DuckDBInstance.create(join(directory, 'scratch.duckdb'), {
    memory_limit: MEMORY,
    threads: '2',
    temp_directory: join(directory, 'spill'),
    preserve_insertion_order: 'false',
  })
  const connections: DuckDBConnection[] = []

  async function connect(): Promise<DuckDBConnection> {
    const connection = await instance.connect()
    connections.push(connection)
    await connection.run("SET TimeZone = 'UTC'")
    return connection
  }

  return {
    connect,
    table: (name, columns) => {
      const path = join(directory, `${name}.csv`)
      const file = openSync(path, 'w')
      let chunk = ''
      const flush = (): void => {
        writeSync(file, chunk)
        chunk = ''
      }
      return {
        add: (line) => {
          chunk += `${line}\n`
          if (chunk.length >= CHUNK) flush()
        },
        done: async (query = 'SELECT * FROM lines') => {
          flush()
          closeSync(file)
          const types = Object.entries(columns).map(([column, type]) => `'${column}': '${type}'`)
          const connection = await instance.connect()
          await connection.run(
            `CREATE TABLE ${name} AS WITH lines AS (FROM read_csv('${path}', auto_detect = false, header = false, delim = ',',
               quote = '"', escape = '"', nullstr = '\\N', columns = {${types.join(', ')}})) ${query}`,
          )
          connection.closeSync()
          rmSync(path)
        },
      }
    },
    close: () => {
      for (const connection of connections) connection.closeSync()
      instance.closeSync()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
