import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** A process of its own, since priorities stay: name and priority of every thread, before and after. */
const PROGRAM = `
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { DuckDBInstance } from '@duckdb/node-api'
import { yieldPool } from './commands/background-threads.ts'
const threads = () => readdirSync('/proc/self/task').map((task) => ({
  name: readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim(),
  steps: getPriority(Number(task)) - getPriority(process.ppid),
}))
const before = threads()
await yieldPool()
const lowered = threads()
const duckdb = await DuckDBInstance.create(':memory:', { threads: '3' })
await (await duckdb.connect()).run('SELECT sum(range) FROM range(1_000_000)')
console.log(JSON.stringify({ before, lowered, withDuckDB: threads() }))
`

test.runIf(process.platform === 'linux')(
  'the pool and what DuckDB starts out of it run at a lower priority, the thread that answers as before',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM])
    const { before, lowered, withDuckDB } = JSON.parse(stdout) as Record<string, { name: string; steps: number }[]>
    const pool = (of: typeof before) => of!.filter(({ name }) => name === 'libuv-worker')
    const others = (of: typeof before) => of!.filter(({ name }) => name !== 'libuv-worker')
    expect(before!.every(({ steps }) => steps === 0)).toBe(true)
    expect(pool(lowered).map(({ steps }) => steps)).toEqual([10, 10, 10, 10])
    expect(pool(withDuckDB).length).toBeGreaterThan(4)
    expect(pool(withDuckDB).every(({ steps }) => steps === 10)).toBe(true)
    expect(others(withDuckDB).every(({ steps }) => steps === 0)).toBe(true)
  },
)
