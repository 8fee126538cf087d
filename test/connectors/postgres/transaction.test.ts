import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Relation } from '../../../connectors/postgres/pgoutput.ts'
import type { Frame } from '../../../connectors/postgres/framing.ts'
import { transactionPool, type OpenTransaction } from '../../../connectors/postgres/transaction.ts'
import { PipelineError } from '../../../core/error.ts'

const relation = (name: string, oid: number): Relation => ({ oid, schema: 'public', name, identity: 'f', columns: [] })
const RELATIONS = [relation('report', 1), relation('question', 2), relation('response', 3)]

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-transaction-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

function open(memoryBytes: number): OpenTransaction {
  return transactionPool({ directory, memoryBytes }).open(3, 'plain')
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
  readonly relation: number
  readonly sub?: number
}

function filled(memoryBytes: number, items: readonly Item[]): OpenTransaction {
  const transaction = open(memoryBytes)
  for (const item of items) transaction.add(frame(item.size, item.fill), RELATIONS[item.relation]!, item.sub ?? 0)
  return transaction
}

function contents(transaction: OpenTransaction): Item[] {
  return Array.from(transaction.rows(), ({ frame: { bytes, start, end }, relation: its }) => {
    const fill = bytes[start]!
    expect(bytes.subarray(start, end).equals(Buffer.alloc(end - start, fill))).toBe(true)
    return { size: end - start, fill, relation: RELATIONS.indexOf(its) }
  })
}

const MEGABYTE = 1 << 20
const item = (size: number, fill = 7, its = 0): Item => ({ size, fill, relation: its })

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
    expect(contents(transaction)).toEqual(items)
    expect(contents(transaction)).toEqual(items)
    transaction.discard()
  })

  test('come out alike whatever the bound', () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300_000, max: 1_300_000 }))
    const items = fc.array(fc.record({ size: sizes, fill: fc.nat(255), relation: fc.nat(2) }), { maxLength: 12 })
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
    const a = transaction.rows()
    a.next()
    expect(contents(transaction)).toEqual(items)
    expect(a.next().value!.relation).toBe(RELATIONS[1])
    transaction.discard()
  })
})

describe('several open transactions', () => {
  const kib = (items: readonly Item[]): number => items.reduce((sum, { size }) => sum + size, 0) / 1024

  test('share one bound: the one that holds most goes to the disk', () => {
    const pool = transactionPool({ directory, memoryBytes: 100 * 1024 })
    const [small, large] = [pool.open(1, 'streamed'), pool.open(2, 'streamed')]
    const before = openFiles()
    for (let i = 0; i < 90; i++) large.add(frame(1024, 1), RELATIONS[0]!, 2)
    for (let i = 0; i < 50; i++) small.add(frame(1024, 2), RELATIONS[1]!, 1)
    expect(openFiles() - before).toBe(1)
    expect([kib(contents(small)), kib(contents(large))]).toEqual([50, 90])
    large.discard()
    expect(openFiles()).toBe(before)
    pool.close()
  })

  test('lose the rows of a subtransaction that is undone, in memory and on disk, and no others', () => {
    const item = fc.record({
      size: fc.integer({ min: 1, max: 300 }),
      fill: fc.nat(255),
      relation: fc.nat(2),
      sub: fc.nat(3),
    })
    fc.assert(
      fc.property(fc.array(item, { maxLength: 40 }), fc.constantFrom(0, 200, 2000, 1 << 20), (items, memoryBytes) => {
        const transaction = filled(memoryBytes, items)
        transaction.undo(2)
        const left = items
          .filter(({ sub }) => sub !== 2)
          .map(({ size, fill, relation: its }) => ({ size, fill, relation: its }))
        expect(contents(transaction)).toEqual(left)
        expect(new Set(transaction.relations())).toEqual(new Set(left.map(({ relation: its }) => RELATIONS[its])))
        transaction.discard()
      }),
      { numRuns: 60 },
    )
  })
})

/** Files of the directory that this process holds open, named or not. */
function openFiles(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
    } catch {
      return false // the descriptor that listed them
    }
  }).length
}

describe('the file of a transaction', () => {
  test('is not made as long as the rows fit into memory', () => {
    const transaction = filled(1000, [item(1000)])
    expect(openFiles()).toBe(0)
    transaction.discard()
  })

  test('has no name, so that a crash leaves none, and is gone after discard', () => {
    const transaction = filled(0, [item(1000)])
    expect(readdirSync(directory)).toEqual([])
    expect(openFiles()).toBe(1)
    transaction.discard()
    expect(openFiles()).toBe(0)
    transaction.discard()
  })

  test('that cannot be made stops the stream with a code', () => {
    const transaction = open(0)
    rmSync(directory, { recursive: true })
    const add = (): void => transaction.add(frame(1, 1), RELATIONS[0]!, 0)
    expect(add).toThrow(PipelineError)
    expect(add).toThrow(expect.objectContaining({ code: 'SINK' }))
  })
})
