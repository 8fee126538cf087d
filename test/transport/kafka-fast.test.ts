import { createRequire } from 'node:module'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeProduce, encodeRecordBatch, type RecordBatch } from '../../transport/kafka-fast.ts'
import { decodeRecords } from '../../transport/kafka-fetched.ts'

const require = createRequire(import.meta.url)

type Encode = (given: object) => { encode(): Promise<{ buffer: Buffer }> }

/** kafkajs's own encoder of the same request. */
const kafkajsProduce = require('kafkajs/src/protocol/requests/produce/v7/request.js') as Encode

const NOW = 1_795_421_810_409

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
  fc.integer({ min: 0, max: 20_000 }).map((length) => Buffer.alloc(length, 7)),
)
const message = fc.record({
  key: fc.oneof({ arbitrary: bytes, weight: 5 }, { arbitrary: fc.constant(null), weight: 1 }),
  value: fc.oneof({ arbitrary: bytes, weight: 5 }, { arbitrary: fc.constant(null), weight: 1 }),
  // Of as many digits as every time of these decades: kafkajs takes the smallest and largest as texts.
  timestampMs: fc.oneof(
    fc.integer({ min: NOW, max: NOW + 10_000 }),
    fc.integer({ min: 1_000_000_000_000, max: 4_000_000_000_000 }),
  ),
})
const batch = fc.record({
  messages: fc.array(message, { minLength: 1, maxLength: 300 }),
  producerId: fc.oneof(fc.constant('-1'), fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String)),
  producerEpoch: fc.integer({ min: 0, max: 32_767 }),
  firstSequence: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  transactional: fc.boolean(),
})

describe('record batches and produce requests', () => {
  test('the library is the version whose inner modules are used', () => {
    expect((require('kafkajs/package.json') as { version: string }).version).toBe('2.2.4')
  })

  test('are byte for byte those of the library', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 3 }), async (batches) => {
        const { producerId, producerEpoch, transactional } = batches[0]!
        const transactionalId = transactional ? 'incidents-unify-0' : null
        const partitions = await Promise.all(
          batches.map(async (each, partition) => ({
            partition,
            batch: await encodeRecordBatch({ ...each, producerId, producerEpoch, transactional, compression: 'none' }),
          })),
        )
        const ours = encodeProduce({
          transactionalId,
          timeoutMs: 30_000,
          topics: new Map([['incidents.raw', partitions]]),
        })
        const theirs = kafkajsProduce({
          acks: -1,
          timeout: 30_000,
          compression: 0,
          producerId,
          producerEpoch,
          ...(transactionalId === null ? {} : { transactionalId }),
          topicData: [
            {
              topic: 'incidents.raw',
              partitions: batches.map(({ messages, firstSequence }, partition) => ({
                partition,
                firstSequence,
                messages: messages.map(({ key, value, timestampMs }) => ({
                  key,
                  value,
                  timestamp: String(timestampMs),
                })),
              })),
            },
          ],
        })
        expect(ours.equals((await theirs.encode()).buffer)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test('compressed, hold the records that they hold uncompressed', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async (each) => {
        const [, plain] = await encodeRecordBatch({ ...each, compression: 'none' })
        const [, compressed] = await encodeRecordBatch({ ...each, compression: 'zstd' })
        expect(zstdDecompressSync(compressed).equals(plain)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  test.each(['none', 'zstd'] as const)('read back as what was written, from any offset: %s', async (compression) => {
    await fc.assert(
      fc.asyncProperty(batch, fc.nat({ max: 400 }), async (each, from) => {
        const records = Buffer.concat(await encodeRecordBatch({ ...each, compression }))
        const read = await decodeRecords({ partition: 3, errorCode: 0, aborted: [], records }, from)
        expect(read.next).toBe(Math.max(from, each.messages.length))
        expect(read.records).toEqual(
          each.messages
            .map(({ key, value, timestampMs }, offset) => ({
              partition: 3,
              offset,
              key: key ?? Buffer.alloc(0),
              value,
              timestampMs,
            }))
            .slice(from),
        )
      }),
      { numRuns: 50 },
    )
  })
})

const plain = (text: string, more: Partial<RecordBatch> = {}): Promise<Buffer> =>
  encodeRecordBatch({
    messages: text.split('').map((letter) => ({ key: Buffer.from(letter), value: null, timestampMs: NOW })),
    producerId: '7',
    producerEpoch: 0,
    firstSequence: 0,
    transactional: true,
    compression: 'none',
    ...more,
  }).then((parts) => Buffer.concat(parts))

/** As a broker does it: batches one after the other, with their offsets. */
function log(...batches: readonly Buffer[]): Buffer {
  let next = 0n
  for (const each of batches) {
    each.writeBigInt64BE(next, 0)
    next += BigInt(each.readInt32BE(23) + 1)
  }
  return Buffer.concat(batches)
}

async function marker(producerId: string): Promise<Buffer> {
  const batch = await plain('x', { producerId })
  batch.writeInt16BE(16 | 32, 21)
  const { crc32c } = await import('@node-rs/crc32')
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

const keys = (read: { records: readonly { key: Buffer }[] }): string =>
  read.records.map(({ key }) => String(key)).join('')

describe('a fetched part of a log', () => {
  test('shows nothing of an aborted transaction, and everything around it', async () => {
    const records = log(
      await plain('ab'),
      await marker('7'),
      await plain('cd'), // aborted
      await plain('ef', { producerId: '8' }),
      await marker('7'),
      await plain('gh'),
      await marker('7'),
      await marker('8'),
    )
    const aborted = [{ producerId: 7n, firstOffset: 3 }]
    const read = await decodeRecords({ partition: 0, errorCode: 0, aborted, records }, 0)
    expect(keys(read)).toBe('abefgh')
    expect(read.next).toBe(12)
  })

  test('moves on behind what it does not show', async () => {
    const records = log(await plain('ab'), await marker('7'))
    expect(await decodeRecords({ partition: 0, errorCode: 0, aborted: [], records }, 2)).toEqual({
      records: [],
      next: 3,
    })
  })

  test('may be cut off anywhere: the rest comes with the next fetch', async () => {
    const [first, second] = [await plain('ab'), await plain('cde')]
    const records = log(first, second)
    for (let length = 0; length < records.length; length++) {
      const read = await decodeRecords(
        { partition: 0, errorCode: 0, aborted: [], records: records.subarray(0, length) },
        0,
      )
      expect(read.next).toBe(length < first.length ? 0 : 2)
    }
  })

  test('is refused when a byte is not what was written', async () => {
    const records = log(await plain('ab'))
    records[records.length - 2]! ^= 1
    await expect(decodeRecords({ partition: 0, errorCode: 0, aborted: [], records }, 0)).rejects.toMatchObject({
      code: 'MALFORMED_RECORD',
    })
  })
})
