/** DuckDB for one piece of work. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'

/**
 * Gives the work a connection and lets go of the file before it resolves. Both are closed: an instance lives as long as
 * its connections, and what lives until the garbage collector comes checkpoints then, over whatever others have written
 * to the file meanwhile.
 */
export async function onDuckDb<T>(
  path: string,
  options: Readonly<Record<string, string>>,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(path, options)
  try {
    const connection = await instance.connect()
    try {
      return await work(connection)
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
  }
}
