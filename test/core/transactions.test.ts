import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Change, Marker, Op, Origin, RowChange, Table } from '../../core/change.ts'
import { BEGINNING, position } from '../../core/position.ts'
import { wholeTransactions } from '../../core/transactions.ts'
import { all, handFed, next } from '../support/feed.ts'

const table: Table = { schema: 'public', name: 'report', columns: [], key: ['id'] }

interface Given {
  readonly partition?: number
  readonly last?: boolean
  readonly op?: Op
  readonly bytes?: number
}

function origin(lsn: number, ordinal: number, { partition = 0, last = false, bytes = 1 }: Given): Origin {
  return {
    position: position(1, lsn, ordinal),
    lsn,
    committedAt: 0,
    txId: lsn,
    partition,
    offset: 0,
    streamedTo: position(1, lsn, ordinal),
    lastInTransaction: last,
    bytes,
  }
}

function row(lsn: number, ordinal: number, given: Given = {}): RowChange {
  const { op = 'u' } = given
  return { ...origin(lsn, ordinal, given), op, table, reference: null, before: null, after: {} }
}

function marker(lsn: number, given: Given = {}): Marker {
  const rest = { slot: 's', systemIdentifier: '1', timeline: 1, snapshotDone: true, stopped: [] }
  return { ...origin(lsn, 0, given), op: 'm', ...rest }
}

/** `lsn.ordinal`, with a mark on the last of a transaction. */
function shown(changes: readonly Change[]): string[] {
  return changes.map((each) => {
    const ordinal = Number.parseInt(each.position.slice(22), 16)
    const kind = each.op === 'm' || each.op === 'r' ? each.op : ''
    return `${kind}${each.lsn}.${ordinal}${each.lastInTransaction ? '!' : ''}`
  })
}

const LARGE = 1_000_000

describe('transactions are handed on whole', () => {
  test('a late marker of a capture that was replaced does not end what its successor has begun', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, LARGE).feed[Symbol.asyncIterator]()
    source.give('one', row(20, 1), marker(15), row(20, 2, { last: true }))
    const group = await next(feed)
    expect(shown(group.items)).toEqual(['20.1', '20.2!'])
    await group.ack()
    expect(source.acked).toEqual(['one'])
  })

  test('a tail without its end is held and not acknowledged, until the end has come', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, LARGE).feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1), row(10, 2, { last: true }), row(20, 1))
    const first = await next(feed)
    expect(shown(first.items)).toEqual(['10.1', '10.2!'])
    await first.ack()
    expect(source.acked).toEqual([])

    source.give('two', row(20, 2, { last: true }))
    const second = await next(feed)
    expect(shown(second.items)).toEqual(['20.1', '20.2!'])
    await second.ack()
    expect(source.acked).toEqual(['one', 'two'])
  })

  test('a batch is acknowledged only by the acknowledgement of what it was handed on in', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, LARGE).feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1))
    source.give('two', row(10, 2, { last: true }))
    await (await next(feed)).ack()
    const second = await next(feed)
    expect(source.acked).toEqual([])
    await second.ack()
    expect(source.acked).toEqual(['one', 'two'])
  })

  test.each([
    { what: 'another commit', by: row(20, 1, { last: true }), rest: ['20.1!'] },
    { what: 'a marker', by: marker(20), rest: ['m20.0'] },
    { what: 'a row read outside the stream', by: row(20, 0, { op: 'r' }), rest: ['r20.0'] },
  ])('$what ends a transaction whose last record does not say so', async ({ by, rest }) => {
    const source = handFed<Change>()
    source.give('one', row(10, 1), row(10, 2), by)
    source.end()
    const items = (await all(wholeTransactions(source.feed, LARGE).feed)).flat()
    expect(shown(items)).toEqual(['10.1', '10.2!', ...rest])
    expect(source.acked).toEqual(['one'])
  })

  test('a change that reads its row when it is asked for still does when its transaction is ended for it', async () => {
    const { after, ...rest } = row(10, 1)
    const late = Object.create({
      get after() {
        return after
      },
    }) as RowChange
    const source = handFed<Change>()
    source.give('one', Object.assign(late, rest), marker(20))
    source.end()
    const [change] = (await all(wholeTransactions(source.feed, LARGE).feed)).flat()
    expect(change).toMatchObject({ after, lastInTransaction: true })
  })

  test('partitions end their transactions each for itself, and one that is open holds back every acknowledgement', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, LARGE).feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1), row(10, 2, { partition: 1, last: true }))
    const first = await next(feed)
    expect(shown(first.items)).toEqual(['10.2!'])
    await first.ack()
    source.give('two', row(20, 1, { partition: 1, last: true }))
    const second = await next(feed)
    expect(shown(second.items)).toEqual(['20.1!'])
    await second.ack()
    expect(source.acked).toEqual([])
    source.give('three', row(10, 3, { last: true }))
    const third = await next(feed)
    expect(shown(third.items)).toEqual(['10.1', '10.3!'])
    await third.ack()
    expect(source.acked).toEqual(['one', 'two', 'three'])
  })

  test('a keepalive passes, and acknowledges nothing that is held', async () => {
    const source = handFed<Change>()
    source.give('one', row(10, 1))
    source.give('keepalive')
    source.end()
    expect(await all(wholeTransactions(source.feed, LARGE).feed)).toEqual([[], []])
    expect(source.acked).toEqual([])
  })
})

