/**
 * One message of each kind, recorded from PostgreSQL 18 (golden/pgoutput), and what damage does to them: a frame that is
 * not whole is refused, and what lies around it in its buffer never matters.
 */
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeFrame, type WalMessage } from '../../../connectors/postgres/pgoutput.ts'
import type { Frame } from '../../../connectors/postgres/framing.ts'
import { columnText, completed, rowReader, sameColumn } from '../../../connectors/postgres/tuples.ts'
import type { Table, Tuple } from '../../../core/change.ts'
import { PipelineError } from '../../../core/error.ts'
import { cellsOf, tupleOf, xlogData } from '../../support/pgoutput.ts'

const DIRECTORY = new URL('../../golden/pgoutput/', import.meta.url)
const GOLDEN: ReadonlyMap<string, Buffer> = new Map(
  readdirSync(DIRECTORY).map((file) => [
    file.replace('.hex', ''),
    Buffer.from(readFileSync(new URL(file, DIRECTORY), 'utf8').trim(), 'hex'),
  ]),
)

const INCIDENT = 16_553
const KEYED = 16_561

const DECODED: Readonly<Record<string, unknown>> = {
  keepalive: null,
  begin: { tag: 'begin', commitLsn: 43_035_632, committedAt: 1_795_639_928_211_026, txId: 835 },
  commit: { tag: 'commit', commitLsn: 43_035_632, endLsn: 43_035_680 },
  type: { tag: 'type' },
  origin: { tag: 'origin' },
  relation: {
    tag: 'relation',
    relation: {
      oid: INCIDENT,
      schema: 'prison é',
      name: 'in"cident',
      identity: 'f',
      columns: [
        { name: 'id', oid: 23, modifier: -1 },
        { name: 'title', oid: 1043, modifier: 34 },
        { name: 'mood', oid: 16_549, modifier: -1 },
        { name: 'note', oid: 25, modifier: -1 },
      ],
    },
  },
  'relation-keyed': {
    tag: 'relation',
    relation: {
      oid: KEYED,
      schema: 'public',
      name: 'keyed',
      identity: 'd',
      columns: [
        { name: 'id', oid: 23, modifier: -1 },
        { name: 'note', oid: 25, modifier: -1 },
      ],
    },
  },
  insert: { tag: 'insert', oid: INCIDENT, lsn: 43_035_392, after: ['1', 'Fire 🔥', 'high', null] },
  update: {
    tag: 'update',
    oid: INCIDENT,
    lsn: 43_035_680,
    before: ['1', 'Fire 🔥', 'high', null],
    whole: true,
    after: ['1', '', 'high', null],
  },
  'update-of-key': {
    tag: 'update',
    oid: KEYED,
    lsn: 43_038_760,
    before: ['1', null],
    whole: false,
    after: ['2', undefined],
  },
  delete: { tag: 'delete', oid: INCIDENT, lsn: 43_035_832, before: ['1', '', 'high', null], whole: true },
  'delete-by-key': { tag: 'delete', oid: KEYED, lsn: 43_038_976, before: ['2', null], whole: false },
  truncate: { tag: 'truncate', oids: [INCIDENT, KEYED], lsn: 43_045_040 },
  message: { tag: 'message', prefix: 'within', content: Buffer.from('é'), lsn: 43_045_824, transactional: true },
  'message-aside': { tag: 'message', prefix: 'aside', content: Buffer.alloc(0), lsn: 43_045_880, transactional: false },
}

/** A message with its tuples as the texts in them: nothing of the buffer it lies in. */
function read(frame: Frame): unknown {
  const message = decodeFrame(frame)
  if (message === null) return null
  const images = tuplesOf(message).map(([name, tuple]) => {
    expect(frame.start <= tuple.start && tuple.end <= frame.end).toBe(true)
    return [name, cellsOf(tuple)]
  })
  return { ...message, ...Object.fromEntries(images) }
}

