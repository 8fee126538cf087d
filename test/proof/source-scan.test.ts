import { createServer, type Server } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { scanSource } from '../../proof/source-scan.ts'
import { freePort } from '../../workload/postgres.ts'

let directory: string
let silent: Server
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'incidents-scan-'))
  silent = createServer(() => {})
})
afterEach(() => {
  silent.close()
  rmSync(directory, { recursive: true, force: true })
})

const scan = (port: number, signal: AbortSignal): Promise<unknown> =>
  scanSource(
    {
      databaseUrl: `postgres://reader@127.0.0.1:${port}/incidents`,
      tables: [],
      pseudonymKey: 'a key for tests only',
    },
    [],
    ['a', 'b'].map((name) => ({ expected_row: join(directory, name), expected_unified: join(directory, `${name}u`) })),
    { signal, progress: () => {} },
  )

test('what keeps the process from reading comes out of it as the same error, with its remedy', async () => {
  await expect(scan(await freePort(), new AbortController().signal)).rejects.toMatchObject({
    name: 'PipelineError',
    code: 'SOURCE_UNREACHABLE',
    remedy: expect.any(String) as string,
  })
})

test('an interruption ends the process, whatever it waits for', async () => {
  const port = await freePort()
  const stop = new AbortController()
  const asked = new Promise((resolve) => silent.listen(port, '127.0.0.1').once('connection', resolve))
  const scanned = scan(port, stop.signal)
  await asked
  stop.abort(new Error('interrupted'))
  await expect(scanned).rejects.toThrow('interrupted')
})
