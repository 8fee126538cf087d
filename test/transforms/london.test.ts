import fc from 'fast-check'
import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { london } from '../../transforms/london.ts'

describe('London wall time becomes UTC once (rule time.london)', () => {
  test.each([
    ['winter', '2024-01-15 12:34:56.789', '2024-01-15T12:34:56.789000Z'],
    ['summer', '2024-07-01 12:34:56.789012', '2024-07-01T11:34:56.789012Z'],
    ['summer, the day before in UTC', '2024-07-01 00:30:00', '2024-06-30T23:30:00.000000Z'],
    ['the last moment before spring', '2024-03-31 00:59:59.999999', '2024-03-31T00:59:59.999999Z'],
    ['an hour that spring leaves out is one hour later', '2024-03-31 01:30:00', '2024-03-31T01:30:00.000000Z'],
    ['the first moment after spring', '2024-03-31 02:00:00', '2024-03-31T01:00:00.000000Z'],
    ['the last moment before the doubled hour', '2024-10-27 00:59:59.999999', '2024-10-26T23:59:59.999999Z'],
    ['the doubled hour is its first pass', '2024-10-27 01:00:00', '2024-10-27T00:00:00.000000Z'],
    ['to its end', '2024-10-27 01:59:59.999999', '2024-10-27T00:59:59.999999Z'],
    ['the first moment behind the doubled hour', '2024-10-27 02:00:00', '2024-10-27T02:00:00.000000Z'],
    ['all of 1970 was on summer time', '1970-01-01 00:00:00', '1969-12-31T23:00:00.000000Z'],
    ['double summer time in the war', '1943-07-01 12:00:00', '1943-07-01T10:00:00.000000Z'],
    ["London's own mean time", '1800-06-01 12:00:00.5', '1800-06-01T12:01:15.500000Z'],
    ['the last second of its own mean time', '1847-11-30 23:59:59', '1847-12-01T00:01:14.000000Z'],
    ['in the 75 s that it left out', '1847-12-01 00:00:30', '1847-12-01T00:01:45.000000Z'],
    ["the first moment of Greenwich's", '1847-12-01 00:01:15', '1847-12-01T00:01:15.000000Z'],
    ['a year mistyped in NOMIS', '0204-02-29 23:59:59', '0204-03-01T00:01:14.000000Z'],
    ['the first year', '0001-01-01 00:00:00', '0001-01-01T00:01:15.000000Z'],
    ['the last year', '9999-12-31 23:59:59.999999', '9999-12-31T23:59:59.999999Z'],
  ])('%s: %s is %s', (_name, wall, instant) => {
    expect(london(wall)).toEqual({ instant, local: wall.replace(' ', 'T').padEnd(20, '.').padEnd(26, '0') })
  })

  test.each([
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00 BC',
    '10000-01-01 00:00:00',
    '0000-01-01 00:00:00',
    '2023-02-29 00:00:00',
    '2024-13-01 00:00:00',
    '1799-02-30 00:00:00',
    '2024-01-01 24:00:00',
    '2024-01-01',
    '',
  ])('%j has no instant', (text) => {
    expect(london(text)).toBeNull()
  })

  test('every instant since 1848 comes back from its wall time, or one hour before it in the doubled hour', () => {
    const from = Date.UTC(1848, 0, 1)
    const until = Date.UTC(2300, 0, 1)
    fc.assert(
      fc.property(fc.integer({ min: from / 1000, max: until / 1000 }), fc.nat(999_999), (seconds, micros) => {
        const there = DateTime.fromSeconds(seconds, { zone: 'Europe/London' })
        const fraction = `.${String(micros).padStart(6, '0')}`
        const made = london(there.toFormat('yyyy-MM-dd HH:mm:ss') + fraction)!
        expect(made.local).toBe(there.toFormat("yyyy-MM-dd'T'HH:mm:ss") + fraction)
        expect(made.instant.slice(19)).toBe(`${fraction}Z`)
        const early = seconds - Date.parse(`${made.instant.slice(0, 19)}Z`) / 1000
        const doubled = there.minus({ hours: 1 }).offset > there.offset
        expect(early).toBe(doubled ? 3600 : 0)
      }),
      { numRuns: 2000 },
    )
  })
})
