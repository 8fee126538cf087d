/** Confluent's framing of a record: a zero byte, the schema's id, the body. */
import { malformed } from './avro-bytes.ts'

/** Bytes before the body. */
export const HEADER_BYTES = 5

/** Writes the header; returns the position of the body. */
export function putHeader(out: Buffer, at: number, id: number): number {
  out[at] = 0
  return out.writeUInt32BE(id, at + 1)
}

/** The id of the schema that a record names. MALFORMED_RECORD when it is not framed. */
export function schemaId(record: Buffer): number {
  if (record.length < HEADER_BYTES || record[0] !== 0) throw malformed(record.length)
  return record.readUInt32BE(1)
}
