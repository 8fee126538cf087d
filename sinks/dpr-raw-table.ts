/** One folder of the raw zone. */
import type { DprColumn } from './dpr-raw-columns.ts'

export interface DprTable {
  /** The DPR source: the folder above, the contract's `service`. */
  readonly source: string
  readonly table: string
  readonly doc: string
  readonly columns: readonly DprColumn[]
}

/** `source/table`: how a folder is called in the state and in the journals. */
export function folderName({ source, table }: Pick<DprTable, 'source' | 'table'>): string {
  return `${source}/${table}`
}

const shapes = new WeakMap<DprTable, string>()

/** Which columns the table's files have. */
export function shapeOf(table: DprTable): string {
  const known = shapes.get(table)
  if (known !== undefined) return known
  const shape = table.columns.map(({ name, parquet, key }) => `${name} ${parquet} ${key}`).join()
  shapes.set(table, shape)
  return shape
}
