/** Why a row differs, told with names and positions, never with values. */
import { unitKey, type Expectations, type Form } from './expected.ts'
import type { ProvenPlace, RowPosition } from './proven-place.ts'
import type { Difference } from './settle.ts'
import { shownKey } from './source-keys.ts'
import { tableName } from '../core/change.ts'

export type Why = 'missing' | 'extra' | 'stale' | 'different'

export interface NamedDifference {
  readonly key: string
  /**
   * missing: the source has the row and the place does not; extra: the other way round; stale: the place holds an older
   * state, by its position; different: the state of that position, with other values.
   */
  readonly why: Why
  /** The names of the columns that differ, where both have the row. */
  readonly columns: readonly string[]
  /** The source's row, and the newest change of it in the raw topic; null when no source row is known. */
  readonly source: { readonly table: string; readonly key: string; readonly position: string | null } | null
  /** What the place says of the change that made its row; null when it has none. */
  readonly place: string | null
}

export function verdict(
  form: Form,
  difference: Difference,
  newest: RowPosition | null,
  expected: Expectations,
): NamedDifference {
  const { key, origin, at, columns, inPlace } = difference
  return {
    key: expected.shown(form, key),
    why: why(form, difference, newest),
    columns,
    source:
      origin === null
        ? null
        : {
            table: tableName(expected.tables[origin.table]!),
            key: shownKey(origin.key),
            position: newest?.text ?? null,
          },
    place: inPlace ? (at?.text ?? null) : null,
  }
}

function why(form: Form, { inSource, inPlace, at, xmin }: Difference, newest: RowPosition | null): Why {
  if (!inPlace) return 'missing'
  if (!inSource) return 'extra'
  return isStale(form, at, newest, xmin) ? 'stale' : 'different'
}

function isStale(form: Form, at: RowPosition | null, newest: RowPosition | null, xmin: number | null): boolean {
  if (at === null) return false
  // the raw topic has nothing to be compared with but the transaction that wrote the source's row
  if (form === 'table') return at.txId !== 0 && xmin !== null && at.txId % 2 ** 32 !== xmin
  if (newest === null) return false
  return form === 'dpr-table' || form === 'dpr-raw' ? at.lsn < newest.lsn && newest.txId !== 0 : at.text < newest.text
}

/** The newest change in the raw topic of each source row that differs, by {@link unitKey}. */
export async function newestChanges(
  rawPlace: ProvenPlace,
  differences: readonly Difference[],
): Promise<ReadonlyMap<string, RowPosition>> {
  const origins = new Map(
    differences.flatMap(({ origin }) => {
      if (origin === null) return []
      const unit = { kind: origin.table, key: origin.key }
      return [[unitKey(unit), unit] as const]
    }),
  )
  const newest = new Map<string, RowPosition>()
  if (origins.size === 0) return newest
  for await (const row of rawPlace.look([...origins.values()])) if (row.at !== null) newest.set(unitKey(row), row.at)
  return newest
}

export function newestOf(newest: ReadonlyMap<string, RowPosition>, { origin }: Difference): RowPosition | null {
  return origin === null ? null : (newest.get(unitKey({ kind: origin.table, key: origin.key })) ?? null)
}

export function countOf(units: readonly { readonly kind: number }[], kind: number): number {
  return units.reduce((total, each) => (each.kind === kind ? total + 1 : total), 0)
}
