/** `npm run chaos -- capture [--runs N] [--seed S] [--transport embedded|kafka] [--only FAULT,…] [--json]` */
import { parseArgs } from 'node:util'
import { stepProgress } from '../../commands/progress.ts'
import { EXIT } from '../../core/error.ts'
import { captureChaos, type ChaosRun } from './capture.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    transport: { type: 'string', default: 'embedded' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const { transport } = values
const [runs, seed] = [Number(values.runs), Number(values.seed)]
if (
  positionals[0] !== 'capture' ||
  (transport !== 'embedded' && transport !== 'kafka') ||
  !(runs > 0) ||
  !(seed >= 0)
) {
  process.stderr.write(
    'npm run chaos -- capture [--runs N] [--seed S] [--transport embedded|kafka] [--only FAULT,…] [--json]\n',
  )
  process.exit(EXIT.usage)
}
const repeat = `--runs ${runs} --seed ${seed} --transport ${transport}${values.only === undefined ? '' : ` --only ${values.only}`}`
const again = `The same again: npm run chaos -- capture ${repeat}\n`
process.stderr.write(`chaos: ${repeat}\n`)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
process.once('SIGTERM', () => stop.abort())

const progress = stepProgress('runs', runs)
const done: ChaosRun[] = []
const only = values.only === undefined ? {} : { only: values.only.split(',') }
try {
  for await (const result of captureChaos({ transport, seed, runs, ...only, signal: stop.signal })) {
    done.push(result)
    progress(done.length)
    if (!process.stderr.isTTY) process.stderr.write(`${line(result)}\n`)
    for (const violation of result.violations) process.stderr.write(`  ${violation}\n`)
    if (result.log !== '') process.stderr.write(`${result.log}\n`)
  }
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n${again}`)
    process.exit(EXIT.unexpected)
  }
}

const sum = (of: (result: ChaosRun) => number): number => done.reduce((total, each) => total + of(each), 0)
const behind = done.map(({ behindMs }) => behindMs).toSorted((a, b) => a - b)
const violations = sum((each) => each.violations.length)
const report = {
  seed,
  transport,
  runs: done.length,
  violations,
  faults: Object.fromEntries([...Map.groupBy(done, ({ fault }) => fault)].map(([fault, its]) => [fault, its.length])),
  transactions: sum((each) => each.transactions),
  rolledBack: sum((each) => each.rolledBack),
  changes: sum((each) => each.changes),
  dropped: sum((each) => each.dropped),
  behindP50Ms: Math.round(behind[Math.floor(behind.length / 2)] ?? 0),
  behindMaxMs: Math.round(behind.at(-1) ?? 0),
  seconds: Math.round(sum((each) => each.seconds)),
}
if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`)
else {
  console.table(report.faults)
  const { faults: _, ...numbers } = report
  console.table(numbers)
}
if (violations > 0) process.stderr.write(`Violated. ${again}`)
process.exit(violations > 0 ? EXIT.difference : stop.signal.aborted ? EXIT.interrupted : EXIT.done)

function line({ run, fault, says, changes, dropped, behindMs, seconds, violations: found }: ChaosRun): string {
  const verdict = found.length === 0 ? 'well' : 'VIOLATED'
  return `${run} ${fault}: ${says}: ${changes} changes, ${dropped} dropped, ${Math.round(behindMs)} ms behind, ${seconds.toFixed(1)} s: ${verdict}`
}
