/** Why a tuple cannot be encoded, without a value of it. */
import { tableName, type Table } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'

/** A text that is not one of its type; what JavaScript says of it would show the value. */
export function refusal(thrown: unknown, table: Table): unknown {
  if (!(thrown instanceof RangeError) && !(thrown instanceof SyntaxError)) return thrown
  return new PipelineError(
    'MALFORMED_WAL',
    `a tuple of ${tableName(table)} holds a value that is not of its column's type`,
    'Start capture again; if it comes again, take the table out of the publication and report it with the server version.',
  )
}

/** A tuple that is not one of its relation. */
export function malformedTuple(table: Table): PipelineError {
  return new PipelineError(
    'MALFORMED_WAL',
    `a tuple of ${tableName(table)} does not have the ${table.columns.length} columns of its relation`,
    'Start capture again; if it comes again, take the table out of the publication and report it with the server version.',
  )
}
