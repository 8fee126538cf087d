/** How a record tells which values it goes without. */
import type { OmittedValue } from '../core/change.ts'
import { putAscii, putLong, putText } from './avro-bytes.ts'

/** What one omitted value takes at most: names have 63 bytes. */
export const OMITTED_BYTES = 400

/** Writes them as an Avro array; returns where it ends. */
export function putOmitted(out: Buffer, at: number, omitted: readonly OmittedValue[]): number {
  if (omitted.length > 0) {
    at = putLong(out, at, omitted.length)
    for (const each of omitted) {
      at = putAscii(out, at, each.image)
      at = putText(out, at, each.column)
      at = putLong(out, at, each.bytes)
      at = putAscii(out, at, each.sha256)
    }
  }
  out[at] = 0
  return at + 1
}
