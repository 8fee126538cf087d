import { describe, expect, test } from 'vitest'
import { random } from '../../workload/random.ts'
import { prisonerAt } from '../../workload/people.ts'
import { cutBytes } from '../../workload/texts.ts'

describe('chance that can be repeated', () => {
  test('gives these values for this seed, on every machine and for ever', () => {
    const chance = random(1, 'report', 2)
    expect(Array.from({ length: 8 }, () => chance.int(0, 999))).toMatchInlineSnapshot(`
      [
        621,
        595,
        227,
        898,
        485,
        808,
        377,
        542,
      ]
    `)
  })

  test('depends on every part that names it', () => {
    const firsts = [random(1, 'a', 1), random(1, 'a', 2), random(1, 'b', 1), random(2, 'a', 1)].map((each) =>
      each.next(),
    )
    expect(new Set(firsts).size).toBe(4)
  })

  test('reaches both ends of a range and nothing beyond', () => {
    const chance = random(1)
    const seen = new Set(Array.from({ length: 500 }, () => chance.int(3, 6)))
    expect(seen).toEqual(new Set([3, 4, 5, 6]))
  })

  test('picks by weight, never what weighs nothing', () => {
    const chance = random(1)
    const seen = Array.from({ length: 1_000 }, () =>
      chance.weighted([
        ['often', 9],
        ['seldom', 1],
        ['never', 0],
      ]),
    )
    const often = seen.filter((each) => each === 'often').length
    expect(often).toBeGreaterThan(850)
    expect(often).toBeLessThan(950)
    expect(seen).not.toContain('never')
  })

  test('samples different items in their order, at most all', () => {
    const chance = random(1)
    const items = ['a', 'b', 'c', 'd', 'e']
    for (let i = 0; i < 100; i++) {
      const taken = chance.sample(items, 3)
      expect(taken).toHaveLength(3)
      expect(taken).toEqual(items.filter((item) => taken.includes(item)))
    }
    expect(chance.sample(items, 9)).toEqual(items)
  })

  test('makes version 7 UUIDs that begin with their time', () => {
    const chance = random(1)
    expect(chance.uuid(Date.UTC(2024, 0, 1))).toMatch(/^018cc251-f400-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

test('prisoner numbers have the form of real ones, differ, and always the same name', () => {
  const numbers = [0, 1, 9_999, 10_000, 259_999, 260_000].map((index) => prisonerAt(index).number)
  expect(new Set(numbers).size).toBe(numbers.length)
  for (const number of numbers) expect(number).toMatch(/^T\d{4}[A-Z]{2}$/)
  expect(prisonerAt(42)).toEqual(prisonerAt(42))
})

test.each([
  ['abc', 3, 'abc'],
  ['abcd', 3, 'abc'],
  ['aéb', 2, 'a'],
  ['🚨b', 3, ''],
  ['🚨b', 4, '🚨'],
])('%s cut to %i bytes is "%s": no character is split', (text, bytes, cut) => {
  expect(cutBytes(text, bytes)).toBe(cut)
})
