import type { Change } from './change.ts'
import type { PipelineError } from './error.ts'

/** The unified entities of both models. Each has a reviewed contract of the same name in schemas/unified. */
export const ENTITIES = [
  'Report',
  'PrisonerInvolvement',
  'StaffInvolvement',
  'Question',
  'Response',
  'StatusChange',
  'TypeChange',
  'CorrectionRequest',
  'DescriptionAddendum',
  'ReferenceCode',
] as const
export type Entity = (typeof ENTITIES)[number]

/** An entity's field as it crosses the pipeline: dates and times are ISO 8601 text to the microsecond. */
export type Field = null | boolean | number | string
export type Fields = Readonly<Record<string, Field>>

/** One row of the unified model that a Change makes or removes. */
export interface EntityRow<E extends Entity = Entity> {
  readonly entity: E
  /** A UUID, the same in every place and for ever. */
  readonly id: string
  /** `delete` carries the last known state. */
  readonly op: 'upsert' | 'delete'
  readonly value: Fields
}

/** Why a Change has no rows although its table belongs to the unified model. */
export type Absence =
  /** a NOMIS row whose reference is a DPS report's: a copy that was written back (rule nomis.copies) */
  | 'copy-of-dps'
  /** a table or a kind of row that is in no unified entity */
  | 'not-unified'

/**
 * What a Change means in the unified model: one for each Change, markers included, so that a reader always knows
 * how far it is. A Change that cannot be mapped has a refusal and no row but deletes of what the row before made: it goes
 * to the dead letters, and, unless the unified model has no place for it anyway (`absence`), its incident counts as
 * incomplete until the same source row is mapped or deleted.
 */
export interface IncidentChange {
  readonly change: Change
  readonly rows: readonly EntityRow[]
  readonly refusal: PipelineError | null
  readonly absence: Absence | null
}

/** The version of the rules that make unified rows: it rises with every change of transforms/ or of the policy. */
export const RULES_VERSION = 1
