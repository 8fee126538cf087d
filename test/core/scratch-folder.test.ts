import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { noSpaceFor, scratchFolder, type Purpose } from '../../core/scratch-folder.ts'

let parent: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'incidents-test-'))
  vi.stubEnv('TMPDIR', parent)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(parent, { recursive: true, force: true })
})

test.for(['dpr-of', 'proof', 'query', 'verify'] as const satisfies Purpose[])(
  '%s: is entered by its user alone, and what a killed process left goes with the next',
  (purpose) => {
    const { pid: killed } = spawnSync('true')
    const [left, live, others] = [`incidents-${purpose}-${killed}-x`, `incidents-${purpose}-1-x`, `other-${killed}-x`]
    for (const name of [left, live, others]) mkdirSync(join(parent, name, 'within'), { recursive: true })
    const folder = scratchFolder(purpose)
    expect(dirname(folder)).toBe(parent)
    expect(statSync(folder).mode & 0o077).toBe(0)
    expect([left, live, others].map((name) => existsSync(join(parent, name)))).toEqual([false, true, true])
  },
)

test('without a folder for temporary files: CONFIG, and which', () => {
  vi.stubEnv('TMPDIR', join(parent, 'nowhere'))
  expect(() => scratchFolder('proof')).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      message: `No folder can be made in ${join(parent, 'nowhere')}, where temporary files go (ENOENT).`,
      remedy: expect.stringContaining('TMPDIR') as string,
    }),
  )
})

test.for([
  ['ENOSPC: no space left on device, write', true],
  ['EDQUOT: disk quota exceeded, write', true],
  ['IO Error: Could not write file "x": No space left on device', true],
  ["Out of Memory Error: … This limit was set by the 'max_temp_directory_size' setting", true],
  ['EIO: i/o error, write', false],
  ['Out of Memory Error: failed to pin block', false],
] as const)('%j is a full disk: %s', ([message, full]) => {
  expect(noSpaceFor(new Error(message), 'a test')?.code).toBe(full ? 'DISK_FULL' : undefined)
})
