import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTransaction, type Transaction } from '../../../connectors/postgres/transaction.ts'
import type { Frame } from '../../../connectors/postgres/replication.ts'
import type { Table } from '../../../core/change.ts'
import { PipelineError } from '../../../core/error.ts'

const table = (name: string): Table => ({ schema: 'public', name, columns: [], key: [] })
const TABLES = [table('report'), table('question'), table('response')]

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-transaction-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open(memoryBytes: number): Transaction {
  return openTransaction({ commitLsn: 1, committedAt: 2, txId: 3, directory, memoryBytes })
}

/** A frame in the midst of a socket's chunk. */
function frame(size: number, fill: number): Frame {
  const bytes = Buffer.alloc(size + 20, 0xee)
  bytes.fill(fill, 10, 10 + size)
  return { bytes, start: 10, end: 10 + size }
}

interface Item {
  readonly size: number
  readonly fill: number
  readonly table: number
}

function filled(memoryBytes: number, items: readonly Item[]): Transaction {
  const transaction = open(memoryBytes)
  for (const item of items) transaction.add(frame(item.size, item.fill), TABLES[item.table]!)
  return transaction
}

function contents(transaction: Transaction): Item[] {
  return Array.from(transaction.frames(), ({ frame: { bytes, start, end }, table: its }) => {
    const fill = bytes[start]!
    expect(bytes.subarray(start, end).equals(Buffer.alloc(end - start, fill))).toBe(true)
    return { size: end - start, fill, table: TABLES.indexOf(its) }
  })
}

const MEGABYTE = 1 << 20
const item = (size: number, fill = 7, its = 0): Item => ({ size, fill, table: its })

describe('the rows of a transaction', () => {
  test.each<[string, number, readonly Item[]]>([
    ['in memory', 1000, [item(10), item(20, 8, 1), item(30, 9, 2)]],
    ['on disk', 0, [item(10), item(20, 8, 1), item(30, 9, 2), item(1, 1, 0)]],
    ['half on disk, half in memory', 100, [item(90), item(90, 8, 1), item(10, 9, 1), item(11, 1, 2)]],
    ['larger than what is read at a time', 0, [item(5), item(3 * MEGABYTE, 8, 1), item(6, 9, 2), item(2 * MEGABYTE)]],
    ['that end where a piece ends', 0, [item(MEGABYTE - 8), item(MEGABYTE - 16, 8), item(MEGABYTE - 15, 9), item(3)]],
    ['whose length is cut by the piece', 0, Array.from({ length: 9 }, (_, i) => item(MEGABYTE / 2 - 10 - i, i + 1))],
    ['of which there are none', 0, []],
  ])('%s come out as they went in, as often as asked', (_, memoryBytes, items) => {
    const transaction = filled(memoryBytes, items)
    expect(transaction.rows).toBe(items.length)
    expect(contents(transaction)).toEqual(items)
    expect(contents(transaction)).toEqual(items)
    transaction.discard()
  })

  test('come out alike whatever the bound', () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300_000, max: 1_300_000 }))
    const items = fc.array(fc.record({ size: sizes, fill: fc.nat(255), table: fc.nat(2) }), { maxLength: 12 })
    fc.assert(
      fc.property(items, fc.constantFrom(0, 50, 500, 400_000, 1 << 30), (all, memoryBytes) => {
        const transaction = filled(memoryBytes, all)
        expect(contents(transaction)).toEqual(all)
        transaction.discard()
      }),
      { numRuns: 60 },
    )
  })

  test('can be read by two readers at once, and left half read', () => {
    const items = [item(700_000), item(700_000, 8, 1), item(10, 9, 2)]
    const transaction = filled(0, items)
    const a = transaction.frames()
    a.next()
    expect(contents(transaction)).toEqual(items)
    expect(a.next().value!.table).toBe(TABLES[1])
    transaction.discard()
  })
})

describe('the file of a transaction', () => {
  /** Files of the directory that this process holds open, named or not. */
  const held = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${fd}`)
        return path.startsWith(directory) ? [path] : []
      } catch {
        return [] // the descriptor that listed them
      }
    })

  test('is not made as long as the rows fit into memory', () => {
    const transaction = filled(1000, [item(1000)])
    expect(held()).toEqual([])
    transaction.discard()
  })

  test('has no name, so that a crash leaves none, and is gone after discard', () => {
    const transaction = filled(0, [item(1000)])
    expect(readdirSync(directory)).toEqual([])
    expect(held()).toHaveLength(1)
    transaction.discard()
    expect(held()).toEqual([])
    transaction.discard()
  })

  test('that cannot be made stops the stream with a code', () => {
    const transaction = open(0)
    rmSync(directory, { recursive: true })
    const add = (): void => transaction.add(frame(1, 1), TABLES[0]!)
    expect(add).toThrow(PipelineError)
    expect(add).toThrow(expect.objectContaining({ code: 'SINK' }))
  })
})
