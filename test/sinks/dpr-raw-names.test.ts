import { expect, test } from 'vitest'
import { changeFileName, checkpointText, hundredths, loadFileName, timestampText } from '../../sinks/dpr-raw-names.ts'
import { folderClock } from '../../sinks/dpr-raw-clock.ts'
import { rowChange } from '../support/dpr-raw.ts'

const noon = Date.UTC(2024, 4, 6, 12, 34, 56, 789)

test.each([
  [1, 'LOAD00000001.parquet'],
  [10, 'LOAD0000000A.parquet'],
  [0xabcdef01, 'LOADABCDEF01.parquet'],
])('load file %i is %s (rule dpr.names)', (number, name) => expect(loadFileName(number)).toBe(name))

test('a change file is named by its time in UTC, digits, dash, digits (rule dpr.names)', () => {
  expect(changeFileName(noon)).toBe('20240506-123456789.parquet')
  expect(changeFileName(noon)).toMatch(/^\d+-\d+.parquet$/)
})

test.each([
  [noon * 1000 + 12, '2024-05-06 12:34:56.789012'],
  [0, '1970-01-01 00:00:00.000000'],
  [-1, '1969-12-31 23:59:59.999999'],
])('_timestamp of %i is %s (rule dpr.timestamp)', (micros, text) => expect(timestampText(micros)).toBe(text))

test('checkpoint_col is 16 digits of time and 19 of place, in text order (rule dpr.checkpoint)', () => {
  const first = checkpointText(hundredths(noon * 1000 + 999), 42)
  expect(first).toBe('20240506123456780000000000000000042')
  expect(checkpointText(hundredths(noon * 1000), 43) > first).toBe(true)
  expect(checkpointText(hundredths((noon + 10) * 1000), 1) > first).toBe(true)
  expect(first > '20240506123456').toBe(true)
})

test('checkpoint_col never falls in a folder, and rises with each state of a row (rule dpr.checkpoint)', () => {
  const clock = folderClock(0)
  const early = { committedAt: noon * 1000 }
  const late = { committedAt: (noon + 5000) * 1000 }
  const row = { id: 1 }
  const texts = [
    rowChange({ offset: 0, lsn: 9000, ...late, after: row }),
    rowChange({ offset: 0, lsn: 9800, ...early, before: row, after: row }), // committed by a clock that was set back
    rowChange({ offset: 0, lsn: 9900, ...early, before: row, at: 9880 }), // moved: one WAL record, two changes
    rowChange({ offset: 0, lsn: 9900, ...early, after: row, at: 9880 }),
    rowChange({ offset: 0, lsn: 12000, ...early, after: row, op: 'r', at: 12000 }),
    rowChange({ offset: 0, lsn: 12800, ...early, before: row, after: row, at: 11000 }), // written before that was read
  ].map((change) => clock.checkpoint(change))
  expect(texts).toEqual([...texts].sort())
  expect(new Set(texts).size).toBe(texts.length)
  const restarted = folderClock(clock.time())
  expect(
    restarted.checkpoint(rowChange({ offset: 0, lsn: 13_600, ...early, before: row, after: row })) > texts.at(-1)!,
  ).toBe(true)
})
