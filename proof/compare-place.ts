/**
 * What a place holds against what it must hold, by key and hash. Lines are compared as they stand: a row all of whose lines
 * are as it must be has the right newest one, whichever that is, so that only the others' are looked for.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { GONE } from './canonical.ts'
import { expectedSql, isTableForm, type Expectations, type Form, type Unit } from './expected.ts'
import { passes } from './passes.ts'
import { streamed } from './proven-place.ts'
import type { Scratch } from './scratch.ts'
import type { Suspect } from './settle.ts'

/** What a place has put into the scratch: for each row one line or more. */
export interface StoredLines {
  /** With `kind`, `key` and `digest`; the hash of a line by which a row is removed is GONE. */
  readonly table: string
  /** An expression whose text order is that of one row's lines; null where each row has one line. */
  readonly age: string | null
}

export interface PlaceComparison {
  /** Rows that the place holds, by kind. */
  readonly rows: readonly number[]
  readonly suspects: readonly Suspect[]
  /** Suspects beyond those that are worth a second look. */
  readonly unexamined: readonly Unit[]
}

/** Where more rows than this are suspect the place is broken, not behind: the rest is only counted. */
const EXAMINED = 100_000

export async function comparePlace(
  scratch: Scratch,
  form: Form,
  stored: StoredLines,
  expected: Expectations,
): Promise<PlaceComparison> {
  const connection = await scratch.connect()
  const odd = `${stored.table}_odd`
  const newest = `${stored.table}_newest`
  await scratch.inTurn(() =>
    connection.run(`
      CREATE OR REPLACE TABLE ${odd} AS
      SELECT DISTINCT coalesce(x.kind, p.kind) AS kind, coalesce(x.key, p.key) AS key, x.digest, x.origin_table, x.origin_key
      FROM (${expectedSql(form)}) x FULL JOIN ${stored.table} p ON x.kind = p.kind AND x.key = p.key
      WHERE x.digest IS DISTINCT FROM p.digest`),
  )
  await findNewest(scratch, connection, stored, { odd, newest })
  const held = `${odd} o LEFT JOIN (SELECT kind, key, digest FROM ${newest} WHERE digest <> UUID '${GONE}') n
                USING (kind, key)`
  const counts = await scratch.inTurn(() => countsOf(connection, form, held))
  const suspects: Suspect[] = []
  const unexamined: Unit[] = []
  const sql = `SELECT kind, key, origin_table, origin_key FROM ${held} WHERE o.digest IS DISTINCT FROM n.digest
               ORDER BY kind, key`
  await scratch.inTurn(async () => {
    for await (const [kind, key, originTable, originKey] of streamed(connection, sql)) {
      const unit = { kind: Number(kind), key: String(key) }
      if (suspects.length >= EXAMINED) {
        unexamined.push({ kind: unit.kind, key: '' })
        continue
      }
      const origin =
        originTable === null || originTable === undefined
          ? null
          : { table: Number(originTable), key: String(originKey) }
      suspects.push({ ...unit, origin: isTableForm(form) ? { table: unit.kind, key: unit.key } : origin })
    }
  })
  return { rows: expected.kinds(form).map((_, kind) => counts.get(kind) ?? 0), suspects, unexamined }
}

/** The newest line of each odd row. */
async function findNewest(
  scratch: Scratch,
  connection: DuckDBConnection,
  { table, age }: StoredLines,
  { odd, newest }: { readonly odd: string; readonly newest: string },
): Promise<void> {
  const run = (sql: string) => scratch.inTurn(() => connection.runAndReadAll(sql))
  await run(`CREATE OR REPLACE TABLE ${newest} (kind UTINYINT, key VARCHAR, digest UUID)`)
  const counted = await run(`SELECT count(*) FROM ${odd}`)
  const digest = age === null ? 'any_value(digest)' : `arg_max(digest, ${age})`
  for (const pass of passes(Number(counted.getRows()[0]![0]), 'key')) {
    await run(`
      INSERT INTO ${newest} SELECT kind, key, ${digest} FROM ${table} SEMI JOIN ${odd} USING (kind, key)
      WHERE ${pass} GROUP BY kind, key`)
  }
}

/** Rows that the place holds: those that it must hold, but for the odd ones that it lacks or has beyond. */
async function countsOf(connection: DuckDBConnection, form: Form, held: string): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>()
  const sql = `
    SELECT kind, sum(rows) FROM (
      SELECT kind, count(*) AS rows FROM (${expectedSql(form)}) GROUP BY kind
      UNION ALL SELECT kind, count(n.digest) - count(o.digest) FROM ${held} GROUP BY kind)
    GROUP BY kind`
  for await (const [kind, rows] of streamed(connection, sql)) counts.set(Number(kind), Number(rows))
  return counts
}