describe('a transaction that is larger than the bound', () => {
  test('is handed on in pieces, none of them acknowledged before the last', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, 10).feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1, { bytes: 6 }), row(10, 2, { bytes: 6 }))
    const first = await next(feed)
    expect(shown(first.items)).toEqual(['10.1', '10.2'])
    await first.ack()
    source.give('two', row(10, 3, { bytes: 6 }), row(10, 4, { bytes: 6 }))
    const second = await next(feed)
    expect(shown(second.items)).toEqual(['10.3', '10.4'])
    await second.ack()
    expect(source.acked).toEqual([])
    source.give('three', row(10, 5, { bytes: 6, last: true }))
    const third = await next(feed)
    expect(shown(third.items)).toEqual(['10.5!'])
    await third.ack()
    expect(source.acked).toEqual(['one', 'two', 'three'])
  })

  test('does not tear the transactions of other partitions', async () => {
    const source = handFed<Change>()
    const feed = wholeTransactions(source.feed, 10).feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1, { partition: 1 }), row(10, 2, { bytes: 6 }), row(10, 3, { bytes: 6 }))
    expect(shown((await next(feed)).items)).toEqual(['10.2', '10.3'])
    source.give('two', row(10, 4, { partition: 1, last: true }))
    expect(shown((await next(feed)).items)).toEqual(['10.1', '10.4!'])
  })

  test('is not held against the bound once it is handed on', async () => {
    const source = handFed<Change>()
    source.give('one', row(10, 1, { bytes: 11 }), row(10, 2, { bytes: 11, last: true }))
    source.give('two', row(20, 1, { bytes: 5 }))
    source.give('three', row(20, 2, { bytes: 5, last: true }))
    source.end()
    const batches = await all(wholeTransactions(source.feed, 10).feed)
    expect(batches.map(shown)).toEqual([['10.1', '10.2!'], [], ['20.1', '20.2!']])
  })
})

describe('what has been seen', () => {
  test('is dropped when its position is not above the highest of its partition', async () => {
    const source = handFed<Change>()
    source.give('one', row(10, 1), row(10, 2, { last: true }))
    source.give('again', row(10, 1), row(10, 2, { last: true }), row(5, 1, { last: true }))
    source.give('other partition', row(5, 1, { partition: 1, last: true }))
    source.end()
    const batches = await all(wholeTransactions(source.feed, LARGE).feed)
    expect(batches.map(shown)).toEqual([['10.1', '10.2!'], [], ['5.1!']])
    expect(source.acked).toEqual(['one', 'again', 'other partition'])
  })

  test('never counts for markers and rows read outside the stream: they may repeat', async () => {
    const source = handFed<Change>()
    source.give('one', row(10, 1, { last: true }), marker(9), row(9, 0, { op: 'r' }), row(9, 0, { op: 'r' }))
    source.give('two', row(11, 1, { last: true }))
    source.end()
    const items = (await all(wholeTransactions(source.feed, LARGE).feed)).flat()
    expect(shown(items)).toEqual(['10.1!', 'm9.0', 'r9.0', 'r9.0', '11.1!'])
  })
})

