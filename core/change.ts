/**
 * Glossary.
 *   Change          one committed change of one source row: streamed, snapshotted or repaired, same shape
 *   Position        where it sits in the source's history (position.ts)
 *   IncidentChange  what a Change means in the unified model (incident.ts)
 *   Feed, Sink      where items come from and where they go; `drain` joins the two (feed.ts)
 */
import type { Lsn, Position } from './position.ts'

/**
 * A column's value. Text stands for every type that JavaScript cannot hold exactly (numeric, date and time types,
 * json, arrays …) and is PostgreSQL's own output; `bigint` only where an int8 leaves the safe integers.
 */
export type Value = null | boolean | number | bigint | string | Uint8Array
/** A row by column name, in the table's column order. */
export type Row = Readonly<Record<string, Value>>

/** A row as pgoutput sent it: the column count and the columns lie in `bytes` from `start` to `end`. */
export interface Tuple {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** c insert, u update, d delete, r a row read outside the stream (snapshot or repair). */
export type Op = 'c' | 'u' | 'd' | 'r'

/** What is known of every Change and marker, whatever it carries. */
export interface Origin {
  readonly position: Position
  /** The WAL position of the row's own record; for rows read outside the stream that of their snapshot. */
  readonly lsn: Lsn
  /** When the source committed: microseconds since the Unix epoch. */
  readonly committedAt: number
  /** The source's transaction id; 0 outside the stream. */
  readonly txId: number
  /** The partition of the raw topic: that of the incident. */
  readonly partition: number
  /** Where the record stands in its partition; -1 as long as it is in no topic. */
  readonly offset: number
  /** The newest streamed position in this partition, this record's own included; '' when there is none yet. */
  readonly streamedTo: Position
  /** The last change of its transaction in its partition. */
  readonly lastInTransaction: boolean
  /** How large the record is in its topic: what queues are bounded by. 0 as long as it is in no topic. */
  readonly bytes: number
}

/** Which columns a captured table has; what a Tuple needs to be read. */
export interface Table {
  readonly schema: string
  readonly name: string
  readonly columns: readonly Column[]
  /** The names of the primary key's columns in key order; empty when the table has none. */
  readonly key: readonly string[]
}

export interface Column {
  readonly name: string
  /** PostgreSQL's type OID. */
  readonly oid: number
  /** PostgreSQL's type modifier (length, precision); -1 when there is none. */
  readonly modifier: number
}

/**
 * A value that a record is without, since with it the record would be larger than its topic takes: its column is null in
 * the image. Length and SHA-256 (hexadecimal) are those of PostgreSQL's text of the value in UTF-8.
 */
export interface OmittedValue {
  readonly image: 'before' | 'after'
  readonly column: string
  readonly bytes: number
  readonly sha256: string
}

export interface RowChange<Image = Row> extends Origin {
  readonly op: Op
  readonly table: Table
  /** The incident's reference; null when the table belongs to no incident or the parent is unknown. */
  readonly reference: string | null
  /** The row before: null for c and r. */
  readonly before: Image | null
  /** The row after: null for d. */
  readonly after: Image | null
  /** Absent where the record has all of its values, as nearly every one does. */
  readonly omitted?: readonly OmittedValue[]
}

/**
 * Says that everything the source committed before its position is in the topic, in every partition.
 * It ends open transactions, tells readers how far an idle partition is, and dates the API's answers.
 */
export interface Marker extends Origin {
  readonly op: 'm'
  readonly slot: string
  readonly systemIdentifier: string
  readonly timeline: number
  /** False until every row of the first snapshot lies before this marker. */
  readonly snapshotDone: boolean
  /** `schema.table` of every table whose changes are not followed, in order: what places hold of it may be wrong. */
  readonly stopped: readonly string[]
}

/** A Change as capture makes it holds Tuples; as the raw topic gives it back, Rows. */
export type Change<Image = Row> = RowChange<Image> | Marker

/** The ordinal of what was read outside the stream. */
const OUTSIDE = '/00000000'

/**
 * Whether a change came in the stream, where positions rise within a partition. A row that was read outside of it (op r),
 * or then found to be gone (op d with ordinal 0), stands behind any position, and is guarded by its own alone.
 */
export function isStreamed<Image>(change: Change<Image>): boolean {
  const { op } = change
  return op === 'c' || op === 'u' || (op === 'd' && !change.position.endsWith(OUTSIDE))
}

/** How many bytes of images a change holds as capture makes it. */
export function imageBytes(change: Change<Tuple>): number {
  if (change.op === 'm') return 0
  const { before, after } = change
  return (before === null ? 0 : before.end - before.start) + (after === null ? 0 : after.end - after.start)
}

/** `schema.table` */
export function tableName(table: Pick<Table, 'schema' | 'name'>): string {
  return `${table.schema}.${table.name}`
}

/** The row a key is read from: after, or before for a delete. */
export function image<Image>(change: RowChange<Image>): Image {
  const row = change.after ?? change.before
  if (row === null) throw new TypeError(`a change of ${tableName(change.table)} without an image`)
  return row
}

/** The primary key's values as one text; the table's whole row where it has no primary key. */
export function keyText(table: Table, row: Row): string {
  const names = table.key.length > 0 ? table.key : table.columns.map((column) => column.name)
  return names.map((name) => String(row[name] ?? '')).join('/')
}
