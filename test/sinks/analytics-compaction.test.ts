import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FILES_AT_ONCE } from '../../sinks/analytics-compaction.ts'
import { pairTransaction } from '../support/analytics-load.ts'
import { ask, openAnalytics, temporaryDirectory } from '../support/analytics.ts'

const VIEWS = ['history_report', 'latest_report', 'temporal_report']

async function fill(directory: string, transactions: number, recentChanges: number): Promise<void> {
  const sink = await openAnalytics(directory, { recentChanges })
  for (let n = 0; n < transactions; n += 5) {
    await sink.write(Array.from({ length: 5 }, (_, i) => pairTransaction(n + i)).flat())
    await sink.publish()
  }
  await sink.close()
}

const listed = (directory: string) =>
  ask(
    directory,
    `SELECT count(*) FROM (SELECT unnest(regexp_extract_all(sql, 'history/report/[^'']*parquet'))
                  FROM duckdb_views() WHERE view_name = 'history_report')`,
  )

test('many small files become few, and every view shows the same', async () => {
  const [merged, without] = [temporaryDirectory(), temporaryDirectory()]
  await fill(merged, 100, 10)
  await fill(without, 100, 1e6)
  const [[count] = []] = await listed(merged)
  expect(Number(count)).toBeGreaterThan(0)
  expect(Number(count)).toBeLessThan(2 * FILES_AT_ONCE)
  // 20 moves, and the parts are still there for readers of an earlier copy
  expect(readdirSync(join(merged, 'history', 'report')).length).toBeGreaterThan(20)
  for (const view of VIEWS) {
    const all = `FROM ${view} ORDER BY ALL`
    expect(await ask(merged, all)).toEqual(await ask(without, all))
  }
})

describe('a kill between the steps of a merge loses nothing and counts nothing twice', () => {
  test.each(['written', 'named', 'listed'])('when the merged file is %s', async (step) => {
    const directory = temporaryDirectory()
    const child = spawn(process.execPath, ['test/support/analytics-compaction-writer.ts', directory, step], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const signal = await new Promise((resolve) => child.once('exit', (_, by) => resolve(by)))
    expect(signal).toBe('SIGKILL')
    const sink = await openAnalytics(directory)
    await sink.close()
    const changes = String(10 * FILES_AT_ONCE)
    expect(await ask(directory, 'SELECT count(*), count(DISTINCT (id, position)) FROM history_report')).toEqual([
      [changes, changes],
    ])
    const names = readdirSync(join(directory, 'history', 'report'))
    expect(names.filter((name) => name.endsWith('.next'))).toEqual([])
    expect(names).toHaveLength(step === 'listed' ? FILES_AT_ONCE + 1 : FILES_AT_ONCE)
    expect(existsSync(join(directory, 'incidents.duckdb'))).toBe(true)
  })
})
