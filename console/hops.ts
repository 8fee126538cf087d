/** The hops of the map: where each stands at a moment, and the slot that the source keeps for them. */

/** The hops of the map, in the order that data passes them. */
export const HOPS = [
  'source',
  'capture',
  'raw',
  'unify',
  'governed',
  'dpr-raw',
  'operational',
  'analytics',
  'api',
] as const
export type Hop = (typeof HOPS)[number]

/**
 * running: it moves, or has nothing to do; reading: the first snapshot is not whole; stalled: there is something to do and
 * it does not move; down: it does not answer; unknown: nobody could be asked.
 */
export type HopState = 'running' | 'reading' | 'stalled' | 'down' | 'unknown'

export interface HopSample {
  readonly state: HopState
  /** Why, in one sentence; null when it runs. */
  readonly says: string | null
  /** Rows a second since the sample before: answers of the API, records of topics where no rows are counted. */
  readonly rowsPerSecond: number | null
  /** Records of the raw topic that it has not taken yet, markers among them. */
  readonly lagRows: number | null
  /** How old the state of the source is that it has taken whole. */
  readonly lagSeconds: number | null
  /** The source's LSN, as PostgreSQL prints it, up to which it is whole. */
  readonly lsn: string | null
}

export interface SlotSample {
  readonly name: string
  readonly active: boolean
  /** PostgreSQL's own word: reserved, extended, unreserved or lost. */
  readonly walStatus: string
  readonly heldBytes: number
  /** WAL that may still be written before the slot is lost; null when there is no limit. */
  readonly leftBytes: number | null
  /** At the rate of the last minute; null when nothing limits it or nothing is written. */
  readonly secondsToLoss: number | null
}

/** How everything stood at one moment. */
export interface Sample {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly hops: Readonly<Record<Hop, HopSample>>
  /** Null when the source does not answer, or has no such slot. */
  readonly slot: SlotSample | null
  /** How old the state of the source is that the API answers with. */
  readonly behindSeconds: number | null
  readonly deadLetters: number | null
}

export interface PipelineNow {
  /** Oldest first, at most fifteen minutes of them; none before the first is taken. */
  readonly samples: readonly Sample[]
  /** When a hop came into the state that it is in. */
  since(hop: Hop): number | null
}
