/**
 * Changes as capture makes them into records of the raw topic: from pgoutput's tuples straight to Avro bytes, with no
 * object for a row or a column. Bytes depend on the replication frames alone, schema ids aside.
 */
import { createHash } from 'node:crypto'
import { image, imageBytes, type Change, type RowChange, type Table, type Tuple } from '../core/change.ts'
import type { Message } from '../core/message.ts'
import { putAscii, putLong, putText } from './avro-bytes.ts'
import { putHeader } from './framing.ts'
import { fitted, mayNotFit } from './raw-fit.ts'
import { OMITTED_BYTES, putOmitted } from './raw-omitted.ts'
import { malformedTuple, refusal } from './raw-refusal.ts'
import { markerEncoder, putCommon } from './raw-marker-encoder.ts'
import { tableEncoders, type TableEncoder } from './raw-table-encoder.ts'
import type { Registry } from './registry.ts'

export interface RawEncoder {
  /**
   * One record a change, in order. CONTRACT or REGISTRY when a table's schema cannot be registered, MALFORMED_WAL when a
   * tuple is not one of its table.
   */
  encode(changes: readonly Change<Tuple>[]): Promise<Message[]>
  /** Registers the schemas of a table as it is now. CONTRACT when the topic cannot take it; REGISTRY. */
  accept(table: Table): Promise<void>
}

export interface RawEncoderOptions {
  readonly registry: Registry
  readonly topic: string
  readonly namespace: string
  /** The source database's name, as Debezium's envelope has it. */
  readonly database: string
  /** How large a record may be, key included; what is larger goes without its largest values. Absent: as large as it is. */
  readonly maxBytes?: number
}

/** A value that its column's Avro type cannot hold: the column takes text from here on. */
interface Widening {
  readonly column: string
}

const SLAB = 1 << 20

