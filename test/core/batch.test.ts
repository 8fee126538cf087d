import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batch } from '../../core/batch.ts'
import type { Feed } from '../../core/feed.ts'
import { all, handFed, next, settle } from '../support/feed.ts'

const size = (n: number): number => n

test('what came while the sink wrote is given at once, in order', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 0, bytes: 1000, size })[Symbol.asyncIterator]()
  source.give('one', 1)
  expect((await next(feed)).items).toEqual([1])
  source.give('two', 2, 3)
  source.give('three', 4)
  await settle()
  expect((await next(feed)).items).toEqual([2, 3, 4])
})

test('a group is acknowledged batch by batch, in order, and only when asked', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 20, bytes: 1000, size })[Symbol.asyncIterator]()
  source.give('one', 1)
  source.give('two', 2)
  const group = await next(feed)
  expect(source.acked).toEqual([])
  await group.ack()
  expect(source.acked).toEqual(['one', 'two'])
})

test('the first item waits no longer than the age for company', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 150, bytes: 1000, size })[Symbol.asyncIterator]()
  const begun = performance.now()
  source.give('one', 1)
  const group = next(feed)
  await settle()
  source.give('two', 2)
  expect((await group).items).toEqual([1, 2])
  const waited = performance.now() - begun
  expect(waited).toBeGreaterThan(140)
  expect(waited).toBeLessThan(1000)
})

test('a full group does not wait for its age', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 60_000, bytes: 10, size })[Symbol.asyncIterator]()
  source.give('one', 4)
  source.give('two', 6)
  expect((await next(feed)).items).toEqual([4, 6])
})

test('when the bound is reached the upstream is left alone until the sink takes the group', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 0, bytes: 10, size })[Symbol.asyncIterator]()
  source.give('begin', 1)
  await next(feed)
  for (const name of ['a', 'b', 'c', 'd']) source.give(name, 5)
  await settle()
  expect(source.taken).toEqual(['begin', 'a', 'b'])
  expect((await next(feed)).items).toEqual([5, 5])
  await settle()
  expect(source.taken).toEqual(['begin', 'a', 'b', 'c', 'd'])
})

test('keepalives come through', async () => {
  const source = handFed<number>()
  const feed = batch(source.feed, { ageMs: 0, bytes: 10, size })[Symbol.asyncIterator]()
  source.give('keepalive')
  const group = await next(feed)
  expect(group.items).toEqual([])
  await group.ack()
  expect(source.acked).toEqual(['keepalive'])
})

test('what came before an end or a failure is given first', async () => {
  const ending = handFed<number>()
  ending.give('one', 1)
  ending.end()
  expect(await all(batch(ending.feed, { ageMs: 60_000, bytes: 100, size }))).toEqual([[1]])

  const failing = handFed<number>()
  const feed = batch(failing.feed, { ageMs: 60_000, bytes: 100, size })[Symbol.asyncIterator]()
  failing.give('one', 1)
  failing.fail(new Error('connection'))
  expect((await next(feed)).items).toEqual([1])
  await expect(feed.next()).rejects.toThrow('connection')
})

test('closing it closes the upstream', async () => {
  const source = handFed<number>()
  source.give('one', 1)
  source.give('two', 2)
  for await (const group of batch(source.feed, { ageMs: 0, bytes: 1, size })) {
    expect(group.items).toEqual([1])
    break
  }
  expect(source.closed()).toBe(true)
})

test('whatever the sizes and the pace of the sink, items come once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      async (batches, bytes, pauses) => {
        const acked: number[] = []
        async function* upstream(): Feed<number> {
          for (const [i, items] of batches.entries()) {
            if (pauses[i % pauses.length] === true) await new Promise((resolve) => setImmediate(resolve))
            yield { items, ack: async () => void acked.push(i) }
          }
        }
        const groups: (readonly number[])[] = []
        for await (const group of batch(upstream(), { ageMs: 0, bytes, size })) {
          groups.push(group.items)
          if (pauses[groups.length % pauses.length] === true) await new Promise((resolve) => setImmediate(resolve))
          await group.ack()
        }
        expect(groups.flat()).toEqual(batches.flat())
        expect(acked).toEqual(batches.map((_, i) => i))
      },
    ),
    { numRuns: 100 },
  )
})

test('what waits when the upstream goes back is left out and not acknowledged', async () => {
  const source = handFed<number>()
  let epoch = 1
  const feed = batch(source.feed, { ageMs: 0, bytes: 1000, size, epoch: () => epoch })[Symbol.asyncIterator]()
  source.give('one', 1)
  expect((await next(feed)).items).toEqual([1])
  source.give('two', 2)
  await settle()
  epoch = 2
  source.give('two again', 2, 3)
  await settle()
  const group = await next(feed)
  expect(group.items).toEqual([2, 3])
  await group.ack()
  expect(source.acked).toEqual(['two again'])
})
