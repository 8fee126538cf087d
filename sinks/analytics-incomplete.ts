/**
 * Which source rows could not be mapped: their incidents are shown with gaps until the row is mapped or deleted.
 * Dead letters are few, so they lie in memory too: a change of any other row costs one look-up, or none.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { image, keyText, tableName, type RowChange } from '../core/change.ts'
import type { PipelineError } from '../core/error.ts'
import type { Position } from '../core/position.ts'

export interface Incomplete {
  /** Takes note of one change and of why it has no rows, if so. */
  note(change: RowChange, refusal: PipelineError | null): void
  /** Writes what was noted within the connection's open transaction. */
  save(): Promise<void>
  /** Back to what is committed, after a failed write. */
  reload(): Promise<void>
}

/** Healed entries stay: an older refusal that comes late must not open them again. */
interface Entry {
  readonly table: string
  readonly key: string
  readonly reference: string | null
  readonly code: string
  readonly position: Position
  readonly healed: boolean
}

export async function incomplete(connection: DuckDBConnection): Promise<Incomplete> {
  const entries = new Map<string, Entry>()
  const changed = new Set<string>()
  await connection.run('CREATE TEMP TABLE staged_incomplete AS SELECT * FROM incomplete LIMIT 0')
  const appender = await connection.createAppender('staged_incomplete', 'main', 'temp')

  async function reload(): Promise<void> {
    entries.clear()
    changed.clear()
    const rows = await connection.runAndReadAll(
      'SELECT source_table, source_key, reference, code, position, healed FROM incomplete',
    )
    for (const [table, key, reference, code, position, healed] of rows.getRows() as [
      string,
      string,
      string | null,
      string,
      Position,
      boolean,
    ][]) {
      entries.set(`${table} ${key}`, { table, key, reference, code, position, healed })
    }
  }
  await reload()

  return {
    note(change, refusal) {
      if (refusal === null && entries.size === 0) return
      const table = tableName(change.table)
      const key = keyText(change.table, image(change))
      const name = `${table} ${key}`
      const known = entries.get(name)
      if (known === undefined && refusal === null) return
      if (known !== undefined && change.position <= known.position) return
      entries.set(name, {
        table,
        key,
        reference: change.reference,
        code: refusal?.code ?? known!.code,
        position: change.position,
        healed: refusal === null || change.op === 'd',
      })
      changed.add(name)
    },
    async save() {
      if (changed.size === 0) return
      for (const name of changed) {
        const { table, key, reference, code, position, healed } = entries.get(name)!
        appender.appendVarchar(table)
        appender.appendVarchar(key)
        if (reference === null) appender.appendNull()
        else appender.appendVarchar(reference)
        appender.appendVarchar(code)
        appender.appendVarchar(position)
        appender.appendBoolean(healed)
        appender.endRow()
      }
      appender.flushSync()
      await connection.run(`
        DELETE FROM incomplete WHERE (source_table, source_key) IN
          (SELECT (source_table, source_key) FROM temp.staged_incomplete);
        INSERT INTO incomplete SELECT * FROM temp.staged_incomplete;
        TRUNCATE temp.staged_incomplete`)
      changed.clear()
    },
    reload,
  }
}
