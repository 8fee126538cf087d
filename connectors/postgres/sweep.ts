/**
 * What the raw topic holds and the source has no more: after a TRUNCATE, a lost slot, or a source restored to an older
 * state no change says so. Here is the first half: the rows that the topic holds, in a file, so that memory is bounded.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { deserialize, serialize } from 'node:v8'
import { image, tableName, type Change, type Row, type Table, type Tuple, type Value } from '../../core/change.ts'
import { guarded } from './state.ts'

/** A row that is live in the raw topic. */
export interface LiveRow {
  /** The primary key's values as PostgreSQL prints them. */
  readonly key: readonly string[]
  readonly partition: number
  readonly reference: string | null
  readonly row: Row
}

export interface LiveRows {
  /** In groups of at most `size`. */
  of(table: string, size: number): Generator<LiveRow[]>
  close(): void
}

/** Whether a row is asked after. */
export type Wanted = (table: string, key: string, reference: string | null) => boolean

/** Folds the topic by position. `key` is the JSON of the primary key's texts. Tables without a key are left out. DISK_FULL, SINK. */
export async function liveRows(
  history: AsyncIterable<readonly Change[]>,
  wanted: Wanted,
  directory: string,
): Promise<LiveRows> {
  // SQLite writes to no file that has lost its name; one that a crash left is taken away by the next sweep
  const path = join(directory, 'sweep.sqlite')
  const db = guarded(path, () => openFresh(path))
  const close = (): void => {
    db.close()
    rmSync(path, { force: true })
  }
  const put = db.prepare(`
    INSERT INTO live VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET position = excluded.position, part = excluded.part, reference = excluded.reference,
      row = excluded.row WHERE excluded.position > live.position`)
  try {
    for await (const changes of history) {
      guarded(path, () => {
        db.exec('BEGIN')
        for (const change of changes) {
          if (change.op === 'm' || change.table.key.length === 0) continue
          const table = tableName(change.table)
          const row = image(change)
          const key = JSON.stringify(change.table.key.map((name) => valueText(row[name] ?? null) ?? ''))
          if (!wanted(table, key, change.reference)) continue
          const held = change.op === 'd' ? null : serialize(row)
          put.run(table, key, change.position, change.partition, change.reference, held)
        }
        db.exec('COMMIT')
      })
    }
  } catch (error) {
    close()
    throw error
  }
  const next = db.prepare(
    'SELECT key, part, reference, row FROM live WHERE tab = ? AND key > ? AND row IS NOT NULL ORDER BY key LIMIT ?',
  )
  return {
    *of(table, size) {
      for (let after = ''; ;) {
        const rows = next.all(table, after, size) as unknown as StoredRow[]
        if (rows.length === 0) return
        after = rows.at(-1)!.key
        yield rows.map(({ key, part, reference, row }) => ({
          key: JSON.parse(key) as string[],
          partition: part,
          reference,
          row: deserialize(row) as Row,
        }))
      }
    },
    close,
  }
}

interface StoredRow {
  readonly key: string
  readonly part: number
  readonly reference: string | null
  readonly row: Uint8Array
}

function openFresh(path: string): DatabaseSync {
  rmSync(path, { force: true })
  const db = new DatabaseSync(path)
  db.exec(`
    PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;
    CREATE TABLE live (tab TEXT, key TEXT, position TEXT NOT NULL, part INTEGER NOT NULL, reference TEXT, row BLOB,
      PRIMARY KEY (tab, key)) WITHOUT ROWID`)
  return db
}

/** A value as PostgreSQL prints it; null for NULL. */
export function valueText(value: Value): string | null {
  if (value === null) return null
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (Object.is(value, -0)) return '-0'
  return String(value)
}

/** A row of the topic as a tuple of the table as it is now: a column that it did not have then is null. */
export function tupleOf(table: Table, row: Row): Tuple {
  const pieces: Buffer[] = [Buffer.alloc(2)]
  pieces[0]!.writeUInt16BE(table.columns.length)
  for (const { name } of table.columns) {
    const text = valueText(row[name] ?? null)
    if (text === null) {
      pieces.push(Buffer.from('n'))
      continue
    }
    const bytes = Buffer.from(text)
    const head = Buffer.from('t\0\0\0\0', 'latin1')
    head.writeUInt32BE(bytes.length, 1)
    pieces.push(head, bytes)
  }
  const bytes = Buffer.concat(pieces)
  return { bytes, start: 0, end: bytes.length }
}
