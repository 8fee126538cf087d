/** Every row of the source as keys and hashes: what each place must hold, in two files of lines. */
import type { RowChange, Table, Tuple } from '../core/change.ts'
import { ENTITIES, type Fields } from '../core/incident.ts'
import type { DprTable } from '../sinks/dpr-raw-contracts.ts'
import { digest, fieldsWriter, rowText } from './canonical.ts'
import { dprCells, hasSameCells } from './dpr-cells.ts'
import { CLEARED, entityKind, type Expectations } from './expected.ts'
import { csv, lineWriter } from './lines.ts'
import type { Scratch } from './scratch.ts'
import { rowBytes, type RowBytes } from './row-bytes.ts'
import { keyOf } from './source-keys.ts'
import { tuplePutter } from './tuple-cells.ts'
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
  /** The tuple is the change's row, and begins with the table's columns. */
  add(change: RowChange, table: number, tuple: Tuple): void
  end(): Totals
}

export type LinesOf = Readonly<Record<(typeof EXPECTED_TABLES)[number], string>>

export function expectedLines(expected: Expectations, paths: LinesOf): ExpectedLines {
  const { tables, dprTables, projections } = expected
  const hashed = ENTITIES.map((entity) =>
    CLEARED.map((output): ((value: Fields) => string) => {
      const { project, fields } = projections[output][entity]
      const write = fieldsWriter(fields)
      return (value) => digest(write(project(value)))
    }),
  )
  const row = rowBytes()
  const digests = tables.map((table, i) => tableDigests(table, dprTables[i] ?? null, row))
  const rows = lineWriter(paths.expected_row)
  const unified = lineWriter(paths.expected_unified)
  const totals = { rows: 0, refused: 0, copies: 0 }
  return {
    add: (change, table, tuple) => {
      const key = csv(keyOf(change.table, change.after!))
      if (change.table.key.length > 0) rows.add(`${table},${key},${digests[table]!(change, tuple)}`)
      const meaning = unify(change)
      totals.rows += 1
      if (meaning.refusal !== null) totals.refused += 1
      if (meaning.absence === 'copy-of-dps') totals.copies += 1
      for (const { entity, id, value } of meaning.rows) {
        const kind = entityKind(entity)
        let line = `${kind},${id},${table},${key}`
        for (const hash of hashed[kind]!) line += `,${hash(value)}`
        unified.add(line)
      }
    },
    end: () => {
      rows.end()
      unified.end()
      return totals
    },
  }
}

/** The hash of a row, and behind a comma that of what DPR has of it. */
function tableDigests(table: Table, dpr: DprTable | null, row: RowBytes): (change: RowChange, tuple: Tuple) => string {
  const put = tuplePutter(table.columns)
  const isSame = dpr !== null && hasSameCells(dpr, table)
  return ({ after }, tuple) => {
    row.begin()
    const areOrdinary = put(tuple, row)
    const own = row.digest()
    if (dpr === null) return `${own},\\N`
    return `${own},${isSame && areOrdinary ? own : digest(rowText(dprCells(dpr, after!)))}`
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
