/** What the console may ask of the pipeline and have it do: plain functions, whoever fulfils them. */
import type { ChangeKey, ChangePlaces } from './change-places.ts'
import type { SubjectState } from './contract-state.ts'
import type { Failures, LetterOutcome } from './dead-letter.ts'
import type { PipelineNow } from './hops.ts'
import type { ReconciliationNow } from './reconciliation.ts'
import type { TablesNow } from './table-state.ts'

/** Who acts, and why: recorded before anything is done. */
export interface Operator {
  readonly username: string
  readonly reason: string
}

export interface OperatorEvent {
  /** ISO 8601. */
  readonly when: string
  readonly who: string
  /** As REPLAY_DEAD_LETTERS. */
  readonly what: string
  readonly why: string | null
  /** What it was done to. */
  readonly details: string
}

export interface Operations {
  pipeline(): PipelineNow
  /** The newest twenty; rejects where they are kept is away. */
  events(): Promise<readonly OperatorEvent[]>
  tables(): Promise<TablesNow>
  /** Reads tables again while rows flow; a stopped one is healed by it. Resolves when it is asked for. */
  snapshot(tables: readonly string[], by: Operator): Promise<void>
  /** Holds up reading tables outside the stream, or goes on where it was. Resolves when it is asked for. */
  hold(tables: readonly string[], kind: 'pause' | 'resume', by: Operator): Promise<void>
  failures(): Promise<Failures>
  /** What today's rules make of them; nothing is changed. */
  rehearse(ids: readonly string[]): Promise<ReadonlyMap<string, LetterOutcome>>
  /** Has their rows read again from the source; resolves with how many rows are asked for. */
  replay(ids: readonly string[], by: Operator): Promise<number>
  skip(ids: readonly string[], by: Operator): Promise<void>
  reconciliation(): ReconciliationNow
  /** Begins; false when something is running already. */
  reconcile(by: Operator): Promise<boolean>
  /** Reads the rows again that differ there and compares; everything when no place is named. False when busy. */
  repair(where: { readonly place: string; readonly entity: string } | null, by: Operator): Promise<boolean>
  /** The newest result as the signed report that `incidents reconcile --report` writes; null when there is none. */
  report(form: 'json' | 'html'): { readonly name: string; readonly text: string } | null
  contracts(): Promise<readonly SubjectState[]>
  /** By `entity/id/position`: reads DPR's files and analytics. Rejects where they cannot be read. */
  places(changes: readonly ChangeKey[]): Promise<ReadonlyMap<string, ChangePlaces>>
}
