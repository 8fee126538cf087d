/** What the migrator asks of the incident service: its use cases, in this process or over HTTP. */
import type { NomisReport } from '../../schemas/nomis-payload.ts'

export type RunType = 'INCIDENTS' | 'INCIDENTS_ONLY' | 'INCIDENTS_FOLLOW'

export interface Run {
  readonly migrationId: string
  readonly recordsMigrated: number
  readonly filter: string | null
  readonly status: string
}

export interface Failed {
  readonly nomisIncidentId: number
  readonly code: string
  readonly reason: string
}

export interface RunUpdate {
  readonly recordsMigrated?: number
  readonly estimatedRecordCount?: number
  readonly filter?: string
  readonly status?: 'COMPLETED' | 'CANCELLED'
  readonly failed?: readonly Failed[]
  readonly recovered?: readonly number[]
}

export type Outcome =
  | { readonly done: true }
  /** `code` is the service's error code. */
  | { readonly done: false; readonly code: number | null; readonly reason: string }

export interface Upsert {
  /** Of the report; null to make one. */
  readonly id: string | null
  readonly initialMigration: boolean
  readonly report: NomisReport
  readonly migrationId: string
}

export interface IncidentTarget {
  /** Report ids of those that are mapped. */
  mapped(ids: readonly number[]): Promise<ReadonlyMap<number, string>>
  upsert(upsert: Upsert): Promise<Outcome>
  remove(id: string): Promise<Outcome>
  begin(type: RunType, estimated: number): Promise<Run>
  update(run: Run, update: RunUpdate): Promise<Run>
  failures(): Promise<readonly Failed[]>
  /** Whether every prison and type is past its cut-off. */
  isOver(): Promise<boolean>
}
