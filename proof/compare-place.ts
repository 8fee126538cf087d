/** What a place holds against what it must hold, by key and hash. */
import { expectedSql, isTableForm, originSql, type Expectations, type Form, type Unit } from './expected.ts'
import { streamed } from './proven-place.ts'
import type { Scratch } from './scratch.ts'
import type { Suspect } from './settle.ts'

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
  table: string,
  expected: Expectations,
): Promise<PlaceComparison> {
  const connection = await scratch.connect()
  const counts = new Map<number, number>()
  const rows = `SELECT kind, count(*) FROM ${table} WHERE digest <> UUID '${GONE_UUID}' GROUP BY kind`
  for await (const [kind, n] of streamed(connection, rows)) counts.set(Number(kind), Number(n))
  const suspects: Suspect[] = []
  const unexamined: Unit[] = []
  const sql = `
    SELECT coalesce(x.kind, p.kind) AS kind, coalesce(x.key, p.key) AS key, o.origin_table, o.origin_key
    FROM (${expectedSql(form)}) x
    FULL JOIN (SELECT kind, key, digest FROM ${table} WHERE digest <> UUID '${GONE_UUID}') p
      ON x.kind = p.kind AND x.key = p.key
    LEFT JOIN (${originSql(form)}) o ON o.kind = x.kind AND o.key = x.key
    WHERE x.digest IS DISTINCT FROM p.digest`
  for await (const [kind, key, originTable, originKey] of streamed(connection, sql)) {
    const unit = { kind: Number(kind), key: String(key) }
    if (suspects.length >= EXAMINED) {
      unexamined.push({ kind: unit.kind, key: '' })
      continue
    }
    const origin =
      originTable === null || originTable === undefined ? null : { table: Number(originTable), key: String(originKey) }
    suspects.push({ ...unit, origin: isTableForm(form) ? { table: unit.kind, key: unit.key } : origin })
  }
  return { rows: expected.kinds(form).map((_, kind) => counts.get(kind) ?? 0), suspects, unexamined }
}

const GONE_UUID = '00000000-0000-0000-0000-000000000000'
