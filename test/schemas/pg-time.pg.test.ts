import { describe, expect, test } from 'vitest'
import { testDatabase } from '../support/postgres.ts'
import { dateDays, dateText, timestampMicros, timestampText } from '../../schemas/pg-time.ts'

const DATES = [
  '1970-01-01',
  '2024-02-29',
  '0001-01-01',
  '0001-12-31 BC',
  '4713-11-24 BC',
  '5874897-12-31',
  '1582-10-15',
  '0044-03-15 BC',
]
const TIMESTAMPS = [
  '1970-01-01 00:00:00',
  '2024-03-31 01:30:00.123456',
  '1969-12-31 23:59:59.999999',
  '9999-12-31 23:59:59.5',
  '294276-12-31 23:59:59.999999',
  '4713-11-24 00:00:00 BC',
  '0001-01-01 00:00:00.000001',
]

describe('dates and timestamps', () => {
  test('have the number that PostgreSQL gives them, and come back as the same text', async () => {
    const database = await testDatabase()
    for (const text of DATES) {
      const [row] = await database.query<{ days: string }>(`SELECT ($1::date - '1970-01-01'::date)::text AS days`, [
        text,
      ])
      expect([text, dateDays(text)]).toEqual([text, Number(row!.days)])
      expect(dateText(dateDays(text)!)).toBe(text)
    }
    for (const text of TIMESTAMPS) {
      const [row] = await database.query<{ micros: string }>(
        `SELECT (extract(epoch FROM date_trunc('second', $1::timestamp))::numeric(30, 0) * 1000000 + extract(microseconds FROM $1::timestamp)::int8 % 1000000)::text AS micros`,
        [text],
      )
      expect([text, String(timestampMicros(text))]).toEqual([text, row!.micros])
      expect(timestampText(timestampMicros(text)!, '')).toBe(text)
    }
    await database.drop()
  })

  test('have no number when they are infinite', () => {
    for (const text of ['infinity', '-infinity']) expect([dateDays(text), timestampMicros(text)]).toEqual([null, null])
  })

  test('with a zone are instants', () => {
    expect(timestampMicros('2024-06-01 12:00:00+01')).toBe(timestampMicros('2024-06-01 11:00:00'))
    expect(timestampText(timestampMicros('2024-06-01 12:00:00.25+00')!, '+00')).toBe('2024-06-01 12:00:00.25+00')
  })
})
