/** Every row of the source as keys and hashes: what each place must hold, in two files of lines. */
import type { RowChange } from '../core/change.ts'
import { digest, fieldsText, rowText, tableText } from './canonical.ts'
import { dprCells } from './dpr-cells.ts'
import { CLEARED, entityKind, type Expectations } from './expected.ts'
import { csv, lineWriter } from './lines.ts'
import type { Scratch } from './scratch.ts'
import { keyOf } from './source-keys.ts'
import { unify } from '../transforms/unify.ts'

export interface Totals {
  readonly rows: number
  /** Source rows that could not be mapped. */
  readonly refused: number
  readonly copies: number
}

/** The tables that {@link expectedLines} writes the lines of. */
export const EXPECTED_TABLES = ['expected_row', 'expected_unified'] as const

export interface ExpectedLines {
  add(change: RowChange, table: number): void
  end(): Totals
}

export type LinesOf = Readonly<Record<(typeof EXPECTED_TABLES)[number], string>>

export function expectedLines(expected: Expectations, paths: LinesOf): ExpectedLines {
  const { dprTables, projections } = expected
  const hashed = CLEARED.map((output) => projections[output])
  const rows = lineWriter(paths.expected_row)
  const unified = lineWriter(paths.expected_unified)
  const totals = { rows: 0, refused: 0, copies: 0 }
  return {
    add: (change, table) => {
      const key = csv(keyOf(change.table, change.after!))
      const dpr = dprTables[table]
      const dprDigest = dpr == null ? '\\N' : digest(rowText(dprCells(dpr, change.table, change.after!)))
      if (change.table.key.length > 0)
        rows.add(`${table},${key},${digest(tableText(change.table, change.after!))},${dprDigest}`)
      const meaning = unify(change)
      totals.rows += 1
      if (meaning.refusal !== null) totals.refused += 1
      if (meaning.absence === 'copy-of-dps') totals.copies += 1
      for (const { entity, id, value } of meaning.rows) {
        const digests = hashed.map((each) => digest(fieldsText(each[entity].project(value))))
        unified.add(`${entityKind(entity)},${id},${table},${key},${digests.join(',')}`)
      }
    },
    end: () => {
      rows.end()
      unified.end()
      return totals
    },
  }
}

/** Makes the tables of the lines, for {@link expectedSql}. */
export async function loadExpected(scratch: Scratch): Promise<void> {
  await scratch.load('expected_row', { kind: 'UTINYINT', key: 'VARCHAR', digest: 'UUID', dpr: 'UUID' })
  await scratch.load('expected_unified', {
    kind: 'UTINYINT',
    key: 'VARCHAR',
    origin_table: 'UTINYINT',
    origin_key: 'VARCHAR',
    ...Object.fromEntries(CLEARED.map((_, i) => [`digest${i}`, 'UUID'])),
  })
}
