/**
 * Changes into domain events: one for each incident that a source transaction touched. Rows read outside the stream make
 * none, nor do copies of DPS reports in NOMIS, nor a report that a transaction both inserts and deletes.
 */
import { image, isStreamed, type Change, type RowChange } from '../core/change.ts'
import type { EventType, IncidentEvent } from '../core/event.ts'
import { sameTransaction, type Lsn, type Position } from '../core/position.ts'
import { nomisReportId } from './child.ts'
import { NO_PARTS, partsIn, partsOf, rootOf, setOf, type PartSet, type Root } from './event-parts.ts'
import { londonOffsetTime } from './london.ts'
import { isCopyOfDps } from './nomis.ts'

/** The events of one partition, whose changes come in order, each once. */
export interface EventFold {
  /** The events of the transactions that this change ends: by being their last, by being a later one's, or as a marker. */
  add(change: Change): readonly IncidentEvent[]
  /** The offset of the first record of the transaction that has not ended; null when every one has. */
  openSince(): number | null
}

/** What a transaction has done to one report so far: small, since one transaction may touch every report there is. */
interface Touched {
  readonly source: 'DPS' | 'NOMIS'
  readonly reference: string
  id: string | null
  parts: PartSet
  /** Whether the report existed before the transaction, and does now; null while its own row has not changed. */
  existed: boolean | null
  exists: boolean | null
  /** Type and status of its own row that was deleted. */
  gone: { readonly type: unknown; readonly status: unknown } | null
  position: Position
  lsn: Lsn
}

interface Open {
  readonly first: RowChange
  /** By source and reference. */
  readonly touched: Map<string, Touched>
}

const NONE: readonly IncidentEvent[] = []

export function eventFold(): EventFold {
  let open: Open | null = null

  function end(): readonly IncidentEvent[] {
    const ended = open
    open = null
    return ended === null ? NONE : eventsOf(ended)
  }

  return {
    add: (change) => {
      if (change.op === 'm') return end()
      if (!isStreamed(change)) return NONE
      const before = open !== null && !sameTransaction(open.first.position, change.position) ? end() : NONE
      open ??= { first: change, touched: new Map() }
      note(open.touched, change)
      if (!change.lastInTransaction) return before
      return before.length === 0 ? end() : [...before, ...end()]
    },
    openSince: () => open?.first.offset ?? null,
  }
}

function note(touched: Map<string, Touched>, change: RowChange): void {
  const { reference } = change
  if (reference === null || isCopyOfDps(change)) return
  const root = rootOf(change)
  const parts = partsOf(change)
  if (parts === NO_PARTS && (root === null || change.op === 'u')) return
  const source = change.table.schema === 'nomis' ? 'NOMIS' : 'DPS'
  const key = `${source}/${reference}`
  let report = touched.get(key)
  if (report === undefined) {
    report = untouched(source, reference, change)
    touched.set(key, report)
  }
  report.parts |= parts
  report.position = change.position
  report.lsn = change.lsn
  if (source === 'DPS')
    report.id = (root === null ? null : textOf(change, 'id')) ?? report.id ?? textOf(change, 'report_id')
  if (root !== null) noteRoot(report, root, change)
}

function untouched(source: 'DPS' | 'NOMIS', reference: string, { position, lsn }: RowChange): Touched {
  const id = source === 'NOMIS' ? nomisReportId(reference) : null
  return { source, reference, id, parts: NO_PARTS, existed: null, exists: null, gone: null, position, lsn }
}

/** A row that is deleted and inserted again has moved: its key changed. */
function noteRoot(report: Touched, { typeColumn, statusColumn }: Root, { before, after }: RowChange): void {
  report.existed ??= before !== null
  report.exists = after !== null
  if (before !== null && after === null) report.gone = { type: before[typeColumn], status: before[statusColumn] }
  if (before !== null || after === null || report.gone === null) return
  report.parts |= setOf('BASIC_REPORT')
  if (report.gone.type !== after[typeColumn]) report.parts |= setOf('TYPE')
  if (report.gone.status !== after[statusColumn]) report.parts |= setOf('STATUS')
  report.gone = null
}

function textOf(change: RowChange, column: string): string | null {
  const value = image(change)[column]
  return typeof value === 'string' ? value : null
}

/** In the order of their positions. */
function eventsOf({ first, touched }: Open): readonly IncidentEvent[] {
  const { committedAt, txId } = first
  const occurredAt = londonOffsetTime(committedAt)
  const happened = [...touched.values()].filter((report) => report.existed !== false || report.exists !== false)
  return happened
    .toSorted((a, b) => (a.position < b.position ? -1 : 1))
    .map((report, i): IncidentEvent => {
      const { id, reference, source, position, lsn } = report
      const eventType = typeOf(report)
      const whole = eventType === 'incident.report.amended' ? NO_PARTS : setOf('ANYTHING')
      const parts = partsIn(report.parts | whole)
      return {
        eventType,
        version: 1,
        occurredAt,
        description: `${id ?? reference} An incident report has been ${VERBS[eventType]}`,
        additionalInformation: { id, reportReference: reference, source, whatChanged: parts[0] },
        parts,
        position,
        lsn,
        committedAt,
        txId,
        lastInTransaction: i === happened.length - 1,
      }
    })
}

const VERBS: Readonly<Record<EventType, string>> = {
  'incident.report.created': 'created',
  'incident.report.amended': 'amended',
  'incident.report.deleted': 'deleted',
}

function typeOf({ existed, exists }: Touched): EventType {
  if (existed === exists) return 'incident.report.amended'
  return exists === true ? 'incident.report.created' : 'incident.report.deleted'
}
