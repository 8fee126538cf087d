/** What an examination found wrong, and what mends it. */
export interface Finding {
  /** A short name that stays: `wal-level`, `slot-wal-status`, … */
  readonly check: string
  /** error: the pipeline cannot run or loses its place; warning: it runs, but something waits to go wrong. */
  readonly severity: 'error' | 'warning'
  /** One sentence: what was found, where, what is needed. Never a cell's value. */
  readonly found: string
  /** Can be run as it stands, what is not SQL in it is a comment; for brokers the command. */
  readonly mend: string
}
