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
  /**
   * Notes the deletes of a flush, then makes updates of the inserts that follow one. Resolves to the parts in which there
   * were such. One statement asks for all folders: nearly every flush has deletes, and nearly none such an insert.
   */
  settle(parts: readonly Staged[]): Promise<ReadonlySet<Staged>>
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
  /** Folders that have such keys. */
  const folders = new Set((await connection.runAndReadAll('SELECT DISTINCT name FROM gone')).getRows().map(String))

  async function note(parts: readonly Staged[]): Promise<void> {
    if (parts.length === 0) return
    await connection.run(`INSERT INTO gone ${keysOf(parts, 'D')}`)
    for (const { table } of parts) folders.add(folderName(table))
  }

  /** The names of folders that insert a key which is among the deleted. */
  async function met(parts: readonly Staged[]): Promise<ReadonlySet<string>> {
    if (parts.length === 0) return new Set()
    const sql = `SELECT DISTINCT name FROM gone SEMI JOIN (${keysOf(parts, 'I')}) AS inserted USING (name, key)`
    return new Set((await connection.runAndReadAll(sql)).getRows().map(String))
  }

  return {
    settle: async (parts) => {
      await note(parts.filter(({ ops }) => ops.D > 0))
      const inserting = parts.filter(({ table, ops }) => ops.I > 0 && folders.has(folderName(table)))
      const names = await met(inserting)
      const changed = inserting.filter(({ table }) => names.has(folderName(table)))
      for (const part of changed) await connection.run(demoteInserts(part))
      return new Set(changed)
    },
    forget: async (horizon) => {
      if (folders.size > 0) await connection.run(`DELETE FROM gone WHERE position <= ${literal(horizon)}`)
    },
  }
}

function keysOf(parts: readonly Staged[], op: 'I' | 'D'): string {
  return parts
    .map(({ table, rowsTable }) => {
      const name = literal(folderName(table))
      return `SELECT ${name} AS name, ${keyExpression(table)} AS key, position FROM ${rowsTable} WHERE op = '${op}'`
    })
    .join(' UNION ALL ')
}

function demoteInserts({ table, rowsTable }: Staged): string {
  return `UPDATE ${rowsTable} SET op = 'U'
    FROM (SELECT key, min(position) AS since FROM gone WHERE name = ${literal(folderName(table))} GROUP BY key) AS before
    WHERE op = 'I' AND ${keyExpression(table)} = before.key AND position > before.since`
}
