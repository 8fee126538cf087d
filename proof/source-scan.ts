/** Reading the whole source in a thread of its own, so that topics are decoded meanwhile. */
import { Worker } from 'node:worker_threads'
import type { Table } from '../core/change.ts'
import { PipelineError, type Code } from '../core/error.ts'
import type { LinesOf, Totals } from './expected-lines.ts'

export interface SourceScan {
  readonly databaseUrl: string
  readonly tables: readonly Table[]
  readonly pseudonymKey: string
  readonly paths: LinesOf
}

/** What the thread says. */
export type Said =
  | { readonly rows: number }
  | { readonly done: Totals }
  | { readonly failed: { readonly code: Code; readonly message: string; readonly remedy: string } }

/** Every row in one snapshot as lines of what each place must hold. SOURCE_UNREACHABLE; rejects when the signal comes. */
export function scanSource(
  scan: SourceScan,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (rows: number) => void },
): Promise<Totals> {
  signal.throwIfAborted()
  const worker = new Worker(new URL('./source-scan-thread.ts', import.meta.url), { workerData: scan })
  const { promise, resolve, reject } = Promise.withResolvers<Totals>()
  const interrupt = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', interrupt)
  worker.on('message', (said: Said) => {
    if ('rows' in said) progress(said.rows)
    else if ('done' in said) resolve(said.done)
    else reject(new PipelineError(said.failed.code, said.failed.message, said.failed.remedy))
  })
  worker.once('error', reject)
  worker.once('exit', (code) => reject(new Error(`the thread that reads the source ended with ${code}`)))
  return promise.finally(async () => {
    signal.removeEventListener('abort', interrupt)
    await worker.terminate()
  })
}
