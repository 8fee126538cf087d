/**
 * One error class and its closed list of codes. A message is one sentence for a person: what was found, where, what is
 * needed; `remedy` says how to mend it. Neither ever carries a cell's value.
 */

/** Exit codes of every command. */
export const EXIT = {
  done: 0,
  difference: 1,
  usage: 2,
  configuration: 3,
  source: 4,
  target: 5,
  contract: 6,
  doubt: 8,
  unexpected: 70,
  interrupted: 130,
} as const

/** Every code, the exit code of a process that ends with it, and whether trying again unchanged can help. */
export const CODES = {
  /** An environment variable or an option is malformed or missing. */
  CONFIG: { exit: EXIT.configuration, retriable: false },
  /** The state directory is held by another process. */
  STATE_LOCKED: { exit: EXIT.configuration, retriable: true },
  /** A state or topic file was written by a newer version. */
  STATE_VERSION: { exit: EXIT.configuration, retriable: false },
  /** The database does not have the tables that the pipeline reads. */
  SOURCE_SCHEMA: { exit: EXIT.configuration, retriable: false },

  /** The source database cannot be reached, or broke the connection. */
  SOURCE_UNREACHABLE: { exit: EXIT.source, retriable: true },
  /** The server is older than PostgreSQL 15. */
  SOURCE_VERSION: { exit: EXIT.source, retriable: false },
  /** `wal_level` is not `logical`. */
  WAL_LEVEL: { exit: EXIT.source, retriable: false },
  /** The role lacks REPLICATION, SELECT or ownership. */
  GRANT_MISSING: { exit: EXIT.source, retriable: false },
  /** A captured table's replica identity is not FULL. */
  REPLICA_IDENTITY: { exit: EXIT.source, retriable: false },
  /** The publication is missing and the role may not create it, or it does not publish every operation. */
  PUBLICATION: { exit: EXIT.source, retriable: false },
  /** Another process reads the slot, or took it over: whoever came later goes on, and is not fought. */
  SLOT_IN_USE: { exit: EXIT.source, retriable: false },
  /** No slot or WAL sender is free. */
  SLOT_LIMIT: { exit: EXIT.source, retriable: true },
  /** The server removed WAL that the slot still needed. */
  SLOT_LOST: { exit: EXIT.doubt, retriable: false },

  /** NOMIS's API cannot be reached, or gives no whole answer. */
  NOMIS_UNREACHABLE: { exit: EXIT.source, retriable: true },
  /** NOMIS's API gives an incident that is not of the form. */
  NOMIS_PAYLOAD: { exit: EXIT.source, retriable: false },
  /** The incident service cannot be reached, or refuses its caller. */
  TARGET_UNREACHABLE: { exit: EXIT.target, retriable: true },

  /** The replication stream is not what its grammar allows. */
  MALFORMED_WAL: { exit: EXIT.doubt, retriable: false },
  /** Slot, topic and source do not belong together: recreated, restored or promoted. */
  IDENTITY: { exit: EXIT.doubt, retriable: false },
  /** A TRUNCATE, or a change of a table that cannot be followed. */
  TABLE_STOPPED: { exit: EXIT.doubt, retriable: false },

  /** A broker cannot be reached, or refuses. */
  BROKER: { exit: EXIT.target, retriable: true },
  /** The topic has other partitions or settings than it was created with. */
  TOPIC: { exit: EXIT.target, retriable: false },
  /** The embedded topic has reached its size bound. */
  TOPIC_FULL: { exit: EXIT.target, retriable: true },
  /** The schema registry cannot be reached, or refuses. */
  REGISTRY: { exit: EXIT.target, retriable: true },
  /** A sink's database, file or directory cannot be written. */
  SINK: { exit: EXIT.target, retriable: true },
  /** A sink holds what this pipeline did not write, or an older layout. */
  SINK_FOREIGN: { exit: EXIT.target, retriable: false },
  /** No space is left on a device. */
  DISK_FULL: { exit: EXIT.target, retriable: true },

  /** A schema is not compatible with its predecessors. */
  CONTRACT: { exit: EXIT.contract, retriable: false },
  /** A record's bytes do not match the schema that they name. */
  MALFORMED_RECORD: { exit: EXIT.contract, retriable: false },

  /** A code has no counterpart in the unified model (rule codes.unknown): the row goes to the dead letters. */
  UNKNOWN_CODE: { exit: EXIT.unexpected, retriable: false },
  /** A child whose incident is not known. */
  NO_INCIDENT: { exit: EXIT.unexpected, retriable: false },
  /** A value outside what the unified model can hold. */
  VALUE_RANGE: { exit: EXIT.unexpected, retriable: false },
  /** A record is larger than its topic takes. */
  RECORD_TOO_LARGE: { exit: EXIT.unexpected, retriable: false },
} as const satisfies Record<string, { exit: number; retriable: boolean }>

export type Code = keyof typeof CODES

export class PipelineError extends Error {
  override readonly name = 'PipelineError'
  readonly code: Code
  readonly remedy: string

  constructor(code: Code, message: string, remedy: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.remedy = remedy
  }
}

/** The exit code of a process that ends with this error. */
export function exitCode(error: unknown): number {
  return error instanceof PipelineError ? CODES[error.code].exit : EXIT.unexpected
}