export function rawEncoder(options: RawEncoderOptions): RawEncoder {
  const { registry, topic, namespace, database, maxBytes = Number.POSITIVE_INFINITY } = options
  const tables = tableEncoders({ registry, topic, namespace, database })
  const encodeMarker = markerEncoder({ registry, topic, namespace })
  let slab = Buffer.allocUnsafeSlow(SLAB)
  let at = 0
  let starts = new Int32Array(64)
  let ends = new Int32Array(64)

  function reserve(bytes: number): void {
    if (slab.length - at >= bytes) return
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB, bytes))
    at = 0
  }

  /** Notes where each column's text lies; -1 for a null. */
  function locate(table: Table, tuple: Tuple): void {
    const { bytes, start, end } = tuple
    const count = bytes.readUInt16BE(start)
    if (count !== table.columns.length) throw malformedTuple(table)
    if (count > starts.length) {
      starts = new Int32Array(count)
      ends = new Int32Array(count)
    }
    let p = start + 2
    for (let i = 0; i < count; i++) {
      const kind = bytes[p++]
      if (kind === 0x6e) {
        starts[i] = -1
        continue
      }
      if (kind !== 0x74 || p + 4 > end) throw malformedTuple(table)
      const length = bytes.readUInt32BE(p)
      p += 4
      starts[i] = p
      p += length
      if (p > end) throw malformedTuple(table)
      ends[i] = p
    }
  }

  function putRow(encoder: TableEncoder, tuple: Tuple, q: number): number {
    const { writers, table, widened: wide } = encoder
    for (let i = 0; i < writers.length; i++) {
      const start = starts[i]!
      if (start === -1) {
        slab[q++] = 0
        continue
      }
      slab[q] = 2
      const next = writers[i]!(slab, q + 1, tuple.bytes, start, ends[i]!)
      if (next !== -1) {
        q = next
        continue
      }
      const { name } = table.columns[i]!
      if (!wide.has(name)) throw { column: name } satisfies Widening
      slab[q] = 4
      q = putLong(slab, q + 1, ends[i]! - start)
      q += tuple.bytes.copy(slab, q, start, ends[i])
    }
    return q
  }

  function putImage(encoder: TableEncoder, tuple: Tuple | null, q: number): number {
    if (tuple === null) {
      slab[q] = 0
      return q + 1
    }
    slab[q] = 2
    locate(encoder.table, tuple)
    return putRow(encoder, tuple, q + 1)
  }

  /** `whole` is the row that the key is read from. */
  function encodeRow(encoder: TableEncoder, change: RowChange<Tuple>, whole: Tuple): Message {
    const { table } = encoder
    const { before, after, omitted } = change
    const main = image(change)
    const names = encoder.sourceHead.length + encoder.sourceTail.length + 3 * (change.reference?.length ?? 0)
    reserve(
      2 * imageBytes(change) +
        40 * table.columns.length +
        1024 +
        3 * (main.end - main.start) +
        names +
        (omitted === undefined ? 0 : OMITTED_BYTES * omitted.length),
    )
    const timestampMs = Math.floor(change.committedAt / 1000)
    const start = at
    let q = putHeader(slab, at, encoder.envelopeId)
    q = putImage(encoder, before, q)
    q = putImage(encoder, after, q)
    q += encoder.sourceHead.copy(slab, q)
    q = putLong(slab, q, timestampMs)
    if (change.op === 'r') {
      slab[q] = 2
      q = putAscii(slab, q + 1, 'true')
    } else slab[q++] = 0
    q += encoder.sourceTail.copy(slab, q)
    slab[q] = 2
    q = putLong(slab, q + 1, change.txId)
    slab[q] = 2
    q = putLong(slab, q + 1, change.lsn)
    q = putAscii(slab, q, change.op)
    slab[q] = 2
    q = putLong(slab, q + 1, timestampMs)
    q = putCommon(slab, q, change)
    if (change.reference === null) slab[q++] = 0
    else {
      slab[q] = 2
      q = putText(slab, q + 1, change.reference)
    }
    if (encoder.omits) q = putOmitted(slab, q, omitted ?? [])
    const value = slab.subarray(start, q)
    at = q
    return { partition: change.partition, key: encodeKey(encoder, whole), value, timestampMs }
  }

  /** The key's columns are where they were located last; where there are none, the tuple is the key. */
  function encodeKey(encoder: TableEncoder, tuple: Tuple): Buffer {
    const { keyColumns, keyWriters } = encoder
    const start = at
    let q = putHeader(slab, at, encoder.keyId)
    if (keyColumns.length === 0) {
      const hash = createHash('sha256').update(tuple.bytes.subarray(tuple.start, tuple.end)).digest()
      q = putLong(slab, q, hash.length)
      q += hash.copy(slab, q)
    } else {
      for (let k = 0; k < keyColumns.length; k++) {
        const i = keyColumns[k]!
        if (starts[i] === -1) throw malformedTuple(encoder.table)
        q = keyWriters[k]!(slab, q, tuple.bytes, starts[i]!, ends[i]!)
      }
    }
    at = q
    return slab.subarray(start, q)
  }

  /** The change as it can be written: `whole` is its row before anything was left out. */
  async function encodeChange(change: RowChange<Tuple>, whole: Tuple): Promise<Message> {
    const { table } = change
    const isWhole = change.omitted === undefined
    const encoder = isWhole ? (tables.find(table) ?? (await tables.open(table))) : await tables.openOmitting(table)
    const begun = at
    try {
      return encodeRow(encoder, change, whole)
    } catch (thrown) {
      if (!isWidening(thrown)) throw refusal(thrown, table)
      at = begun
      tables.widen(table, thrown.column)
      return encodeChange(change, whole)
    }
  }

  return {
    accept: async (table) => void (await tables.open(table)),
    encode: async (changes) => {
      const messages: Message[] = []
      for (const change of changes) {
        if (change.op === 'm') {
          messages.push(await encodeMarker(change))
          continue
        }
        const whole = image(change)
        if (mayNotFit(change, maxBytes)) {
          messages.push(await encodeChange(fitted(change, maxBytes) ?? change, whole))
          continue
        }
        const encoder = tables.find(change.table)
        const begun = at
        try {
          messages.push(encoder === undefined ? await encodeChange(change, whole) : encodeRow(encoder, change, whole))
        } catch (thrown) {
          if (!isWidening(thrown)) throw refusal(thrown, change.table)
          at = begun
          messages.push(await encodeChange(change, whole))
        }
      }
      return messages
    },
  }
}

function isWidening(thrown: unknown): thrown is Widening {
  return typeof thrown === 'object' && thrown !== null && 'column' in thrown && !(thrown instanceof Error)
}
