/** Where the changes of an incident lie beyond the store that the API reads. */
import type { Entity } from '../core/incident.ts'

export interface ChangeKey {
  readonly entity: Entity
  readonly id: string
  readonly position: string
  /** As PostgreSQL prints it. */
  readonly lsn: string
}

/** Where a change lies in files; each is null where it does not, or not yet. */
export interface ChangePlaces {
  readonly dpr: { readonly file: string; readonly row: number } | null
  readonly analytics: {
    readonly file: string
    /** Null in a parquet file. */
    readonly table: string | null
    readonly row: number
    readonly partition: number
    readonly offset: number
  } | null
}
