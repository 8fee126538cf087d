/** Plain SQL on one connection, counting the rows that it changes. */
import type { ClientBase, QueryResultRow } from 'pg'

export interface Writer {
  /** Row changes so far: what logical replication will deliver. */
  readonly changes: number
  /** Adds what a statement changed beyond its own row count: rows that a foreign key touched. */
  count(changes: number): void
  read<R extends QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<R[]>
  /** An INSERT, UPDATE or DELETE; how many rows it changed. */
  write(sql: string, values?: readonly unknown[]): Promise<number>
  /** Inserts rows of the same columns, in order, however many. */
  insert(table: string, rows: readonly object[]): Promise<void>
  /** As `insert`, but a row whose key is there is updated. */
  upsert(table: string, key: readonly string[], rows: readonly object[]): Promise<void>
  /** So many values of a sequence. */
  reserve(sequence: string, count: number): Promise<number[]>
  /** One transaction: committed when `work` resolves, rolled back when it rejects. */
  transaction<T>(work: () => Promise<T>): Promise<T>
}

export function writer(client: ClientBase): Writer {
  let changes = 0

  const write = async (sql: string, values: readonly unknown[] = []): Promise<number> => {
    const { rowCount } = await client.query(sql, [...values])
    changes += rowCount ?? 0
    return rowCount ?? 0
  }
  const read = async <R extends QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<R[]> =>
    (await client.query<R>(sql, [...values])).rows

  return {
    get changes() {
      return changes
    },
    count: (more) => {
      changes += more
    },
    read,
    write,
    insert: async (table, rows) => {
      if (rows.length > 0) await write(insertSql(table, rows[0]!), [JSON.stringify(rows)])
    },
    upsert: async (table, key, rows) => {
      if (rows.length === 0) return
      const updates = Object.keys(rows[0]!)
        .filter((column) => !key.includes(column))
        .map((column) => `${column} = excluded.${column}`)
      const onConflict = `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${updates.join(', ')}`
      await write(`${insertSql(table, rows[0]!)} ${onConflict}`, [JSON.stringify(rows)])
    },
    reserve: async (sequence, count) => {
      const rows = await read<{ value: number }>('SELECT nextval($1)::float8 AS value FROM generate_series(1, $2)', [
        sequence,
        count,
      ])
      return rows.map((row) => row.value)
    },
    transaction: async (work) => {
      const before = changes
      await client.query('BEGIN')
      try {
        const result = await work()
        await client.query('COMMIT')
        return result
      } catch (error) {
        changes = before
        await client.query('ROLLBACK').catch(() => {}) // the first error is the one to tell
        throw error
      }
    },
  }
}

function insertSql(table: string, row: object): string {
  const columns = Object.keys(row).join(', ')
  return `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM json_populate_recordset(null::${table}, $1)`
}
