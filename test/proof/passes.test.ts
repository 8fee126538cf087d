import { DuckDBInstance } from '@duckdb/node-api'
import { expect, test } from 'vitest'
import { passes } from '../../proof/passes.ts'

test('takes few keys in one pass', () => {
  expect(passes(0, 'key')).toHaveLength(1)
  expect(passes(400_000, 'key')).toHaveLength(1)
  expect(passes(400_001, 'key')).toHaveLength(2)
})

test('takes every row once, each key in one pass', async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run(`CREATE TABLE line AS SELECT CAST(n % 700 AS VARCHAR) AS key, n FROM range(1000) t(n)`)
  const seen: unknown[] = []
  const shares = passes(1000, 'key', 300)
  expect(shares).toHaveLength(4)
  for (const share of shares) {
    const rows = await connection.runAndReadAll(`SELECT key, max(n), count(*) FROM line WHERE ${share} GROUP BY key`)
    expect(rows.currentRowCount).toBeGreaterThan(100)
    seen.push(...rows.getRows())
  }
  const whole = await connection.runAndReadAll('SELECT key, max(n), count(*) FROM line GROUP BY key')
  expect(new Set(seen.map(String))).toEqual(new Set(whole.getRows().map(String)))
  expect(seen).toHaveLength(700)
})
