import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { lockStateDirectory } from '../../transport/state-directory.ts'

const root = mkdtempSync(join(tmpdir(), 'incidents-state-'))
afterAll(() => rmSync(root, { recursive: true }))

/** Another process that holds the directory until it ends. */
async function holder(directory: string): Promise<ChildProcess> {
  const script = `
    import { lockStateDirectory } from ${JSON.stringify(new URL('../../transport/state-directory.ts', import.meta.url).href)}
    await lockStateDirectory(${JSON.stringify(directory)})
    console.log('locked')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  return child
}

test('the directory is made, and others may enter it: PostgreSQL runs as its own user', async () => {
  const directory = join(root, 'deep', 'new')
  const state = await lockStateDirectory(directory)
  expect(state.path).toBe(directory)
  expect(statSync(directory).mode & 0o777).toBe(0o755)
  state.release()
})

test('a second process is refused, with the directory and the process that has it', async () => {
  const directory = join(root, 'shared')
  const child = await holder(directory)
  await expect(lockStateDirectory(directory)).rejects.toMatchObject({
    code: 'STATE_LOCKED',
    message: `The state directory ${directory} is in use by the process ${child.pid}.`,
    remedy: expect.stringContaining('STATE_DIR'),
  })
  child.kill('SIGKILL')
  await once(child, 'close')
})

test('a lock dies with its process, however it ends', async () => {
  const directory = join(root, 'killed')
  const child = await holder(directory)
  child.kill('SIGKILL')
  await once(child, 'close')
  const state = await lockStateDirectory(directory)
  expect(existsSync(join(directory, 'lock.pid'))).toBe(true)
  state.release()
})

test('a second lock in the same process is refused until the first is released', async () => {
  const directory = join(root, 'twice')
  const first = await lockStateDirectory(directory)
  await expect(lockStateDirectory(directory)).rejects.toMatchObject({ code: 'STATE_LOCKED' })
  first.release()
  const second = await lockStateDirectory(directory)
  second.release()
})

test('what cannot be a directory is a matter of configuration', async () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  await expect(lockStateDirectory(join(file, 'state'))).rejects.toMatchObject({ code: 'CONFIG' })
  await expect(lockStateDirectory(file)).rejects.toMatchObject({ code: 'CONFIG' })
})
