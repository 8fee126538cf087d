/**
 * Reading the whole source in processes of its own, so that topics are decoded meanwhile. Threads would do, but Node 24
 * now and then aborts the whole process when threads that load TypeScript come and go.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Table } from '../core/change.ts'
import { PipelineError, type Code } from '../core/error.ts'
import type { LinesOf, Totals } from './expected-lines.ts'

export interface SourceScan {
  readonly databaseUrl: string
  readonly tables: readonly Table[]
  readonly pseudonymKey: string
}

/** What a process is told: what to do, then table after table, and null when none is left. */
export type Told = { readonly scan: SourceScan; readonly paths: LinesOf } | { readonly table: number | null }

/** What a process says. */
export type Said =
  | { readonly wants: 'table' }
  | { readonly rows: number }
  | { readonly done: Totals }
  | { readonly failed: { readonly code: Code; readonly message: string; readonly remedy: string } }

const CHILD = fileURLToPath(new URL('./source-scan-child.ts', import.meta.url))

export interface ScanOptions {
  readonly signal: AbortSignal
  readonly progress: (rows: number) => void
}

/**
 * Every row as lines of what each place must hold: tables by their index in `order`, each read by the process that is first
 * free for it, one for each of `paths` and each in a snapshot of its own. SOURCE_UNREACHABLE; rejects when the signal comes.
 */
export async function scanSource(
  scan: SourceScan,
  order: readonly number[],
  paths: readonly LinesOf[],
  { signal, progress }: ScanOptions,
): Promise<Totals> {
  const left = [...order]
  const rows = paths.map(() => 0)
  const ended = new AbortController()
  const parts = paths.map((path, i) =>
    scanPart({ scan, paths: path }, () => left.shift() ?? null, {
      signal: AbortSignal.any([signal, ended.signal]),
      progress: (read) => {
        rows[i] = read
        progress(sum(rows))
      },
    }),
  )
  try {
    const totals = await Promise.all(parts)
    return {
      rows: sum(totals.map((each) => each.rows)),
      refused: sum(totals.map((each) => each.refused)),
      copies: sum(totals.map((each) => each.copies)),
    }
  } catch (error) {
    ended.abort(error)
    await Promise.allSettled(parts)
    throw error
  }
}

function scanPart(first: Told, next: () => number | null, { signal, progress }: ScanOptions): Promise<Totals> {
  const { promise, resolve, reject } = Promise.withResolvers<Totals>()
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  const child = fork(CHILD, { serialization: 'advanced', execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const tell = (told: Told): void => void child.send(told)
  const interrupt = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', interrupt)
  child.on('message', (said: Said) => {
    if ('wants' in said) tell({ table: next() })
    else if ('rows' in said) progress(said.rows)
    else if ('done' in said) resolve(said.done)
    else reject(new PipelineError(said.failed.code, said.failed.message, said.failed.remedy))
  })
  child.once('error', reject)
  child.once('exit', (code, by) => reject(new Error(`a process that reads the source ended with ${by ?? code}`)))
  tell(first)
  return promise.finally(() => {
    signal.removeEventListener('abort', interrupt)
    child.kill('SIGKILL')
  })
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}
