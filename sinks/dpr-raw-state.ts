/** What the manifest says of the sink: how far it is, and what each folder of the raw zone holds. */
import { BEGINNING, type Position } from '../core/position.ts'

export interface PartitionState {
  readonly next: number
  readonly height: Position
  /** The highest position known to be behind the reader: the height, or that of a marker. */
  readonly passed: Position
  /** The first snapshot's rows are all behind: rows read outside the stream are repairs from here on. */
  readonly loaded: boolean
  /** After the load: the last marker said that the source is read again whole, since a gap was accepted. */
  readonly rereading?: boolean
  /** The tables whose changes were not followed, as the last marker said. */
  readonly stopped?: readonly string[]
}

/** Counted as DMS counts them. */
export interface TableCounts {
  readonly fullLoadRows: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
}

export interface TableState extends TableCounts {
  /** How many load files there are. */
  readonly loads: number
  /** The time in the newest `checkpoint_col`: hundredths of a second. */
  readonly clock: number
  /** The highest position that was published. */
  readonly newest: Position
}

export interface SinkState {
  /** The time in the newest change file's name: milliseconds. */
  readonly stamp: number
  /** The newest position among the journals that are gone. */
  readonly horizon: Position
  readonly partitions: Readonly<Record<string, PartitionState>>
  /** By `source/table`. */
  readonly tables: Readonly<Record<string, TableState>>
}

export interface StagedFile {
  /** In the staging folder. */
  readonly name: string
  /** Below the zone's root. */
  readonly path: string
  readonly rows: number
}

export interface Entry {
  readonly version: 1
  readonly writtenAt: string
  /** Which writer wrote it; a random text. */
  readonly writer: string
  readonly files: readonly StagedFile[]
  /** By partition: the first offset and the one after the last. */
  readonly offsets: Readonly<Record<string, readonly [number, number]>>
  readonly state: SinkState
}

export const NOTHING_WRITTEN: SinkState = { stamp: 0, horizon: BEGINNING, partitions: {}, tables: {} }

export const NEW_TABLE: TableState = {
  fullLoadRows: 0,
  inserts: 0,
  updates: 0,
  deletes: 0,
  loads: 0,
  clock: 0,
  newest: BEGINNING,
}
