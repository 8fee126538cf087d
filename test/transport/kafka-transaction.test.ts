/**
 * What a successor writes of the last transaction's end. A broker forgets it in a window of milliseconds at its start:
 * so brokers are played here, and what one says is the bytes of Kafka's protocol.
 */
import { expect, test } from 'vitest'
import { transactions } from '../../transport/kafka-transaction.ts'
import type { Client } from '../../transport/kafkajs.ts'

const patience = () => ({ until: performance.now() + 5_000 })

/** The answer to DescribeTransactions, version 0. */
function described(state: string, code = 0): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length + 1]), Buffer.from(value)])
  return Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 2]),
    Buffer.from([code >> 8, code & 255]),
    text('t-g-1'),
    text(state),
    Buffer.alloc(4 + 8 + 8 + 2),
    Buffer.from([1, 0, 0]),
  ])
}

/** A coordinator that says these states, one after the other, and writes down what it is asked for. */
function played(states: readonly Buffer[], fault: { at: string } | null = null) {
  const asked: string[] = []
  const left = [...states]
  const answering = (what: string): Promise<void> => {
    asked.push(what)
    if (fault?.at !== what) return Promise.resolve()
    fault = null
    return Promise.reject(Object.assign(new Error('gone'), { name: 'KafkaJSConnectionError' }))
  }
  const broker = {
    connectionPool: { send: () => Promise.resolve(left.length > 1 ? left.shift() : left[0]) },
    initProducerId: async () => {
      await answering('init')
      return { producerId: '1', producerEpoch: 2 }
    },
    addPartitionsToTxn: ({ topics }: { topics: { topic: string; partitions: number[] }[] }) =>
      answering(topics.map(({ topic, partitions }) => `${topic}/${partitions.join()}`).join(' ')),
    addOffsetsToTxn: ({ groupId }: { groupId: string }) => answering(`offsets of ${groupId}`),
    endTxn: ({ transactionResult }: { transactionResult: boolean }) =>
      answering(transactionResult ? 'commit' : 'abort'),
  }
  const nothing = () => Promise.resolve()
  const cluster = {
    connect: nothing,
    refreshMetadata: nothing,
    refreshMetadataIfNecessary: nothing,
    findGroupCoordinator: () => Promise.resolve(broker),
  }
  const under = transactions({
    client: { brokers: [], cluster: () => cluster, admin: nothing } as unknown as Client,
    transactionalId: 't-g-1',
    group: 'g',
    topic: 'source',
    partition: 1,
    targets: () => ['a', 'b'],
    maxMessageBytes: () => 1000,
  })
  return { under, asked }
}

const AGAIN = ['a/1 b/1', 'offsets of g']

test.each([
  ['CompleteCommit', 0, ['init', ...AGAIN, 'commit']],
  ['PrepareCommit', 0, ['init', ...AGAIN, 'commit']],
  ['Ongoing', 0, ['init', ...AGAIN, 'abort']],
  ['PrepareAbort', 0, ['init', ...AGAIN, 'abort']],
  ['CompleteAbort', 0, ['init', ...AGAIN, 'abort']],
  ['Empty', 0, ['init']],
  ['an id that nobody has used', 105, ['init']],
])('%s: the end is written once more wherever it can be missing', async (state, code, expected) => {
  const { under, asked } = played([described(code === 0 ? state : '', code)])
  await under.begin(patience())
  expect(asked).toEqual(expected)
})

test.each(['offsets of g', 'commit'])('a fault at «%s» changes nothing of what is written', async (at) => {
  const { under, asked } = played([described('CompleteCommit'), described('Ongoing')], { at })
  await under.begin(patience())
  expect(asked.filter((each) => each === 'abort')).toEqual([])
  expect(asked.slice(-4)).toEqual(['init', ...AGAIN, 'commit'])
})

test('an end that a fault kept from being written is still owed by the next begin', async () => {
  const { under, asked } = played([described('CompleteCommit'), described('Empty')], { at: 'commit' })
  await expect(under.begin({ until: performance.now() })).rejects.toThrow('gone')
  await under.begin(patience())
  expect(asked.at(-1)).toBe('commit')
})

test('while a transaction is still being ended, the producer waits and takes its end for the truth', async () => {
  const { under, asked } = played([described('Ongoing'), described('CompleteCommit')], { at: 'init' })
  await under.begin(patience())
  expect(asked).toEqual(['init', 'init', ...AGAIN, 'commit'])
})
