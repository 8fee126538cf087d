/** What a place holds against what it must hold, by key and hash. */
import { expectedSql, isTableForm, type Expectations, type Form, type Unit } from './expected.ts'
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
  const suspects: Suspect[] = []
  const unexamined: Unit[] = []
  const held = `(SELECT kind, key, digest FROM ${table} WHERE digest <> UUID '${GONE_UUID}')`
  const sql = `
    SELECT coalesce(x.kind, p.kind), coalesce(x.key, p.key), x.origin_table, x.origin_key
    FROM (${expectedSql(form)}) x FULL JOIN ${held} p ON x.kind = p.kind AND x.key = p.key
    WHERE x.digest IS DISTINCT FROM p.digest`
  await scratch.inTurn(async () => {
    for await (const [kind, n] of streamed(connection, `SELECT kind, count(*) FROM ${held} GROUP BY kind`)) {
      counts.set(Number(kind), Number(n))
    }
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

const GONE_UUID = '00000000-0000-0000-0000-000000000000'
