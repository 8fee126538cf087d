/**
 * Reading the whole source in a process of its own, so that topics are decoded meanwhile. A thread would do, but Node 24
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
  readonly paths: LinesOf
}

/** What the process says. */
export type Said =
  | { readonly rows: number }
  | { readonly done: Totals }
  | { readonly failed: { readonly code: Code; readonly message: string; readonly remedy: string } }

const CHILD = fileURLToPath(new URL('./source-scan-child.ts', import.meta.url))

/** Every row in one snapshot as lines of what each place must hold. SOURCE_UNREACHABLE; rejects when the signal comes. */
export function scanSource(
  scan: SourceScan,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (rows: number) => void },
): Promise<Totals> {
  signal.throwIfAborted()
  const child = fork(CHILD, { serialization: 'advanced', execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const { promise, resolve, reject } = Promise.withResolvers<Totals>()
  const interrupt = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', interrupt)
  child.on('message', (said: Said) => {
    if ('rows' in said) progress(said.rows)
    else if ('done' in said) resolve(said.done)
    else reject(new PipelineError(said.failed.code, said.failed.message, said.failed.remedy))
  })
  child.once('error', reject)
  child.once('exit', (code, by) => reject(new Error(`the process that reads the source ended with ${by ?? code}`)))
  child.send(scan)
  return promise.finally(() => {
    signal.removeEventListener('abort', interrupt)
    child.kill('SIGKILL')
  })
}
