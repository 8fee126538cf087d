/** Rows whose record is without some of their values, because it would be larger than the raw topic takes. */
import { tableName, type RowChange } from '../core/change.ts'
import { PipelineError } from '../core/error.ts'

/**
 * RECORD_TOO_LARGE when the row after is not whole, with the length and the SHA-256 of each value that is left out; null
 * when it is: of a row before nothing is missed.
 */
export function tooLarge({ table, position, omitted = [] }: RowChange): PipelineError | null {
  const missing = omitted.filter(({ image }) => image === 'after')
  if (missing.length === 0) return null
  const what = missing.map(({ column, bytes, sha256 }) => `${column} (${bytes} bytes, SHA-256 ${sha256})`).join(', ')
  return new PipelineError(
    'RECORD_TOO_LARGE',
    `${tableName(table)} at ${position} is larger than a record of the raw topic may be: left out ${what}.`,
    'Make the value smaller in the source: the next change of the row is whole again, and mends its incident by itself.',
  )
}
