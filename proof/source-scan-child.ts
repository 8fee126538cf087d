/** The process of {@link scanSource}: it reads what it is sent, says what became of it, and is ended by who started it. */
import { once } from 'node:events'
import { PipelineError } from '../core/error.ts'
import { expectations } from './expected.ts'
import { expectedLines } from './expected-lines.ts'
import type { Said, SourceScan } from './source-scan.ts'
import { sourceReader } from './source-rows.ts'

const say = (said: Said): void => void process.send!(said)

process.once('disconnect', () => process.exit())
const [scan] = (await once(process, 'message')) as [SourceScan]
const { databaseUrl, tables, pseudonymKey, paths } = scan
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
