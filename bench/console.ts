/** How long the console's pages take to their first byte while rows arrive: the demo as a process, pages from this one. */
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { freePort } from '../workload/postgres.ts'
import type { BenchOptions } from './result.ts'

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url))
const PAGES = ['/', '/tables', '/incidents', '/failures', '/reconciliation', '/contracts', '/rollout', '/access']
const REPORTS = 500
/** Rows a second, in transactions of a hundred. */
const RATE = 1_000
const OF_ONE = 100
const REQUESTS = 100
/** Rows flow for so long before anything is measured. */
const WARM_MS = 5_000

export interface ConsoleResult {
  readonly name: string
  /** The page. */
  readonly what: string
  readonly requests: number
  /** That were committed meanwhile. */
  readonly rowsPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

export async function consoleBench({ what }: BenchOptions): Promise<ConsoleResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-console-'))
  await chmod(directory, 0o755)
  const demo = spawn(
    process.execPath,
    [CLI, 'demo', '--reports', String(REPORTS), '--rate', '1', '--transactions', '1'],
    {
      env: { ...process.env, STATE_DIR: directory, PORT: String(await freePort()), METRICS_PORT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  try {
    const said = await until(demo.stderr, /psql '([^']+)'/)
    const [, url = ''] = /The console: (\S+)/.exec(said) ?? []
    const [, database = ''] = /psql '([^']+)'/.exec(said) ?? []
    const cookie = await signIn(url)
    const load = await startLoad(database)
    await sleep(WARM_MS)
    const results: ConsoleResult[] = []
    for (const page of PAGES.filter((each) => what === undefined || each === what)) {
      const before = load.written()
      const times: number[] = []
      for (let i = 0; i < REQUESTS; i++) times.push(await firstByte(new URL(page, url), cookie))
      times.sort((a, b) => a - b)
      const at = (share: number): number => Math.round(times[Math.ceil(times.length * share) - 1]! * 10) / 10
      const { rows, at: since } = before
      const now = load.written()
      const rowsPerSecond = Math.round(((now.rows - rows) * 1000) / (now.at - since))
      const quantiles = { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) }
      results.push({ name: 'console', what: page, requests: REQUESTS, rowsPerSecond, ...quantiles })
    }
    await load.stop()
    return results
  } finally {
    demo.kill('SIGTERM')
    await new Promise((resolve) => demo.once('close', resolve))
    await rm(directory, { recursive: true, force: true })
  }
}

/** Everything said until the pattern is there; what comes after is let go. */
function until(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let said = ''
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (pattern.test(said)) resolve(said)
    })
    stream.on('end', () => reject(new Error(`the demo ended: ${said}`)))
  })
}

async function signIn(url: string): Promise<string> {
  const answer = await fetch(new URL('/sign-in', url), {
    method: 'POST',
    body: new URLSearchParams({ username: 'OPERATOR', next: '/' }),
    redirect: 'manual',
  })
  return answer.headers.getSetCookie()[0]!.split(';')[0]!
}

/** In a pause between two people: a page each 20 ms. */
async function firstByte(url: URL, cookie: string): Promise<number> {
  await sleep(20)
  const begun = performance.now()
  const answer = await fetch(url, { headers: { cookie }, redirect: 'manual' })
  const took = performance.now() - begun
  await answer.arrayBuffer()
  if (answer.status !== 200) throw new Error(`${url.pathname} answered ${answer.status}`)
  return took
}

/** Reports change, each in turn, as the source's own users would have them change. */
async function startLoad(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows: reports } = await client.query<{ id: string }>('SELECT id FROM public.report ORDER BY id')
  let running = true
  let written = 0
  const work = (async () => {
    const begun = performance.now()
    for (let turn = 0; running; turn++) {
      const from = (turn * OF_ONE) % (reports.length - OF_ONE)
      const ids = reports.slice(from, from + OF_ONE).map(({ id }) => id)
      await client.query(`UPDATE public.report SET modified_at = clock_timestamp() WHERE id = ANY ($1)`, [ids])
      written += ids.length
      await sleep(Math.max(0, begun + ((turn + 1) * 1000 * OF_ONE) / RATE - performance.now()))
    }
  })()
  return {
    written: () => ({ rows: written, at: performance.now() }),
    stop: async () => {
      running = false
      await work
      await client.end()
    },
  }
}
