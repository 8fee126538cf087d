/**
 * Keys that were deleted lately. An insert of one of them is an update: should DPR take both at once, its newest row alone
 * counts, and as an I the operational store would ignore it beside the row that it still has (rule dpr.keys).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Position } from '../core/position.ts'
import { literal } from './dpr-raw-columns.ts'
import type { Journal } from './dpr-raw-journal.ts'
import { keyExpression, type Staged } from './dpr-raw-settle.ts'
import { folderName } from './dpr-raw-table.ts'

/** Of so many flushes of the writer before are deletes known: DPR's jobs take files every minute. */
const REMEMBERED = 36

/** Of the journals, oldest first, those that say which they were. */
export function remembered(journals: readonly Journal[]): readonly string[] {
  return journals.slice(-REMEMBERED).map(({ path }) => path)
}

export interface Gone {
  /** Notes the deletes among a folder's rows, then makes updates of the inserts that follow such. */
  settle(staged: Staged): Promise<void>
  /** Forgets what was deleted up to here. */
  forget(horizon: Position): Promise<void>
}

/** `journals` are files of the writer before. */
export async function goneKeys(connection: DuckDBConnection, journals: readonly string[]): Promise<Gone> {
  await connection.run('CREATE TABLE gone (name VARCHAR, key VARCHAR, position VARCHAR)')
  if (journals.length > 0) {
    // a journal from before deletes were told apart names none
    const none =
      'SELECT NULL::VARCHAR AS name, NULL::VARCHAR AS key, NULL::VARCHAR AS position, false AS gone WHERE false'
    const files = journals.map(literal).join(', ')
    await connection.run(`INSERT INTO gone SELECT name, key, position
      FROM (${none} UNION ALL BY NAME FROM read_parquet([${files}], union_by_name = true)) WHERE gone`)
  }
  /** Folders that have such keys: the others' inserts, nearly all, cost no statement. */
  const folders = new Set((await connection.runAndReadAll('SELECT DISTINCT name FROM gone')).getRows().map(String))
  return {
    settle: async (staged) => {
      const { table, rowsTable } = staged
      const name = literal(folderName(table))
      const key = keyExpression(table)
      if (staged.deletes) {
        folders.add(folderName(table))
        await connection.run(`INSERT INTO gone SELECT ${name}, ${key}, position FROM ${rowsTable} WHERE op = 'D'`)
      }
      if (!staged.inserts || !folders.has(folderName(table))) return
      await connection.run(`UPDATE ${rowsTable} SET op = 'U'
        FROM (SELECT key, min(position) AS since FROM gone WHERE name = ${name} GROUP BY key) AS before
        WHERE op = 'I' AND ${key} = before.key AND position > before.since`)
    },
    forget: async (horizon) => {
      if (folders.size > 0) await connection.run(`DELETE FROM gone WHERE position <= ${literal(horizon)}`)
    },
  }
}
