/** What one reconciliation works with: the source, a scratch, what is expected, and the places that were asked for. */
import type { Lsn } from '../core/position.ts'
import type { Topic } from '../transport/topic.ts'
import type { Expectations } from './expected.ts'
import type { Totals } from './expected-lines.ts'
import { groupPassed } from './fence.ts'
import { analyticsProof } from './place-analytics.ts'
import { dprEntitiesProof, dprTablesProof } from './place-dpr.ts'
import { governedMarks, governedRows } from './place-governed.ts'
import { operationalProof } from './place-operational.ts'
import { rawMarks, rawRows } from './place-raw.ts'
import { topicProof } from './place-topic.ts'
import type { Needed, ProvenPlace } from './proven-place.ts'
import type { PlaceName, ReconcileOptions } from './reconcile.ts'
import type { Scratch } from './scratch.ts'
import type { Settled } from './settle.ts'
import type { SourceReader } from './source-rows.ts'

export interface Opening {
  readonly options: ReconcileOptions
  readonly source: SourceReader
  readonly scratch: Scratch
  readonly expected: Expectations
}

export interface Run extends Opening {
  /** Also when it was not asked for: it knows each row's newest change. */
  readonly rawPlace: ProvenPlace
  /** Those that are asked for. */
  readonly places: readonly ProvenPlace[]
  /** Records of topics that cannot be read, as `topic/partition/offset`. */
  readonly unreadable: Set<string>
}

/** What became of a place's rows, and how many it holds by kind. */
export type PlaceFound = Settled & { readonly rows: readonly number[] }

export interface Found {
  readonly totals: Totals
  readonly fence: Lsn
  readonly places: ReadonlyMap<ProvenPlace, PlaceFound>
}

/** Opens the places; each error is that of the place that cannot be opened. */
export async function openRun(opening: Opening): Promise<Run> {
  const { options, scratch, expected } = opening
  const { transport, namespace, raw, unified, registry } = options
  const wanted = (name: PlaceName): boolean => options.places?.includes(name) ?? true
  const unreadable = new Set<string>()
  const passedBy = (group: string) => (needed: Needed) => groupPassed(transport, `${namespace}.${group}`, raw, needed)
  const ofRaw = { registry, tables: expected.tables, unreadable: noting(raw, unreadable) }
  const rawPlace = await topicProof(scratch, {
    topic: raw,
    form: 'table',
    passed: async () => true, // the fence itself is read from it
    ofTies: 'first',
    rows: rawRows(ofRaw),
    marks: rawMarks(ofRaw),
  })
  const places: ProvenPlace[] = []
  if (wanted('raw')) places.push(rawPlace)
  if (wanted('unified')) {
    const { unified: projections } = expected.projections
    const ofUnified = { registry, projections, unreadable: noting(unified, unreadable) }
    places.push(
      await topicProof(scratch, {
        topic: unified,
        form: 'unified',
        passed: passedBy('unify'),
        ofTies: 'last',
        rows: governedRows(ofUnified),
        marks: governedMarks(ofUnified),
      }),
    )
  }
  if (wanted('dpr-raw')) {
    const dpr = { scratch, passed: passedBy('dpr-raw'), zone: options.dpr }
    places.push(await dprTablesProof(expected, dpr), await dprEntitiesProof(expected.projections['dpr-raw'], dpr))
  }
  if (wanted('operational')) {
    places.push(await operationalProof(options.operationalUrl, expected.projections.operational))
  }
  if (wanted('analytics')) {
    const { analytics } = expected.projections
    places.push(await analyticsProof({ directory: options.analyticsDirectory, projections: analytics, scratch }))
  }
  return { ...opening, rawPlace, places, unreadable }
}

/** Notes a record that cannot be read. */
export function noting(topic: Topic, unreadable: Set<string>) {
  return ({ partition, offset }: { readonly partition: number; readonly offset: number }): void =>
    void unreadable.add(`${topic.name}/${partition}/${offset}`)
}
