import type { Entity, EntityRow } from '../core/incident.ts'
import type { Entities } from '../schemas/types.ts'
import type { Cells } from './cells.ts'

/** How the rows of one source table become rows of the unified model. */
export interface Rule {
  /** `schema.table` */
  readonly table: string
  /** The primary key's columns in key order: what the ids of the unified rows are made of. */
  readonly key: readonly string[]
  /** The column that decides which rows are made beside the key; null where every row makes the same ones. */
  readonly shapedBy: string | null
  /** The unified rows of one source row, as upserts. */
  map(source: Cells): EntityRow[]
}

/** A row of the unified model whose value has exactly its contract's fields. */
export function upsert<E extends Entity>(entity: E, value: Entities[E]): EntityRow<E> {
  return { entity, id: value.id, op: 'upsert', value }
}
