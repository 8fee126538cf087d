import { expect, test } from 'vitest'
import type { Feed } from '../../../core/feed.ts'
import { openAcks } from '../../../connectors/postgres/acks.ts'

test('what is acknowledged once the feed has failed has no effect; what has begun is waited for', async () => {
  const noted: string[] = []
  const open = Promise.withResolvers<void>()
  const acks = openAcks()
  async function* failing(): Feed<string> {
    try {
      yield { items: ['a'], ack: async () => void noted.push('a') }
      yield { items: ['b'], ack: () => open.promise.then(() => void noted.push('b')) }
      yield { items: ['c'], ack: async () => void noted.push('c') }
      throw new Error('cut')
    } finally {
      await acks.end()
      noted.push('closed')
    }
  }
  const read = acks.of(failing())[Symbol.asyncIterator]()
  const taken = [await read.next(), await read.next(), await read.next()].map(({ value }) => value)
  await taken[0].ack()
  const second = taken[1].ack()
  const failed = read.next().catch((error: unknown) => error)
  open.resolve()
  await second
  expect(await failed).toEqual(new Error('cut'))
  await taken[2].ack()
  expect(noted).toEqual(['a', 'b', 'closed'])
})
