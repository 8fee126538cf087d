import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { onDuckDb } from '../../sinks/duckdb.ts'
import { temporaryDirectory } from '../support/analytics.ts'
import { heldFiles } from '../support/held-files.ts'

const failing = () => Promise.reject(new Error('no'))

test('a file is whole and let go of before the work’s result is there, also where the work fails', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'a.duckdb')
  const made = onDuckDb(file, {}, async (connection) => {
    await connection.run('CREATE TABLE one AS SELECT 1 AS n')
    return 'made'
  })
  await expect(made).resolves.toBe('made')
  expect([existsSync(`${file}.wal`), heldFiles(directory)]).toEqual([false, []])
  await expect(onDuckDb(file, { access_mode: 'READ_ONLY' }, failing)).rejects.toThrow('no')
  expect(heldFiles(directory)).toEqual([])
})
