import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beforeTransaction,
  BEGINNING,
  epochOf,
  isPosition,
  lsnOf,
  lsnText,
  ordinalOf,
  parseLsn,
  position,
  sameTransaction,
  transactionPrefix,
} from '../../core/position.ts'

const epoch = fc.integer({ min: 0, max: 0xffff })
const lsn = fc.oneof(fc.maxSafeNat(), fc.integer({ min: 0, max: 300 }))
const ordinal = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 20 }))
const parts = fc.tuple(epoch, lsn, ordinal)

function compare(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((n, index) => n !== b[index])
  return i === -1 ? 0 : Math.sign(a[i]! - b[i]!)
}

describe('a position', () => {
  test('is written as epoch, commit LSN and ordinal in hex of fixed width', () => {
    expect(position(1, 0x16b374d848, 3)).toBe('0001/00000016b374d848/00000003')
  })

  test('sorts as plain text in the order of history', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [left, right] = [position(...a), position(...b)]
        expect(left < right ? -1 : left > right ? 1 : 0).toBe(compare(a, b))
      }),
    )
  })

  test('sorts alike in bytes, as SQL and files compare it', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(Buffer.compare(Buffer.from(position(...a)), Buffer.from(position(...b)))).toBe(compare(a, b))
      }),
    )
  })

  test('gives its parts back', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const p = position(...given)
        expect(isPosition(p)).toBe(true)
        expect([epochOf(p), lsnOf(p), ordinalOf(p)]).toEqual(given)
      }),
    )
  })

  test('is newer than the beginning, whatever it is', () => {
    fc.assert(
      fc.property(parts, (given) => {
        expect(position(...given) > BEGINNING).toBe(true)
      }),
    )
  })

  test('shares its transaction with the positions of the same epoch and commit, and no others', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = a[0] === b[0] && a[1] === b[1]
        expect(sameTransaction(position(...a), position(...b))).toBe(same)
        expect(sameTransaction(position(...a), position(a[0], a[1], b[2]))).toBe(true)
        expect(position(...a).startsWith(transactionPrefix(b[0], b[1]))).toBe(same)
      }),
    )
  })

  test('lies behind the moment before its transaction, and what was committed earlier does not', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const before = beforeTransaction(position(...a))
        expect(before <= position(...a)).toBe(true)
        fc.pre(!sameTransaction(position(...a), position(...b)))
        expect(position(...b) > before).toBe(position(...b) > position(...a))
      }),
    )
  })

  test.each([
    '',
    '1/1/1',
    '0001/00000016B374D848/00000003',
    '0001/00000016b374d848/00000003 ',
    '0001-00000016b374d848-3',
  ])('is not %j', (text) => {
    expect(isPosition(text)).toBe(false)
  })
})

describe('an LSN', () => {
  test.each([
    ['0/0', 0],
    ['0/16B3748', 0x16b3748],
    ['16/B374D848', 0x16b374d848],
    ['1/0', 0x1_0000_0000],
    ['1FFFFF/FFFFFFFF', Number.MAX_SAFE_INTEGER],
  ])('%s reads as PostgreSQL prints it', (text, value) => {
    expect(parseLsn(text)).toBe(value)
    expect(lsnText(value)).toBe(text)
  })

  test('survives being printed and read', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(parseLsn(lsnText(value))).toBe(value)
      }),
    )
  })
})
