/** Fills a store until files are merged, and kills itself behind one step of that. Arguments: directory, step. */
import { DuckDBConnection } from '@duckdb/node-api'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { projections } from '../../schemas/policy/projection.ts'
import { pairTransaction } from './analytics-load.ts'

const [directory = '', step = ''] = process.argv.slice(2)
let merging = false

const run = DuckDBConnection.prototype.run
DuckDBConnection.prototype.run = async function (sql, ...rest) {
  if (/^COPY \(SELECT .* FROM read_parquet\(\[.*history\/report.*,/s.test(sql)) merging = true
  const result = await run.call(this, sql, ...rest)
  if (merging && step === 'written' && sql.startsWith('COPY')) kill()
  if (merging && step === 'listed' && /UPDATE file[\s\S]*COMMIT/.test(sql)) kill()
  return result
}

const { renameSync } = fs
fs.renameSync = (from, to) => {
  renameSync(from, to)
  if (merging && step === 'named') kill()
}
syncBuiltinESMExports()

function kill(): void {
  process.kill(process.pid, 'SIGKILL')
}

const { analytics } = await import('../../sinks/analytics.ts')
const sink = await analytics({
  directory,
  projections: projections('analytics', 'a key for tests'),
  rulesVersion: 'rules-1',
  publish: { intervalMs: 3_600_000 },
  recentChanges: 10,
})
for (let n = 0; n < 1_000; n += 5) {
  await sink.write(Array.from({ length: 5 }, (_, i) => pairTransaction(n + i)).flat())
  await sink.publish()
}
