import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { projections } from '../../schemas/policy/projection.ts'
import { sinkError } from '../../sinks/analytics-database.ts'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { incidentChange, openAnalytics, reportRow, reports, temporaryDirectory } from '../support/analytics.ts'
import { heldFiles } from '../support/held-files.ts'

const ID = '00000000-0000-7000-8000-00000000000a'

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

  test('and one that has ended has let go of every file, whatever it did', async () => {
    const directory = temporaryDirectory()
    const sink = await openAnalytics(directory, { recentChanges: 1 })
    for (const offset of [1, 2]) {
      await sink.write([incidentChange({ offset, lsn: offset, rows: [reportRow(ID, { status: `S${offset}` })] })])
      await sink.publish()
    }
    expect(await reports(sink)).toEqual({ [ID]: 'S2' })
    await sink.close()
    expect(heldFiles(directory)).toEqual([])
  })
})

describe('a store that is not ours is refused and left as it was', () => {
  const changeStore = (directory: string, sql: string): Promise<unknown> =>
    onDuckDb(join(directory, 'store.duckdb'), {}, (connection) => connection.run(sql))

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
    await expect(openAnalytics(directory)).rejects.toMatchObject({ code: 'SINK_FOREIGN' })
    expect(heldFiles(directory)).toEqual([])
    const broken = temporaryDirectory()
    mkdirSync(join(broken, 'incidents.duckdb.next'))
    writeFileSync(join(broken, 'incidents.duckdb.next', 'in the way'), '')
    await expect(openAnalytics(broken)).rejects.toMatchObject({ code: 'SINK' })
    expect(heldFiles(broken)).toEqual([])
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
