import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { lineWriter } from '../../proof/lines.ts'
import { openScratch, type Scratch } from '../../proof/scratch.ts'
import { smallDisk, type SmallDisk } from '../support/small-disk.ts'

const ROOM = 16 << 20
const FULL = { code: 'DISK_FULL', message: expect.stringContaining('keys and hashes of the comparison') as string }

let disk: SmallDisk
let scratch: Scratch
beforeEach(async () => {
  disk = await smallDisk(ROOM)
  vi.stubEnv('TMPDIR', disk.path)
  scratch = await openScratch()
})
afterEach(async () => {
  scratch.close()
  vi.unstubAllEnvs()
  await disk.remove()
})

test('lines become a table, of however many writers, and their files go', async () => {
  for (const writer of [0, 1]) {
    const lines = lineWriter(scratch.linesOf('line', writer))
    for (let i = 0; i < 1_000; i++) lines.add(`${writer},key ${i}`)
    lines.end()
  }
  await scratch.load('line', { writer: 'UTINYINT', key: 'VARCHAR' })
  const connection = await scratch.connect()
  const found = await connection.runAndReadAll(
    'SELECT writer, count(*)::INT, count(DISTINCT key)::INT FROM line GROUP BY writer ORDER BY writer',
  )
  expect(found.getRows()).toEqual([
    [0, 1_000, 1_000],
    [1, 1_000, 1_000],
  ])
  expect(readdirSync(join(disk.path, readdirSync(disk.path)[0]!)).filter((name) => name.endsWith('.csv'))).toEqual([])
})

test('lines that find no room: DISK_FULL, and no line of those before is missing', () => {
  const path = scratch.linesOf('line')
  const lines = lineWriter(path)
  const line = 'x'.repeat(999)
  expect(() => {
    for (let i = 0; i < ROOM / 1_000 + 1_000; i++) lines.add(line)
  }).toThrow(expect.objectContaining(FULL))
  const written = readFileSync(path, 'utf8').split('\n')
  expect(written.slice(0, -1).every((each) => each === line)).toBe(true)
  expect(written.length).toBeGreaterThan((ROOM / 1_000) * 0.9)
})

test('the last lines, where they find no room', () => {
  const lines = lineWriter(scratch.linesOf('line'))
  for (let i = 0; i < 100; i++) lines.add('x'.repeat(999))
  disk.fill(40_960)
  expect(() => lines.end()).toThrow(expect.objectContaining(FULL))
})

test('what neither memory nor the disk holds: DISK_FULL, and the next statement goes on', async () => {
  const connection = await scratch.connect()
  const run = (sql: string) => scratch.inTurn(() => connection.run(sql))
  await expect(
    run('CREATE TABLE large AS SELECT sha256(i::VARCHAR) AS hash FROM range(9_000_000) AS t (i)'),
  ).rejects.toMatchObject(FULL)
  await run('CREATE TABLE small AS SELECT 1 AS one')
  scratch.close()
  expect(readdirSync(disk.path)).toEqual([])
})
