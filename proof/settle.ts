/**
 * From hashes that differ to rows that do. While rows flow most hashes differ because the source has moved on, so each
 * such row is looked at alone: the source's row, a fence, the place, the source's row again. A place that had passed the
 * fence in between holds what the source had then or something later: where it is as the source was seen from the first
 * time to the last, it does not differ. It differs when the source had the same version all along and the place holds
 * something else; two times in succession, because a commit may be in the WAL a moment before anyone can see it. What
 * keeps changing is unsettled.
 */
import { tableName, type Table } from '../core/change.ts'
import type { Lsn } from '../core/position.ts'
import { digest, differingColumns, rowText, type Cell } from './canonical.ts'
import { isTableForm, unitKey, type ExpectedRow, type Expectations, type Origin, type Unit } from './expected.ts'
import type { ProvenPlace, RowPosition, SeenRow } from './proven-place.ts'
import { keyOfShown, rowKey } from './source-keys.ts'
import type { SourceRow } from './source-by-key.ts'
import type { SourceReader } from './source-rows.ts'
import { watch } from './watch.ts'

export interface Suspect extends Unit {
  /** Null when only the place knows the row. */
  readonly origin: Origin | null
}

export interface Difference extends Unit {
  readonly origin: Origin | null
  /** Whether each side has the row. */
  readonly inSource: boolean
  readonly inPlace: boolean
  /** The transaction that wrote the source's row; null when there is none. */
  readonly xmin: number | null
  /** What the place says of its row. */
  readonly at: RowPosition | null
  /** Where both have it. */
  readonly columns: readonly string[]
}

export interface Settled {
  readonly differences: readonly Difference[]
  readonly unsettled: readonly Unit[]
}

export interface SettleOptions {
  readonly source: SourceReader
  readonly expected: Expectations
  /** Resolves when the place has passed everything committed before; false when the time is over. */
  readonly fence: (lsn: Lsn) => Promise<boolean>
  readonly ended: () => boolean
}

interface Judgement {
  readonly differs: boolean
  readonly version: string
  /** What the place held. */
  readonly digest: string
}

const ROUND = 20_000

/** Looks at each suspect until it is settled or the time is over. */
export async function settle(
  place: ProvenPlace,
  suspects: readonly Suspect[],
  options: SettleOptions,
): Promise<Settled> {
  const differences: Difference[] = []
  const unsettled: Unit[] = []
  for (let from = 0; from < suspects.length; from += ROUND) {
    let left: readonly Suspect[] = await withOrigins(place, suspects.slice(from, from + ROUND), options.expected)
    const before = new Map<string, Judgement>()
    while (left.length > 0) {
      if (options.ended()) {
        unsettled.push(...left)
        break
      }
      const judged = await judge(place, left, options)
      if (judged === null) continue
      const certain: Suspect[] = []
      left = left.map((suspect) => ({
        ...suspect,
        origin: suspect.origin ?? judged.origins.get(unitKey(suspect)) ?? null,
      }))
      left = left.filter((suspect) => {
        const now = judged.judgements.get(unitKey(suspect))
        if (now === undefined) return true
        if (!now.differs) return false
        const last = before.get(unitKey(suspect))
        before.set(unitKey(suspect), now)
        if (last === undefined || last.version !== now.version || last.digest !== now.digest) return true
        certain.push(suspect)
        return false
      })
      if (certain.length > 0) differences.push(...(await described(place, certain, options)))
    }
  }
  return { differences, unsettled }
}

/** Which source row an extra row claims to be made of, by its own columns. */
async function withOrigins(
  place: ProvenPlace,
  suspects: readonly Suspect[],
  expected: Expectations,
): Promise<readonly Suspect[]> {
  const { form } = place
  if (isTableForm(form)) return suspects.map((each) => ({ ...each, origin: { table: each.kind, key: each.key } }))
  const lost = suspects.filter(({ origin }) => origin === null)
  if (lost.length === 0) return suspects
  const found = new Map<string, Origin>()
  for await (const row of place.look(lost)) {
    const origin = claimed(place, row, expected)
    if (origin !== null) found.set(unitKey(row), origin)
  }
  return suspects.map((each) => ({ ...each, origin: each.origin ?? found.get(unitKey(each)) ?? null }))
}

function claimed({ form }: ProvenPlace, { kind, cells }: SeenRow, expected: Expectations): Origin | null {
  const columns = expected.columns(form, kind)
  const name = cells[columns.indexOf('sourceTable')] ?? ''
  const table = expected.tables.findIndex((each) => tableName(each) === name)
  const shown = cells[columns.indexOf('sourceKey')] ?? null
  if (table === -1 || shown === null) return null
  return { table, key: keyOfShown(expected.tables[table] as Table, shown) }
}

