import { expect, test } from 'vitest'
import { concat, drain, map, mapBatches, pieces } from '../../core/feed.ts'
import { all, handFed, settle } from '../support/feed.ts'

test('drain writes each batch, and acknowledges it once it is durable', async () => {
  const source = handFed<number>()
  source.give('one', 1, 2)
  source.give('two', 3)
  source.end()
  const steps: string[] = []
  await drain(source.feed, {
    write: async (items) => {
      await settle()
      steps.push(`wrote ${items.join()} when ${source.acked.join()} was acknowledged`)
    },
  })
  expect(steps).toEqual(['wrote 1,2 when  was acknowledged', 'wrote 3 when one was acknowledged'])
  expect(source.acked).toEqual(['one', 'two'])
})

test('drain acknowledges nothing of a batch that could not be written, and closes the feed', async () => {
  const source = handFed<number>()
  source.give('one', 1)
  source.give('two', 2)
  const write = (items: readonly number[]): Promise<void> =>
    items.includes(2) ? Promise.reject(new Error('disk')) : Promise.resolve()
  await expect(drain(source.feed, { write })).rejects.toThrow('disk')
  expect(source.acked).toEqual(['one'])
  expect(source.closed()).toBe(true)
})

test('drain acknowledges a keepalive without a write', async () => {
  const source = handFed<number>()
  source.give('keepalive')
  source.end()
  const written: unknown[] = []
  await drain(source.feed, { write: async (items) => void written.push(items) })
  expect(written).toEqual([])
  expect(source.acked).toEqual(['keepalive'])
})

test('map makes none, one or several items of each, and passes acknowledgement through', async () => {
  const source = handFed<number>()
  source.give('one', 0, 1, 2)
  source.give('none', 0)
  source.end()
  expect(await all(map(source.feed, (n) => Array<number>(n).fill(n)))).toEqual([[1, 2, 2], []])
  expect(source.acked).toEqual(['one', 'none'])
})

test('mapBatches converts a batch at a time, in order, and leaves keepalives alone', async () => {
  const source = handFed<number>()
  source.give('one', 3, 1)
  source.give('keepalive')
  source.give('two', 2)
  source.end()
  const converted: number[][] = []
  const sums = mapBatches(source.feed, async (items) => {
    converted.push([...items])
    await settle()
    return [items.reduce((a, b) => a + b)]
  })
  expect(await all(sums)).toEqual([[4], [], [2]])
  expect(converted).toEqual([[3, 1], [2]])
  expect(source.acked).toEqual(['one', 'keepalive', 'two'])
})

test('concat gives one feed after the other', async () => {
  const snapshot = handFed<number>()
  const stream = handFed<number>()
  stream.give('stream', 3)
  stream.end()
  snapshot.give('first', 1)
  snapshot.give('second', 2)
  snapshot.end()
  expect(await all(concat(snapshot.feed, stream.feed))).toEqual([[1], [2], [3]])
})

test('pieces hands a batch on in pieces, and joins what came of them to one batch, acknowledged once', async () => {
  const source = handFed<number>()
  source.give('five', 1, 2, 3, 4, 5)
  source.give('none')
  source.give('two', 6, 7)
  source.end()
  const cut = pieces(source.feed, 2)
  const seen: number[][] = []
  const squared = mapBatches(cut.feed, async (items) => {
    seen.push([...items])
    return items.map((item) => item * item)
  })
  const joined: (readonly number[])[] = []
  for await (const { items, ack } of cut.joined(squared)) {
    joined.push(items)
    await ack()
    expect(source.acked).toHaveLength(joined.length)
  }
  expect(seen).toEqual([[1, 2], [3, 4], [5], [6, 7]])
  expect(joined).toEqual([[1, 4, 9, 16, 25], [], [36, 49]])
  expect(source.acked).toEqual(['five', 'none', 'two'])
})
