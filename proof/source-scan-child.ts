/** A process of `scanSource`: it reads the tables that it is told, says what became of it, and is ended by who started it. */
import { once } from 'node:events'
import { PipelineError } from '../core/error.ts'
import { expectations } from './expected.ts'
import { expectedLines } from './expected-lines.ts'
import type { Said, Told } from './source-scan.ts'
import { sourceReader } from './source-rows.ts'

const say = (said: Said): void => void process.send!(said)

async function told<T extends Told>(): Promise<T> {
  const [message] = (await once(process, 'message')) as [T]
  return message
}

process.once('disconnect', () => process.exit())
const { scan, paths } = await told<Extract<Told, { scan: unknown }>>()
const { databaseUrl, tables, pseudonymKey } = scan

async function nextTable(): Promise<number | null> {
  const answer = told<Extract<Told, { table: unknown }>>()
  say({ wants: 'table' })
  return (await answer).table
}

try {
  const lines = expectedLines(expectations(tables, pseudonymKey), paths)
  const source = await sourceReader(databaseUrl, tables)
  try {
    await source.all(nextTable, lines.add, (rows) => say({ rows }))
  } finally {
    await source.close()
  }
  say({ done: lines.end() })
} catch (error) {
  if (!(error instanceof PipelineError)) throw error
  const { code, message, remedy } = error
  say({ failed: { code, message, remedy } })
}
