/** A place as `reconcile` asks it. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Cell } from './canonical.ts'
import type { StoredLines } from './compare-place.ts'
import type { Form, Unit } from './expected.ts'
import type { Scratch } from './scratch.ts'

/** By partition: the offset that a reader must have passed to hold everything before the fence. */
export type Needed = ReadonlyMap<number, number>

/** A row of a place as it is now. */
export interface SeenRow extends Unit {
  readonly cells: readonly Cell[]
  /** What the place itself says of the change that made the row; null when it says nothing. */
  readonly at: RowPosition | null
}

export interface RowPosition {
  /** As the place writes it: a position, or DPR's checkpoint. */
  readonly text: string
  /** Of the row's own WAL record. */
  readonly lsn: number
  /** 0 for rows read outside the stream, or when the place does not keep it. */
  readonly txId: number
}

export interface ProvenPlace {
  readonly name: string
  readonly form: Form
  /** Whether everything before the fence is here. */
  passed(needed: Needed): Promise<boolean>
  /** Key and hash of every row into the scratch. */
  store(scratch: Scratch, progress: (rows: number) => void): Promise<StoredLines>
  /** The rows of these that the place holds. */
  look(units: readonly Unit[]): AsyncIterable<SeenRow>
  /** Rows that changed since, where the place itself can tell. */
  changedSince?(since: Since): Promise<readonly Unit[]>
  close(): Promise<void>
}

/** A position, or microseconds since the Unix epoch. */
export type Since = { readonly position: string } | { readonly micros: number }

/** Units by kind. */
export function byKind(units: readonly Unit[]): Map<number, string[]> {
  const kinds = new Map<number, string[]>()
  for (const { kind, key } of units) {
    const keys = kinds.get(kind)
    if (keys === undefined) kinds.set(kind, [key])
    else keys.push(key)
  }
  return kinds
}

/** Streams a query's rows. */
export async function* streamed(connection: DuckDBConnection, sql: string): AsyncGenerator<readonly unknown[]> {
  const result = await connection.stream(sql)
  while (true) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) return
    yield* chunk.getRows()
  }
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A DuckDB list of texts. */
export function list(texts: readonly string[]): string {
  return `[${texts.map(literal).join(', ')}]`
}
