/** The process behind arriving.ts: `arriving-load.ts URL ROWS-A-SECOND`, until it is told to stop. */
import pg from 'pg'
import { runTransactions } from '../workload/load.ts'

const [url = '', rowsPerSecond = ''] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 2, application_name: 'the load' })
const trial = await runTransactions(pool, { seed: 11, transactions: 100 })
const rate = (Number(rowsPerSecond) * trial.transactions) / trial.changes
const stop = new AbortController()
process.once('message', () => stop.abort())
process.once('disconnect', () => process.exit(1)) // whoever measures is gone
const begun = performance.now()
process.send!('begun')
const { changes } = await runTransactions(pool, {
  seed: 12,
  transactions: Number.MAX_SAFE_INTEGER,
  rate,
  signal: stop.signal,
})
process.send!(Math.round((changes * 1000) / (performance.now() - begun)), () => process.exit(0))
