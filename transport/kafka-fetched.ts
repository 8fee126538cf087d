/** Kafka's fetch responses and record batches, read in one pass. */
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { PipelineError } from '../core/error.ts'
import { protocolReader } from './kafka-protocol-reader.ts'
import type { Received } from './topic.ts'

const decompressZstd = promisify(zstdDecompress)
const decompressGzip = promisify(gunzip)

/** Bytes of a batch before its records. */
const HEADER = 61
const CODEC = { none: 0, gzip: 1, zstd: 4 } as const
const CODEC_MASK = 7
const LOG_APPEND_TIME = 8
const TRANSACTIONAL = 16
const CONTROL = 32

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Buffer
}

interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

/** The partitions of a fetch response of version 11 that asked for one topic. */
export function decodeFetch(payload: Buffer): FetchedPartition[] {
  const read = protocolReader(payload)
  read.skip(10) // throttle time, error of the session, session
  const found: FetchedPartition[] = []
  for (let topics = read.int32(); topics > 0; topics--) {
    read.string()
    for (let partitions = read.int32(); partitions > 0; partitions--) {
      const partition = read.int32()
      const errorCode = read.int16()
      read.skip(24) // high watermark, last stable offset, first offset of the log
      const aborted: AbortedTransaction[] = []
      for (let count = read.int32(); count > 0; count--) {
        aborted.push({ producerId: read.int64(), firstOffset: Number(read.int64()) })
      }
      read.skip(4) // preferred replica
      found.push({ partition, errorCode, aborted, records: read.bytes() })
    }
  }
  return found
}

export interface DecodedRecords {
  readonly records: Received[]
  /** Behind everything that was there, control records and aborted ones included. */
  readonly next: number
}

/**
 * The records from offset `from` on, without those of aborted transactions. MALFORMED_RECORD when a batch's checksum is
 * wrong, or its format or compression is none that this pipeline writes.
 */
export async function decodeRecords(
  { partition, records, aborted }: FetchedPartition,
  from: number,
): Promise<DecodedRecords> {
  const found: Received[] = []
  const pending = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<bigint>()
  let next = from
  let at = 0
  while (at + HEADER <= records.length) {
    const base = Number(records.readBigInt64BE(at))
    const end = at + 12 + records.readInt32BE(at + 8)
    if (end > records.length) break // cut off by the fetch's size: comes again
    const batch = records.subarray(at, end)
    at = end
    const last = base + batch.readInt32BE(23)
    if (last < from) continue
    next = last + 1
    if (batch[16] !== 2) throw malformed(partition, base, `has format ${batch[16]}`)
    if (crc32c(batch.subarray(21)) !== batch.readUInt32BE(17)) throw malformed(partition, base, 'has a wrong checksum')
    const attributes = batch.readInt16BE(21)
    const producerId = batch.readBigInt64BE(43)
    while (pending[0] !== undefined && pending[0].firstOffset <= last) aborting.add(pending.shift()!.producerId)
    if ((attributes & CONTROL) !== 0) {
      aborting.delete(producerId) // the end of its transaction
      continue
    }
    if ((attributes & TRANSACTIONAL) !== 0 && aborting.has(producerId)) continue
    const body = await decompress(batch, attributes & CODEC_MASK, partition, base)
    readRecords(found, body, {
      partition,
      base,
      from,
      count: batch.readInt32BE(57),
      first: Number(batch.readBigInt64BE(27)),
      appended: (attributes & LOG_APPEND_TIME) === 0 ? null : Number(batch.readBigInt64BE(35)),
    })
  }
  return { records: found, next }
}

async function decompress(batch: Buffer, codec: number, partition: number, base: number): Promise<Buffer> {
  const body = batch.subarray(HEADER)
  if (codec === CODEC.none) return body
  if (codec === CODEC.zstd) return decompressZstd(body)
  if (codec === CODEC.gzip) return decompressGzip(body)
  throw malformed(partition, base, `is compressed with codec ${codec}`)
}

interface BatchHead {
  readonly partition: number
  readonly base: number
  readonly from: number
  readonly count: number
  readonly first: number
  readonly appended: number | null
}

const EMPTY = Buffer.alloc(0)

function readRecords(found: Received[], body: Buffer, head: BatchHead): void {
  let at = 0
  const varint = (): number => {
    let value = 0
    let scale = 1
    while (true) {
      const byte = body[at++]!
      value += (byte & 127) * scale
      if (byte < 128) break
      scale *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  const bytes = (): Buffer | null => {
    const length = varint()
    if (length < 0) return null
    at += length
    return body.subarray(at - length, at)
  }
  for (let i = 0; i < head.count; i++) {
    const length = varint()
    const end = at + length
    at += 1 // attributes
    const age = varint()
    const offset = head.base + varint()
    const key = bytes() ?? EMPTY
    const value = bytes()
    at = end // headers
    if (offset < head.from) continue
    found.push({ partition: head.partition, offset, key, value, timestampMs: head.appended ?? head.first + age })
  }
}

function malformed(partition: number, base: number, what: string): PipelineError {
  return new PipelineError(
    'MALFORMED_RECORD',
    `The record batch at offset ${base} of partition ${partition} ${what}.`,
    'Find out who else writes to this topic; only the pipeline may.',
  )
}
