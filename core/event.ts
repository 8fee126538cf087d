/**
 * What a source transaction did to one incident, told as the incident reporting service tells it (rule service.events).
 */
import type { Lsn, Position } from './position.ts'

/** What a change can be of. Where there are several, `whatChanged` names the first of this order. */
export const PARTS = [
  'ANYTHING',
  'TYPE',
  'STATUS',
  'QUESTIONS',
  'PRISONERS_INVOLVED',
  'STAFF_INVOLVED',
  'CORRECTION_REQUESTS',
  'DESCRIPTION_ADDENDUMS',
  'BASIC_REPORT',
] as const
export type Part = (typeof PARTS)[number]

export type EventType = 'incident.report.created' | 'incident.report.amended' | 'incident.report.deleted'

/** Thin: it says that there is something to read, never what it is. As in schemas/events/IncidentEvent.avsc. */
export interface IncidentEvent {
  readonly eventType: EventType
  readonly version: 1
  /** When the source committed, as London's clock showed it: `2024-07-01T12:34:56.789000+01:00`. */
  readonly occurredAt: string
  readonly description: string
  readonly additionalInformation: {
    /** The report's id in the unified model; null when the transaction's rows of a DPS report do not tell it. */
    readonly id: string | null
    readonly reportReference: string
    /** The model whose rows changed. */
    readonly source: 'DPS' | 'NOMIS'
    readonly whatChanged: Part
  }
  /** Everything that changed, in the order of precedence. */
  readonly parts: readonly Part[]
  /** Of the transaction's last change of this incident. */
  readonly position: Position
  readonly lsn: Lsn
  /** Microseconds since the Unix epoch. */
  readonly committedAt: number
  readonly txId: number
  /** True on the last event of its transaction in its partition. */
  readonly lastInTransaction: boolean
}
