/** What the console may ask of the pipeline and have it do: plain functions, whoever fulfils them. */

import type { ChangeKey, ChangePlaces } from './change-places.ts'

/** The hops of the map, in the order that data passes them. */
export const HOPS = [
  'source',
  'capture',
  'raw',
  'unify',
  'governed',
  'dpr-raw',
  'operational',
  'analytics',
  'api',
] as const
export type Hop = (typeof HOPS)[number]

/**
 * running: it moves, or has nothing to do; reading: the first snapshot is not whole; stalled: there is something to do and
 * it does not move; down: it does not answer; unknown: nobody could be asked.
 */
export type HopState = 'running' | 'reading' | 'stalled' | 'down' | 'unknown'

export interface HopSample {
  readonly state: HopState
  /** Why, in one sentence; null when it runs. */
  readonly says: string | null
  /** Rows a second since the sample before: answers of the API, records of topics where no rows are counted. */
  readonly rowsPerSecond: number | null
  /** Records of the raw topic that it has not taken yet, markers among them. */
  readonly lagRows: number | null
  /** How old the state of the source is that it has taken whole. */
  readonly lagSeconds: number | null
  /** The source's LSN, as PostgreSQL prints it, up to which it is whole. */
  readonly lsn: string | null
}

export interface SlotSample {
  readonly name: string
  readonly active: boolean
  /** PostgreSQL's own word: reserved, extended, unreserved or lost. */
  readonly walStatus: string
  readonly heldBytes: number
  /** WAL that may still be written before the slot is lost; null when there is no limit. */
  readonly leftBytes: number | null
  /** At the rate of the last minute; null when nothing limits it or nothing is written. */
  readonly secondsToLoss: number | null
}

/** A table that is being read outside the stream, or was. */
export interface TableReading {
  readonly table: string
  /** `reading`, `done`, or the code of what kept it from being read. */
  readonly outcome: string
  readonly rows: number
  /** About how many there are. */
  readonly expected: number
  /** Null as long as two samples do not tell. */
  readonly rowsPerSecond: number | null
  readonly secondsLeft: number | null
}

export interface StoppedTable {
  readonly table: string
  readonly found: string
  readonly remedy: string
}

/** How everything stood at one moment. */
export interface Sample {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly hops: Readonly<Record<Hop, HopSample>>
  /** Null when the source does not answer, or has no such slot. */
  readonly slot: SlotSample | null
  /** How old the state of the source is that the API answers with. */
  readonly behindSeconds: number | null
  readonly deadLetters: number | null
}

export interface PipelineNow {
  /** Oldest first, at most fifteen minutes of them; none before the first is taken. */
  readonly samples: readonly Sample[]
  /** When a hop came into the state that it is in. */
  since(hop: Hop): number | null
}

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

export interface TableState {
  readonly name: string
  /** The server's estimate. */
  readonly rows: number
  /** Rows that transactions wrote a second, over the last minute; null as long as nobody knows. */
  readonly rowsPerSecond: number | null
  /** default, nothing, full or index. */
  readonly replicaIdentity: string
  /** Of the newest request; null when capture's state is not on this machine or it has never been read. */
  readonly reading: TableReading | null
  readonly stopped: StoppedTable | null
  /** Whether reading it outside the stream is held up. */
  readonly paused: boolean
}

export interface TablesNow {
  readonly tables: readonly TableState[]
  /** Whether capture's state is on this machine, so that progress can be told. */
  readonly known: boolean
}

export interface Letter {
  readonly id: string
  /** When the source committed: milliseconds since the Unix epoch. */
  readonly at: number
  readonly position: string
  readonly schema: string
  readonly table: string
  readonly key: string | null
  readonly reference: string | null
  readonly code: string
  readonly message: string
  readonly remedy: string
  readonly rulesVersion: number
  readonly skipped: { readonly by: string; readonly reason: string; readonly at: number } | null
}

export interface LetterGroup {
  readonly code: string
  readonly letters: number
  readonly skipped: number
  readonly firstSeen: string
  readonly lastSeen: string
  readonly incidents: readonly string[]
}

export type LetterOutcome =
  | { readonly outcome: 'refused'; readonly code: string }
  | { readonly outcome: 'mapped'; readonly rows: readonly { entity: string; id: string; op: string }[] }
  | { readonly outcome: 'gone' }

export interface Failures {
  readonly groups: readonly LetterGroup[]
  readonly letters: readonly Letter[]
}

export interface Difference {
  readonly key: string
  readonly why: string
  readonly columns: readonly string[]
  readonly source: { readonly table: string; readonly key: string; readonly position: string | null } | null
  readonly place: string | null
}

export interface PlaceResult {
  readonly place: string
  readonly entity: string
  readonly rows: number
  readonly differing: number
  readonly unsettled: number
  readonly keys: readonly Difference[]
}

export interface ReconciliationResult {
  readonly differing: number
  readonly incomplete: number
  readonly unsettled: number
  readonly unreadable: readonly string[]
  readonly lsn: string
  readonly rows: number
  readonly seconds: number
  readonly places: readonly PlaceResult[]
}

export interface ReconciliationNow {
  /** What is being done at the moment. */
  readonly running: { readonly what: string; readonly since: number; readonly says: string } | null
  /** Newest first. */
  readonly results: readonly { readonly at: string; readonly result: ReconciliationResult }[]
  /** Why the last attempt came to nothing. */
  readonly failed: { readonly at: string; readonly says: string } | null
}

export interface ContractVersion {
  readonly version: number
  readonly fields: readonly ContractField[]
}

export interface ContractField {
  readonly name: string
  readonly type: string
  readonly meaning: string
}

export interface SubjectState {
  readonly subject: string
  readonly record: string
  readonly topic: string
  readonly digest: string
  /** As the registry calls it; null when it is not registered. */
  readonly level: string | null
  readonly versions: readonly ContractVersion[]
  /** By output and field: what the policy makes of it. */
  readonly clearances: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly consumers: readonly {
    readonly consumer: string
    readonly from: string
    readonly fields: readonly string[]
  }[]
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
