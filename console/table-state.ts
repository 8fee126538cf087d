/** Each table: how it is read outside the stream, what streams, and what stopped it. */

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
