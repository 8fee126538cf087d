/** What happened to an incident, as its page tells it: transactions, the newest first, each with its changes. */
import type { z } from 'zod'
import type { IncidentHistory } from '../api/history.ts'
import type { IncidentLineage } from '../api/lineage.ts'
import type { Entity } from '../core/incident.ts'
import type { Masking, Shown } from './masking.ts'
import type { ChangeKey, ChangePlaces } from './change-places.ts'

type Amendment = z.infer<typeof IncidentHistory>['amendments'][number]
type RowLineage = z.infer<typeof IncidentLineage>['rows'][number]

export interface TimelineChange {
  readonly entity: string
  readonly what: string
  readonly id: string
  readonly sourceTable: string
  readonly position: string
  readonly lsn: string
  readonly fields: readonly { readonly name: string; readonly before: Shown | null; readonly after: Shown | null }[]
  /** Where the record lies that made the row as it is; null for a change that another one has followed. */
  readonly record: Pick<RowLineage, 'topic' | 'partition' | 'offset' | 'sourceKey' | 'storeTable'> | null
  /** Undefined unless it was asked for. */
  readonly places?: ChangePlaces | undefined
}

export interface TimelineEntry {
  readonly committedAt: string
  readonly transactionId: number | null
  readonly lsn: string
  readonly model: string
  readonly by: Shown | null
  readonly readOutsideStream: boolean
  readonly changes: readonly TimelineChange[]
}

export interface Timeline {
  readonly entries: readonly TimelineEntry[]
  readonly total: number
  readonly page: number
  readonly pages: number
}

/** Of a page. */
const CHANGES = 100

export function timeline(
  amendments: readonly Amendment[],
  rows: readonly RowLineage[],
  { masking, page }: { readonly masking: Masking; readonly page: number },
): Timeline {
  const records = new Map(rows.map((row) => [`${row.entity}/${row.id}/${row.position}`, row]))
  const pages = Math.max(1, Math.ceil(amendments.length / CHANGES))
  const at = Math.min(Math.max(1, page), pages)
  const newest = amendments.map((amendment, index) => ({ amendment, index })).toReversed()
  const entries: (TimelineEntry & { changes: TimelineChange[]; key: string })[] = []
  for (const { amendment, index } of newest.slice((at - 1) * CHANGES, at * CHANGES)) {
    const key = amendment.position.slice(0, 22)
    const change = changeOf(amendment, index, records, masking)
    const last = entries.at(-1)
    if (last !== undefined && last.key === key) {
      last.changes.unshift(change)
      continue
    }
    const { committedAt, transactionId, lsn, model, changedBy, readOutsideStream } = amendment
    const by =
      changedBy === null ? null : masking.show('Report', 'modifiedBy', changedBy, `amendments.${index}.changedBy`)
    entries.push({ key, committedAt, transactionId, lsn, model, by, readOutsideStream, changes: [change] })
  }
  return { entries, total: amendments.length, page: at, pages }
}

function changeOf(
  { entity, id, what, sourceTable, position, lsn, before, after }: Amendment,
  index: number,
  records: ReadonlyMap<string, RowLineage>,
  masking: Masking,
): TimelineChange {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const show = (side: 'before' | 'after', values: Record<string, unknown> | null, name: string): Shown | null =>
    values === null || !Object.hasOwn(values, name)
      ? null
      : masking.show(entity as 'Report', name, values[name], `amendments.${index}.${side}.${name}`)
  return {
    entity,
    what,
    id,
    sourceTable,
    position,
    lsn,
    fields: names
      .filter((name) => what === 'changed' || (before?.[name] ?? after?.[name] ?? null) !== null)
      .map((name) => ({ name, before: show('before', before, name), after: show('after', after, name) })),
    record: records.get(`${entity}/${id}/${position}`) ?? null,
  }
}

/** Every change of a timeline with the files and rows that it is in. */
export async function withPlaces(
  timeline: Timeline,
  places: (changes: readonly ChangeKey[]) => Promise<ReadonlyMap<string, ChangePlaces>>,
): Promise<Timeline> {
  const keyOf = ({ entity, id, position }: TimelineChange): string => `${entity}/${id}/${position}`
  const all = timeline.entries.flatMap(({ changes }) => changes)
  const found = await places(all.map((change) => ({ ...change, entity: change.entity as Entity })))
  return {
    ...timeline,
    entries: timeline.entries.map((entry) => ({
      ...entry,
      changes: entry.changes.map((change) => ({ ...change, places: found.get(keyOf(change)) })),
    })),
  }
}
