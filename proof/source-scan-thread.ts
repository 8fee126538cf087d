/** The thread of {@link scanSource}. */
import { parentPort, workerData } from 'node:worker_threads'
import { PipelineError } from '../core/error.ts'
import { expectations } from './expected.ts'
import { expectedLines } from './expected-lines.ts'
import type { Said, SourceScan } from './source-scan.ts'
import { sourceReader } from './source-rows.ts'

const say = (said: Said): void => parentPort!.postMessage(said)

const { databaseUrl, tables, pseudonymKey, paths } = workerData as SourceScan
try {
  const lines = expectedLines(expectations(tables, pseudonymKey), paths)
  const source = await sourceReader(databaseUrl, tables)
  try {
    await source.all(lines.add, (rows) => say({ rows }))
  } finally {
    await source.close()
  }
  say({ done: lines.end() })
} catch (error) {
  if (!(error instanceof PipelineError)) throw error
  const { code, message, remedy } = error
  say({ failed: { code, message, remedy } })
}
