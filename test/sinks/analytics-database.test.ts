import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import { projections } from '../../schemas/policy/projection.ts'
import { sinkError } from '../../sinks/analytics-database.ts'
import { openAnalytics, temporaryDirectory } from '../support/analytics.ts'

describe('a directory has one writer', () => {
  test('in all processes: the second is told whom to stop', async () => {
    const directory = temporaryDirectory()
    const writer = spawn(process.execPath, ['test/support/analytics-writer.ts', directory])
    await once(writer.stdout, 'data')
    const refused = openAnalytics(directory)
    await expect(refused).rejects.toMatchObject({ code: 'SINK', remedy: expect.stringContaining('Stop the other') })
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    await openAnalytics(directory)
  })

  test('in this process too, by whatever path, because DuckDB would let a second in and lose its rows', async () => {
    const directory = temporaryDirectory()
    const other = join(temporaryDirectory(), 'link')
    symlinkSync(directory, other)
    const first = await openAnalytics(directory)
    await expect(openAnalytics(other)).rejects.toMatchObject({ code: 'SINK' })
    await first.close()
    await openAnalytics(other)
  })
})

describe('a store that is not ours is refused and left as it was', () => {
  async function changeStore(directory: string, sql: string): Promise<void> {
    const instance = await DuckDBInstance.create(join(directory, 'store.duckdb'))
    const connection = await instance.connect()
    await connection.run(sql)
    connection.closeSync()
    instance.closeSync()
  }

  const ours = async (directory: string) => (await openAnalytics(directory)).close()

  test.each([
    {
      name: 'tables of somebody else',
      make: (directory: string) => changeStore(directory, 'CREATE TABLE theirs AS SELECT 1 AS id'),
    },
    {
      name: 'no DuckDB file',
      make: async (directory: string) => writeFileSync(join(directory, 'store.duckdb'), 'x'.repeat(20_000)),
    },
    {
      name: 'a newer layout',
      make: async (directory: string) => {
        await ours(directory)
        await changeStore(directory, 'UPDATE layout SET version = version + 1')
      },
    },
    {
      name: 'entities with other fields',
      make: async (directory: string) => {
        await ours(directory)
        await changeStore(directory, `UPDATE layout SET contract = 'another'`)
      },
    },
  ])('$name', async ({ make }) => {
    const directory = temporaryDirectory()
    await make(directory)
    await expect(openAnalytics(directory)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
  })

  test('and is let go of: DuckDB would write to a file that it still holds', async () => {
    const directory = temporaryDirectory()
    await ours(directory)
    await changeStore(directory, `UPDATE layout SET contract = 'another'`)
    const held = (path: string) =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)
        } catch {
          return false // closed meanwhile
        }
      })
    await expect(openAnalytics(directory)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
    expect(held(directory)).toEqual([])
    const broken = temporaryDirectory()
    mkdirSync(join(broken, 'incidents.duckdb.next'))
    writeFileSync(join(broken, 'incidents.duckdb.next', 'in the way'), '')
    await expect(openAnalytics(broken)).rejects.toMatchObject({ code: 'SINK' })
    expect(held(broken)).toEqual([])
  })

  test('pseudonyms of another key, which would count one person twice', async () => {
    const directory = temporaryDirectory()
    await ours(directory)
    await expect(
      openAnalytics(directory, { projections: projections('analytics', 'another key') }),
    ).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
    await ours(directory)
  })
})

test.each([
  ['IO Error: Could not write to file "/d/store.duckdb.wal": No space left on device', 'DISK_FULL'],
  ['Out of Memory Error: failed to allocate data of size 16.0 KiB (512.0 MiB/512.0 MiB used)', 'SINK'],
  ["Conversion Error: Could not convert string 'Mr Smith' to INT32", 'SINK'],
])('%s becomes %s, and no cell of it shows', (message, code) => {
  const error = sinkError(new Error(message), '/d')
  expect(error.code).toBe(code)
  expect(JSON.stringify([error.message, error.remedy, String(error.cause)])).not.toContain('Smith')
})
