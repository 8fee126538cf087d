/** Damaged, cut and misordered streams: a coded refusal or what was sent, never another row and never an endless wait. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assembler, type Assembled, type Assembler } from '../../../connectors/postgres/assembler.ts'
import { decodeFrame, keepaliveOf } from '../../../connectors/postgres/pgoutput.ts'
import type { Frame } from '../../../connectors/postgres/framing.ts'
import { PipelineError } from '../../../core/error.ts'
import type { Tuple } from '../../../core/change.ts'
import { cellsOf, tupleOf, xlogData } from '../../support/pgoutput.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-assembler-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const int8 = (n: number): Buffer => Buffer.from([n])
const int16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255])
const int32 = (n: number): Buffer => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255])
const int64 = (n: number): Buffer => Buffer.concat([int32(Math.floor(n / 2 ** 32)), int32(n % 2 ** 32)])
const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const message = (tag: string, ...parts: readonly Buffer[]): Frame =>
  xlogData(1000, Buffer.concat([Buffer.from(tag), ...parts]))

/** Within a streamed piece a tag is followed by the subtransaction; `sub` null writes what lies outside of one. */
const id = (sub: number | null): Buffer => (sub === null ? Buffer.alloc(0) : int32(sub))
const relation = (sub: number | null, oid: number, ...columns: readonly string[]): Frame =>
  message(
    'R',
    id(sub),
    int32(oid),
    text('public'),
    text(`t${oid}`),
    Buffer.from('f'),
    int16(columns.length),
    ...columns.map((name) => Buffer.concat([int8(1), text(name), int32(25), int32(0xffffffff)])),
  )
const insert = (sub: number | null, oid: number, ...cells: readonly string[]): Frame =>
  message('I', id(sub), int32(oid), Buffer.from('N'), tupleOf(...cells).bytes)
const truncate = (sub: number | null, oid: number): Frame => message('T', id(sub), int32(1), int8(0), int32(oid))
const logical = (sub: number | null, prefix: string, transactional = 1): Frame =>
  message('M', id(sub), int8(transactional), int64(1000), text(prefix), int32(0))
const begin = (xid: number, lsn: number): Frame => message('B', int64(lsn), int64(5), int32(xid))
const commit = (lsn: number): Frame => message('C', int8(0), int64(lsn), int64(lsn + 8), int64(5))
const start = (xid: number, first = 1): Frame => message('S', int32(xid), int8(first))
const stop = (): Frame => message('E')
const streamCommit = (xid: number, lsn: number): Frame =>
  message('c', int32(xid), int8(0), int64(lsn), int64(lsn + 8), int64(5))
const abort = (xid: number, sub: number): Frame => message('A', int32(xid), int32(sub))

/** Everything that the frames complete, as text. */
function assembled(frames: readonly Frame[], memoryBytes = 1 << 20): string[] {
  const pieces = assembler({ directory, memoryBytes })
  try {
    return frames.flatMap((frame) => described(pieces, frame))
  } finally {
    pieces.close()
  }
}

function described(pieces: Assembler, frame: Frame): string[] {
  const found: Assembled | null = pieces.push(frame)
  if (found === null) return []
  if (found.what === 'message') return [`aside ${found.message.prefix}`]
  const { transaction } = found
  const rows = Array.from(transaction.rows(), (row) => {
    const { after } = decodeFrame(row.frame, transaction.form) as { after: Tuple }
    return `${row.relation.columns.map(({ name }) => name).join()}=${cellsOf(after).join()}`
  })
  const truncated = transaction.truncated.map(({ name }) => `truncated ${name}`)
  const messages = transaction.messages.map(({ prefix }) => `message ${prefix}`)
  transaction.discard()
  return [`${transaction.txId}@${transaction.commitLsn}: ${[...rows, ...truncated, ...messages].join(' ')}`]
}

describe('a streamed transaction', () => {
  test('is handed on at its commit, with what was mixed into it left to the others', () => {
    const frames = [
      start(7),
      relation(7, 1, 'a'),
      insert(7, 1, 'x'),
      stop(),
      start(8),
      relation(8, 1, 'a', 'b'),
      insert(8, 1, 'y', 'z'),
      stop(),
      begin(9, 500),
      relation(null, 1, 'a'),
      insert(null, 1, 'plain'),
      commit(500),
      logical(null, 'between', 0),
      start(7, 0),
      insert(7, 1, 'later'),
      stop(),
      streamCommit(8, 600),
      streamCommit(7, 700),
    ]
    const expected = ['9@500: a=plain', 'aside between', '8@600: a,b=y,z', '7@700: a=x a=later']
    expect(assembled(frames)).toEqual(expected)
    expect(assembled(frames, 0)).toEqual(expected)
  })

  test('loses what an undone subtransaction brought, its relations, truncates and messages too, and nothing else', () => {
    const frames = [
      start(7),
      relation(7, 1, 'a'),
      insert(7, 1, 'kept'),
      insert(70, 1, 'undone'),
      relation(70, 1, 'a', 'b'),
      insert(70, 1, 'undone', 'too'),
      truncate(70, 1),
      logical(70, 'undone'),
      logical(7, 'kept'),
      insert(71, 1, 'other', 'sub'),
      stop(),
      abort(7, 70),
      start(7, 0),
      insert(7, 1, 'as before'),
      truncate(71, 1),
      stop(),
      streamCommit(7, 700),
    ]
    const expected = ['7@700: a=kept a,b=other,sub a=as before truncated t1 message kept']
    expect(assembled(frames)).toEqual(expected)
    expect(assembled(frames, 0)).toEqual(expected)
  })

  test('that is rolled back leaves nothing, not even what it made of a relation', () => {
    const frames = [
      begin(6, 400),
      relation(null, 1, 'a'),
      insert(null, 1, 'first'),
      commit(400),
      start(7),
      relation(7, 1, 'a', 'b'),
      insert(7, 1, 'x', 'y'),
      stop(),
      abort(7, 7),
      begin(8, 500),
      insert(null, 1, 'second'),
      commit(500),
    ]
    expect(assembled(frames)).toEqual(['6@400: a=first', '8@500: a=second'])
  })

  test('makes its relations everybody’s when it is committed', () => {
    const frames = [
      start(7),
      relation(7, 1, 'a', 'b'),
      stop(),
      streamCommit(7, 700),
      begin(8, 800),
      insert(null, 1, 'x', 'y'),
      commit(800),
    ]
    expect(assembled(frames)).toEqual(['7@700: ', '8@800: a,b=x,y'])
  })
})

