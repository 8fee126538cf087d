/** Running analysts' SQL: one process for each, few at a time, ended when it takes too long or says too much. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { QueryAnswer, QueryRequest } from './query-child.ts'

export interface QueryLimits {
  readonly maxRows: number
  readonly maxBytes: number
  /** As DuckDB writes it. */
  readonly memoryLimit: string
  readonly timeoutMs: number
  /** Of one reader at a time; the others are refused. */
  readonly atOnce: number
}

export const QUERY_LIMITS: QueryLimits = {
  maxRows: 1_000,
  maxBytes: 4 << 20,
  memoryLimit: '512MB',
  timeoutMs: 10_000,
  atOnce: 2,
}

export type QueryOutcome<T> = { readonly answer: T } | { readonly refused: string }

export interface Queries {
  table(sql: string): Promise<QueryOutcome<QueryAnswer>>
  parquet(sql: string): Promise<QueryOutcome<Buffer>>
}

const CHILD = fileURLToPath(new URL('query-child.ts', import.meta.url))
const LONGEST_SQL = 20_000

/** On the published copy at `file`, as it is when the query begins. */
export function queries(file: string, limits: QueryLimits = QUERY_LIMITS): Queries {
  let running = 0

  async function ask(sql: string, format: QueryRequest['format']): Promise<QueryOutcome<Buffer>> {
    if (sql.length > LONGEST_SQL) return { refused: `The SQL has more than ${LONGEST_SQL} characters.` }
    if (!existsSync(file)) return { refused: 'Nothing has been published for analysts yet.' }
    if (running >= limits.atOnce) return { refused: 'Other queries are running. Try again in a moment.' }
    running += 1
    try {
      const { maxRows, maxBytes, memoryLimit } = limits
      return await run({ file, sql, format, maxRows, maxBytes, memoryLimit }, limits)
    } finally {
      running -= 1
    }
  }

  return {
    async table(sql) {
      const outcome = await ask(sql, 'json')
      return 'refused' in outcome ? outcome : (JSON.parse(outcome.answer.toString()) as QueryOutcome<QueryAnswer>)
    },
    async parquet(sql) {
      const outcome = await ask(sql, 'parquet')
      if ('refused' in outcome || outcome.answer.subarray(0, 4).toString() === 'PAR1') return outcome
      return JSON.parse(outcome.answer.toString()) as { refused: string }
    },
  }
}

function run(request: QueryRequest, { timeoutMs, maxBytes }: QueryLimits): Promise<QueryOutcome<Buffer>> {
  const child = spawn(process.execPath, ['--max-old-space-size=256', CHILD], {
    // nothing of this process's environment: no address, no key
    env: { NODE_OPTIONS: '', TZ: 'Europe/London' },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let [bytes, why] = [0, 'The query ended without an answer: it may need more memory than it is given.']
    const stop = (said: string): void => {
      why = said
      bytes = -1
      child.kill('SIGKILL')
    }
    const timer = setTimeout(
      () => stop(`The query took longer than ${timeoutMs / 1000} seconds and was ended.`),
      timeoutMs,
    )
    child.stdout.on('data', (chunk: Buffer) => {
      if (bytes < 0) return
      chunks.push(chunk)
      bytes += chunk.length
      // escaped as JSON it is longer than what was counted
      if (bytes > 4 * maxBytes + (1 << 20)) stop('The answer is too large.')
    })
    child.on('error', () => stop('The query could not be started.'))
    child.on('close', () => {
      clearTimeout(timer)
      resolve(bytes > 0 ? { answer: Buffer.concat(chunks) } : { refused: why })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(JSON.stringify(request))
  })
}