describe('a restart of a partition', () => {
  test('forgets what is held of it, so that nothing is doubled when it is read again', async () => {
    const source = handFed<Change>()
    const whole = wholeTransactions(source.feed, LARGE)
    const feed = whole.feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1), row(10, 2), row(7, 1, { partition: 1 }))
    expect((await next(feed)).items).toEqual([])
    whole.restart(0, BEGINNING)
    source.give('two', row(10, 1), row(10, 2), row(10, 3, { last: true }))
    expect(shown((await next(feed)).items)).toEqual(['10.1', '10.2', '10.3!'])
    source.give('three', row(7, 2, { partition: 1, last: true }))
    const third = await next(feed)
    expect(shown(third.items)).toEqual(['7.1', '7.2!'])
    await third.ack()
    expect(source.acked).toEqual(['one', 'two', 'three'])
  })

  test('begins at the height that the sink kept', async () => {
    const source = handFed<Change>()
    const whole = wholeTransactions(source.feed, LARGE)
    whole.restart(0, position(1, 10, 2))
    source.give('one', row(10, 1), row(10, 2), row(10, 3, { last: true }), row(20, 1, { last: true }))
    source.end()
    expect(shown((await all(whole.feed)).flat())).toEqual(['10.3!', '20.1!'])
  })

  test('ends the wait for the rest of a transaction that was handed on in part', async () => {
    const source = handFed<Change>()
    const whole = wholeTransactions(source.feed, 10)
    const feed = whole.feed[Symbol.asyncIterator]()
    source.give('one', row(10, 1, { bytes: 11 }))
    expect(shown((await next(feed)).items)).toEqual(['10.1'])
    whole.restart(0, BEGINNING)
    source.give('two', row(10, 1, { bytes: 5 }), row(10, 2, { bytes: 5, last: true }))
    const second = await next(feed)
    expect(shown(second.items)).toEqual(['10.1', '10.2!'])
    await second.ack()
    expect(source.acked).toEqual(['one', 'two'])
  })
})

test('however the log is cut into batches, and whatever is repeated, each transaction comes once and in one piece', async () => {
  const transactions = fc.array(
    fc.record({ partition: fc.nat(2), rows: fc.integer({ min: 1, max: 4 }), flagged: fc.boolean() }),
    { minLength: 1, maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(transactions, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), async (given, cuts) => {
      const log = given.flatMap(({ partition, rows, flagged }, t) =>
        Array.from({ length: rows }, (_, i) => row(t + 1, i + 1, { partition, last: flagged && i === rows - 1 })),
      )
      const end = [0, 1, 2].map((partition) => marker(1000, { partition }))
      const records: Change[] = [...log, ...log.slice(0, 3), ...end]
      const source = handFed<Change>()
      for (let i = 0, at = 0; at < records.length; i++) {
        const count = cuts[i % cuts.length]!
        source.give(String(i), ...records.slice(at, at + count))
        at += count
      }
      source.end()
      const batches = await all(wholeTransactions(source.feed, LARGE).feed)
      const rows = batches.flat().filter((each) => each.op !== 'm')
      for (const partition of [0, 1, 2]) {
        const positions = (changes: readonly Change[]) =>
          changes.filter((each) => each.partition === partition).map((each) => each.position)
        expect(positions(rows)).toEqual(positions(log))
      }
      for (const batch of batches) {
        for (const each of batch.filter((change) => change.op !== 'm')) {
          const whole = log.filter((other) => other.lsn === each.lsn).length
          expect(batch.filter((other) => other.lsn === each.lsn && other.op !== 'm')).toHaveLength(whole)
        }
      }
      expect(rows.filter((each) => each.lastInTransaction)).toHaveLength(given.length)
      expect(source.acked).toEqual(source.taken)
    }),
    { numRuns: 100 },
  )
})