describe('what cannot be is refused', () => {
  const refused: readonly (readonly [what: string, frames: readonly Frame[]])[] = [
    ['a row outside a transaction', [relation(null, 1, 'a'), insert(null, 1, 'x')]],
    ['a row before its relation', [begin(1, 5), insert(null, 1, 'x')]],
    [
      'a streamed row of a relation that another open transaction brought',
      [start(7), relation(7, 1, 'a'), stop(), start(8), insert(8, 1, 'x')],
    ],
    ['a transaction inside another', [begin(1, 5), begin(2, 6)]],
    ['a transaction inside a streamed piece', [start(7), begin(2, 6)]],
    ['a commit without a beginning', [commit(5)]],
    ['a commit of another transaction', [begin(1, 5), commit(6)]],
    ['a commit inside a streamed piece', [start(7), commit(5)]],
    ['a streamed piece inside a transaction', [begin(1, 5), start(7)]],
    ['a streamed piece inside another', [start(7), start(8)]],
    ['a later piece before the first', [start(7, 0)]],
    ['a first piece after the first', [start(7), stop(), start(7)]],
    ['the end of a piece that was not begun', [stop()]],
    ['a streamed commit inside a piece', [start(7), streamCommit(7, 5)]],
    ['a commit of a transaction that was not streamed', [streamCommit(7, 5)]],
    ['a message of a transaction outside one', [logical(null, 'p')]],
  ]
  test.each(refused)('%s', (_, frames) => {
    expect(() => assembled(frames)).toThrow(expect.objectContaining({ code: 'MALFORMED_WAL' }))
  })

  const whole = Buffer.concat([Buffer.from('k'), int64(77), int64(5), int8(0)])
  test.each(Array.from({ length: 17 }, (_, i) => i + 1))('a keepalive of %i bytes', (length) => {
    expect(keepaliveOf({ bytes: whole, start: 0, end: whole.length })).toMatchObject({ end: 77 })
    expect(() => keepaliveOf({ bytes: whole, start: 0, end: length })).toThrow(PipelineError)
  })
})

describe('a damaged stream', () => {
  const frames = [
    start(7),
    relation(7, 1, 'a'),
    insert(7, 1, 'kept'),
    insert(70, 1, 'undone'),
    stop(),
    abort(7, 70),
    start(7, 0),
    insert(7, 1, 'x'),
    stop(),
    streamCommit(7, 700),
    begin(8, 800),
    relation(null, 2, 'a', 'b'),
    insert(null, 2, 'y', 'z'),
    logical(null, 'm'),
    commit(800),
  ]
  const sent = assembledOnce(frames)

  function assembledOnce(all: readonly Frame[]): string[] {
    directory = mkdtempSync(join(tmpdir(), 'incidents-assembler-'))
    const found = assembled(all)
    rmSync(directory, { recursive: true })
    return found
  }

  test('that is cut anywhere is refused, or gives what was committed before the cut', () => {
    for (let i = 0; i < frames.length; i++) {
      const { bytes } = frames[i]!
      for (let end = 0; end < bytes.length; end++) {
        const cut = [...frames.slice(0, i), { bytes, start: 0, end }]
        const found = outcome(cut)
        expect(found === 'MALFORMED_WAL' || sent.join().startsWith(found.join())).toBe(true)
      }
    }
  })

  test('gives no row in another transaction than its own, when frames are lost, doubled or exchanged', () => {
    const order = fc.array(fc.nat(frames.length - 1), { maxLength: 20 })
    fc.assert(
      fc.property(order, (indexes) => {
        const found = outcome(indexes.map((i) => frames[i]!))
        if (found === 'MALFORMED_WAL') return
        const foreign = found.filter((each) => /^7@.*(y,z|=m)|^8@.*(kept|undone|=x)/.test(each))
        expect(foreign).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })

  test('of any damage is refused or read, and never another error', () => {
    const hits = fc.array(fc.record({ frame: fc.nat(frames.length - 1), at: fc.nat(), byte: fc.nat(255) }), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(hits, fc.constantFrom(0, 1 << 20), (all, memoryBytes) => {
        const damaged = frames.map(({ bytes }) => Buffer.from(bytes))
        for (const { frame, at, byte } of all) damaged[frame]![at % damaged[frame]!.length] = byte
        outcome(
          damaged.map((bytes) => ({ bytes, start: 0, end: bytes.length })),
          memoryBytes,
        )
      }),
      { numRuns: 1500 },
    )
  })

  function outcome(all: readonly Frame[], memoryBytes = 1 << 20): string[] | 'MALFORMED_WAL' {
    try {
      return assembled(all, memoryBytes)
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'MALFORMED_WAL') return 'MALFORMED_WAL'
      throw error
    }
  }
})
