/** `npm run bench -- NAME [--json] [--what W] [--rows N] [--runs N]`; a run each, but of capture five. */
import { parseArgs } from 'node:util'
import { apiBench } from './api.ts'
import { captureBench } from './capture.ts'
import { consoleBench } from './console.ts'
import { deliverBench } from './deliver.ts'
import { migrateBench } from './migrate.ts'
import { reconcileBench } from './reconcile.ts'
import type { BenchOptions } from './result.ts'
import { unifyBench } from './unify.ts'
import { walkBench } from './walk.ts'

const BENCHMARKS: Readonly<Record<string, (options: BenchOptions) => Promise<readonly object[]>>> = {
  walk: walkBench,
  api: apiBench,
  capture: captureBench,
  console: consoleBench,
  unify: unifyBench,
  deliver: deliverBench,
  reconcile: reconcileBench,
  migrate: migrateBench,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    what: { type: 'string' },
    against: { type: 'string' },
    rows: { type: 'string', default: '200000' },
    runs: { type: 'string' },
  },
})
const benchmark = BENCHMARKS[positionals[0] ?? '']
if (benchmark === undefined) {
  process.stderr.write(`Name a benchmark: ${Object.keys(BENCHMARKS).join(', ')}\n`)
  process.exit(2)
}
// what it started ends with it
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const results = await benchmark({
  ...(values.what === undefined ? {} : { what: values.what }),
  ...(values.against === undefined ? {} : { against: values.against }),
  rows: Number(values.rows),
  runs: Number(values.runs ?? (positionals[0] === 'capture' ? 5 : 1)),
})
if (values.json) process.stdout.write(`${results.map((result) => JSON.stringify(result)).join('\n')}\n`)
else console.table(results)
process.exit(0)
