/**
 * The rows that changed since a position or a moment, in every place, without reading the others. Each place is asked for
 * some thousands of keys at a time, so it pays while they are few.
 */
import { tableName, type Change } from '../core/change.ts'
import { ENTITIES } from '../core/incident.ts'
import { unify } from '../transforms/unify.ts'
import { isTableForm, unitKey, type Form } from './expected.ts'
import { neededOrTold, untilPassed } from './fence.ts'
import { rawRows } from './place-raw.ts'
import type { ProvenPlace, Since } from './proven-place.ts'
import { noting, type Found, type PlaceFound, type Run } from './reconcile-run.ts'
import type { Suspect } from './settle.ts'
import { settlePlace } from './settle-place.ts'
import { keyOf } from './source-keys.ts'
import { scanTopic } from './topic-scan.ts'
import { countOf } from './verdict.ts'

/** Where more rows of a form than this changed, reading everything once is quicker than asking for them. */
const FEW = 20_000

/** Null when too many rows changed for looking at them alone; nothing was judged then. */
export async function changedRows(run: Run, since: Since): Promise<Found | null> {
  const { source, expected, places, options } = run
  const fence = await source.lsn()
  const needed = await neededOrTold(fence, options)
  const changed = await changedIn(run, since)
  if (changed === null) return null
  const settled = new Map<ProvenPlace, PlaceFound>()
  await Promise.all(
    places.map(async (place) => {
      await untilPassed(place, needed, options)
      const suspects = new Map(changed.get(place.form))
      for (const unit of (await place.changedSince?.(since)) ?? []) {
        const key = unitKey(unit)
        if (!suspects.has(key)) suspects.set(key, { ...unit, origin: null })
      }
      const rows = expected.kinds(place.form).map((_, kind) => countOf([...suspects.values()], kind))
      options.progress?.(place.name, suspects.size, suspects.size)
      settled.set(place, { ...(await settlePlace(run, place, [...suspects.values()])), rows })
    }),
  )
  const totals = { rows: changed.get('table')?.size ?? 0, refused: changed.refused, copies: changed.copies }
  return { totals, fence, places: settled }
}

type Changed = Map<Form, Map<string, Suspect>> & { refused: number; copies: number }

/** The rows of every form that the raw topic's changes since then are about; null when they are too many. */
async function changedIn({ options, expected, unreadable }: Run, since: Since): Promise<Changed | null> {
  const { raw, registry } = options
  const names = new Map(expected.tables.map((table, i) => [tableName(table), i]))
  const changed: Changed = Object.assign(new Map<Form, Map<string, Suspect>>(), { refused: 0, copies: 0 })
  const forms: readonly Form[] = ['table', 'dpr-table', 'unified', 'dpr-raw', 'operational', 'analytics']
  for (const form of forms) changed.set(form, new Map())
  const refused = new Map<string, boolean>()
  const each = (change: Exclude<Change, { op: 'm' }>): void => {
    const isNew = 'position' in since ? change.position >= since.position : change.committedAt >= since.micros
    const table = names.get(tableName(change.table))
    if (!isNew || table === undefined || change.table.key.length === 0) return
    const origin = { table, key: keyOf(change.table, (change.after ?? change.before)!) }
    const unit = { kind: table, key: origin.key, origin }
    for (const form of ['table', 'dpr-table'] as const) {
      if (form === 'table' || expected.dprTables[table] !== null) changed.get(form)!.set(unitKey(unit), unit)
    }
    const meaning = unify(change)
    refused.set(unitKey(unit), meaning.refusal !== null)
    for (const { entity, id } of meaning.rows) {
      const suspect = { kind: ENTITIES.indexOf(entity), key: id, origin }
      for (const form of forms) if (!isTableForm(form)) changed.get(form)!.set(unitKey(suspect), suspect)
    }
  }
  const rows = rawRows({
    registry,
    tables: expected.tables,
    unreadable: noting(raw, unreadable),
    each,
  })()
  const areMany = (): boolean => forms.some((form) => changed.get(form)!.size > (options.few ?? FEW))
  await scanTopic({
    topic: raw,
    take: async (records) => void (await rows(records)),
    enough: areMany,
  })
  if (areMany()) return null
  changed.refused = [...refused.values()].filter(Boolean).length
  return changed
}
