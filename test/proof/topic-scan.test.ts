import { beforeEach, expect, test } from 'vitest'
import { scanTopic } from '../../proof/topic-scan.ts'
import type { Topic } from '../../transport/topic.ts'
import { embeddedTopics } from '../support/embedded-topics.ts'

const held = embeddedTopics(2)

beforeEach(async () => {
  // pages of some twenty records
  const value = Buffer.alloc(50_000)
  await held.raw.write(
    Array.from({ length: 200 }, (_, i) => ({ partition: i % 2, key: Buffer.from(`${i}`), value, timestampMs: 0 })),
  )
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
    topic: held.raw,
    from,
    also,
    take: async (records) => void taken.push(...records.map(({ partition, offset }) => `${partition}/${offset}`)),
  })
  expect(taken).toEqual(['0/0', '0/1', '0/30', '0/95', '0/97', '0/98', '0/99', '1/99'])
  expect(ends).toEqual(new Map([0, 1].map((partition) => [partition, 100])))
})

test('asks for single records far from each other alone, and for near ones together', async () => {
  await held.raw.write(
    Array.from({ length: 400 }, (_, i) => ({ partition: 0, key: Buffer.from(`${i}`), value: null, timestampMs: 0 })),
  )
  const asked: string[] = []
  const taken: number[] = []
  const watched: Topic = {
    ...held.raw,
    page: (partition, from, to) => {
      asked.push(`${partition}/${from}-${to}`)
      return held.raw.page(partition, from, to)
    },
  }
  await scanTopic({
    topic: watched,
    from: new Map([
      [0, 500],
      [1, 100],
    ]),
    also: new Map([[0, [110, 150, 160, 300, 450, 460]]]),
    take: async (records) => void taken.push(...records.map(({ offset }) => offset)),
  })
  expect(taken).toEqual([110, 150, 160, 300, 450, 460])
  expect(asked).toEqual(['0/110-161', '0/300-301', '0/450-461'])
})

test('reads no further page when it has enough', async () => {
  let taken = 0
  const ends = await scanTopic({
    topic: held.raw,
    take: async ({ length }) => void (taken += length),
    enough: () => taken > 0,
  })
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(50)
  expect(ends).toEqual(new Map([0, 1].map((partition) => [partition, 100])))
})