interface Judged {
  /** A suspect whose source row changed meanwhile has none, unless the place is as one of both. */
  readonly judgements: ReadonlyMap<string, Judgement>
  /**
   * Of suspects that had none: the place lacked the row when it was asked for its origin, and has it now. Their source rows
   * were not read, so they have no judgement.
   */
  readonly origins: ReadonlyMap<string, Origin>
}

/** Null when the place did not pass the fence in time. */
async function judge(place: ProvenPlace, suspects: readonly Suspect[], options: SettleOptions): Promise<Judged | null> {
  const { source, expected } = options
  const lost = new Set(suspects.filter(({ origin }) => origin === null).map(unitKey))
  const versions = await watch(source, originKeys(suspects))
  const held = new Map<string, string>()
  const origins = new Map<string, Origin>()
  const judgements = new Map<string, Judgement>()
  const isAs = (suspect: Suspect, row: SourceRow | null): boolean =>
    (held.get(unitKey(suspect)) ?? '') === (expectedRow(place, suspect, row, expected)?.digest ?? '')

  /** Those whose place is as the source was seen so far have their judgement; the others are left. */
  function unlike(some: readonly Suspect[]): readonly Suspect[] {
    return some.filter((suspect) => {
      const key = unitKey(suspect)
      if (origins.has(key)) return false
      const seen = versions.of(suspect.origin)
      if (!seen.some((row) => isAs(suspect, row))) return true
      judgements.set(key, { differs: false, version: seen[0]?.version ?? '', digest: held.get(key) ?? '' })
      return false
    })
  }

  let left: readonly Suspect[] = []
  try {
    if (!(await options.fence(versions.lsn))) return null
    for await (const row of place.look(suspects)) {
      const key = unitKey(row)
      held.set(key, digest(rowText(row.cells)))
      const origin = lost.has(key) ? claimed(place, row, expected) : null
      if (origin !== null) origins.set(key, origin)
    }
    left = suspects
  } finally {
    await versions.end(() => {
      left = unlike(left)
      return originKeys(left)
    })
  }
  for (const suspect of unlike(left)) {
    const key = unitKey(suspect)
    const seen = versions.of(suspect.origin)
    if (seen.length > 1) continue
    judgements.set(key, { differs: true, version: seen[0]?.version ?? '', digest: held.get(key) ?? '' })
  }
  return { judgements, origins }
}

/** The differences once more, with the names of their columns. */
async function described(
  place: ProvenPlace,
  suspects: readonly Suspect[],
  { source, expected }: SettleOptions,
): Promise<Difference[]> {
  const held = new Map<string, { readonly cells: readonly Cell[]; readonly at: RowPosition | null }>()
  for await (const row of place.look(suspects)) held.set(unitKey(row), row)
  const rows = await source.rows(originKeys(suspects))
  return suspects.flatMap((suspect): Difference | [] => {
    const row = sourceRow(rows, suspect)
    const want = expectedRow(place, suspect, row, expected)
    const have = held.get(unitKey(suspect)) ?? null
    const columns =
      want === null || have === null
        ? []
        : differingColumns(expected.columns(place.form, suspect.kind), want.cells(), have.cells)
    // mended while we looked
    if (want === null ? have === null : have !== null && columns.length === 0) return []
    return {
      kind: suspect.kind,
      key: suspect.key,
      origin: suspect.origin,
      inSource: want !== null,
      inPlace: have !== null,
      xmin: want === null ? null : (row?.xmin ?? null),
      at: have?.at ?? null,
      columns,
    }
  })
}

function originKeys(suspects: readonly Suspect[]): ReadonlyMap<number, ReadonlySet<string>> {
  const keys = new Map<number, Set<string>>()
  for (const { origin } of suspects) {
    if (origin === null) continue
    const of = keys.get(origin.table)
    if (of === undefined) keys.set(origin.table, new Set([origin.key]))
    else of.add(origin.key)
  }
  return keys
}

function sourceRow(rows: ReadonlyMap<string, SourceRow>, { origin }: Suspect): SourceRow | null {
  return origin === null ? null : (rows.get(rowKey(origin.table, origin.key)) ?? null)
}

function expectedRow(
  place: ProvenPlace,
  { kind, key, origin }: Suspect,
  row: SourceRow | null,
  expected: Expectations,
): ExpectedRow | null {
  if (row === null || origin === null) return null
  return expected.rowsOf(place.form, row.change, origin).find((each) => each.kind === kind && each.key === key) ?? null
}
