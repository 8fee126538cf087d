import { afterEach, beforeEach, expect, test } from 'vitest'
import { scanTopic } from '../../proof/topic-scan.ts'
import { embeddedTransport, type EmbeddedTransport } from '../../transport/embedded.ts'
import type { Topic } from '../../transport/topic.ts'
import { topics } from '../../transport/topics.ts'
import { temporaryDirectory } from '../support/capture.ts'

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let transport: EmbeddedTransport
let topic: Topic

beforeEach(async () => {
  directory = await temporaryDirectory()
  transport = await embeddedTransport({ directory: directory.path, partitions: 2, maxBytes: 1 << 30 })
  topic = await transport.topic(topics('t').raw)
  // pages of some twenty records
  const value = Buffer.alloc(50_000)
  await topic.write(
    Array.from({ length: 200 }, (_, i) => ({ partition: i % 2, key: Buffer.from(`${i}`), value, timestampMs: 0 })),
  )
})

afterEach(async () => {
  await transport.close()
  await directory.remove()
})

test('takes single records before the offset from which it takes all, each once and in order', async () => {
  const taken: string[] = []
  const also = new Map([
    [0, [0, 1, 30, 95]],
    [1, [99]],
  ])
  const from = new Map([
    [0, 97],
    [1, 100],
  ])
  const ends = await scanTopic({
    topic,
    from,
    also,
    take: async (records) => void taken.push(...records.map(({ partition, offset }) => `${partition}/${offset}`)),
  })
  expect(taken).toEqual(['0/0', '0/1', '0/30', '0/95', '0/97', '0/98', '0/99', '1/99'])
  expect(ends).toEqual(new Map([0, 1].map((partition) => [partition, 100])))
})