function tuplesOf(message: WalMessage): [string, Tuple][] {
  return Object.entries(message).filter(([name, value]) => ['before', 'after'].includes(name) && value !== null)
}

/** The message, or the code it is refused with. Every other error fails the test. */
function readOrCode(frame: Frame): unknown {
  return orCode(() => read(frame))
}

function orCode(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    if (error instanceof PipelineError) return error.code
    throw error
  }
}

/** The frame as it lies in a socket's chunk: something before, something behind. */
function inChunk(bytes: Buffer, before: Uint8Array, behind: Uint8Array): Frame {
  return { bytes: Buffer.concat([before, bytes, behind]), start: before.length, end: before.length + bytes.length }
}

const outcome = (found: unknown): string => (typeof found === 'string' ? found : 'a message')
const alone = (bytes: Buffer): Frame => inChunk(bytes, Buffer.alloc(0), Buffer.alloc(0))
const golden = fc.constantFrom(...GOLDEN.values())
const surroundings = fc.uint8Array({ maxLength: 64 })

describe('a frame', () => {
  test.each([...GOLDEN])('of kind %s is what it says', (kind, bytes) => {
    expect(read(alone(bytes))).toStrictEqual(DECODED[kind])
    expect(readOrCode(inChunk(bytes, Buffer.from('before'), Buffer.from('behind')))).toStrictEqual(DECODED[kind])
  })

  test('that is cut short is refused, even where the bytes behind it would make it whole', () => {
    for (const bytes of GOLDEN.values()) {
      for (let end = 0; end < bytes.length; end++) {
        expect(readOrCode({ bytes, start: 0, end })).toBe('MALFORMED_WAL')
        expect(readOrCode(alone(bytes.subarray(0, end)))).toBe('MALFORMED_WAL')
      }
    }
  })

  test('with bytes left over is refused', () => {
    for (const bytes of GOLDEN.values()) {
      expect(readOrCode(alone(Buffer.concat([bytes, Buffer.from([0])])))).toBe('MALFORMED_WAL')
    }
  })

  test('means the same wherever it lies, and when it is damaged it is a message or refused', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(golden, damage, surroundings, surroundings, (bytes, hits, before, behind) => {
        const damaged = Buffer.from(bytes)
        for (const { at, byte } of hits) damaged[at % damaged.length] = byte
        const found = readOrCode(alone(damaged))
        expect(['a message', 'MALFORMED_WAL']).toContain(outcome(found))
        expect(readOrCode(inChunk(damaged, before, behind))).toStrictEqual(found)
      }),
      { numRuns: 3000 },
    )
  })

  test('of any bytes is a message or refused', () => {
    const body = fc.tuple(fc.constantFrom(...Buffer.from('BCRIUDTYOMSk')), fc.uint8Array({ maxLength: 80 }))
    fc.assert(
      fc.property(body, surroundings, ([tag, rest], behind) => {
        const { bytes } = xlogData(1, Buffer.from([tag, ...rest]))
        const found = readOrCode(inChunk(bytes, Buffer.alloc(0), behind))
        expect(['a message', 'MALFORMED_WAL']).toContain(outcome(found))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('lengths and counts that the frame cannot hold are refused', () => {
  const insert = (count: number, ...columns: string[]): Buffer =>
    Buffer.from(`49000040a94e${count.toString(16).padStart(4, '0')}${columns.join('')}`, 'hex')
  const refused: Readonly<Record<string, Buffer>> = {
    'a text one byte too long': insert(1, '7400000003', '6162'),
    'a text of 4 GiB': insert(1, '74ffffffff', '6162'),
    'a text of 2 GiB': insert(1, '7480000000', '6162'),
    'a column that is not there': insert(2, '6e'),
    '65535 columns': insert(0xffff, '6e'),
    'a value in binary': insert(1, '6200000001', '61'),
    'an insert of an old row': Buffer.from('49000040a94f00016e', 'hex'),
    'an update without a new row': Buffer.from('55000040a94f00016e', 'hex'),
    'a truncate of 4294967295 tables': Buffer.from('54ffffffff00', 'hex'),
    'a name that ends behind the frame': Buffer.from('59000040a9616263', 'hex'),
    'a logical message of 4 GiB': Buffer.from('4d0000000000000000016100ffffffff', 'hex'),
    'a prepared transaction (protocol 3)': Buffer.from('620000000101', 'hex'),
  }
  test.each(Object.entries(refused))('%s', (_, body) => {
    const behind = Buffer.concat([Buffer.from([0x61]), Buffer.alloc(100)])
    expect(readOrCode(inChunk(xlogData(1, body).bytes, Buffer.alloc(0), behind))).toBe('MALFORMED_WAL')
  })

  test('an LSN that a number cannot hold', () => {
    const { bytes } = xlogData(1, Buffer.from('54000000000'.padEnd(12, '0'), 'hex'))
    expect(readOrCode(alone(bytes))).toEqual({ tag: 'truncate', oids: [], lsn: 1 })
    bytes.writeBigUInt64BE(1n << 53n, 1)
    expect(readOrCode(alone(bytes))).toBe('MALFORMED_WAL')
  })
})

describe('a tuple', () => {
  const table: Table = {
    schema: 'public',
    name: 'report',
    key: ['a'],
    columns: ['a', 'b', 'c'].map((name) => ({ name, oid: 25, modifier: -1 })),
  }

  test('gives a column its text, and tells NULL from the empty text', () => {
    const tuple = tupleOf('', null, 'é😀')
    expect([0, 1, 2].map((i) => columnText(tuple, i))).toEqual(['', null, 'é😀'])
    expect(rowReader(table)(tuple)).toEqual({ a: '', b: null, c: 'é😀' })
  })

  test('is compared by its bytes', () => {
    const same = (a: string | null, b: string | null): boolean => sameColumn(tupleOf('x', a), tupleOf('yyy', b), 1)
    expect([same('1', '1'), same(null, null), same('', '')]).toEqual([true, true, true])
    expect([same('1', '2'), same('1', '11'), same('', null), same('n', null)]).toEqual([false, false, false, false])
  })

  test('that has other columns than its relation is refused, not read beyond its end', () => {
    const narrow = {
      ...tupleOf('1', '2'),
      bytes: Buffer.concat([tupleOf('1', '2').bytes, Buffer.from('t\0\0\0\x01x')]),
    }
    expect(orCode(() => columnText(narrow, 2))).toBe('MALFORMED_WAL')
    expect(orCode(() => sameColumn(narrow, tupleOf('1', '2', 'x'), 2))).toBe('MALFORMED_WAL')
    expect(orCode(() => rowReader(table)(narrow))).toBe('MALFORMED_WAL')
    expect(orCode(() => rowReader(table)(tupleOf('1', '2', '3', '4')))).toBe('MALFORMED_WAL')
    expect(orCode(() => rowReader(table)(tupleOf('1', '2', undefined)))).toBe('MALFORMED_WAL')
  })

  test('with values that were not sent is completed from the row before, or not at all', () => {
    const before = tupleOf('1', 'large', null)
    const after = tupleOf('2', undefined, undefined)
    expect(cellsOf(completed(before, after)!)).toEqual(['2', 'large', null])
    expect(completed(null, after)).toBeNull()
    expect(orCode(() => completed(tupleOf('1', 'large'), after))).toBe('MALFORMED_WAL')
    const whole = tupleOf('2', 'sent', null)
    expect(completed(null, whole)).toBe(whole)
  })

  test('of a table with a column __proto__ is an ordinary row', () => {
    const odd: Table = { ...table, columns: [{ name: '__proto__', oid: 23, modifier: -1 }] }
    const row = rowReader(odd)(tupleOf('7'))
    expect([Object.keys(row), row['__proto__']]).toEqual([['__proto__'], 7])
  })
})
