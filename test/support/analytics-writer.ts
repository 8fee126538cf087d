/**
 * A process of its own that writes pair transactions from the sink's place on, some of them in two pieces, until it is
 * killed: `node analytics-writer.ts DIRECTORY`. Prints the number of transactions that are written, a line each write.
 */
import { analytics } from '../../sinks/analytics.ts'
import { analyticsOptions } from './analytics.ts'
import { pairTransaction } from './analytics-load.ts'

const sink = await analytics(analyticsOptions(process.argv[2]!, { publish: { intervalMs: 100 }, recentChanges: 100 }))
let n = ((await sink.places([0])).get(0)?.next ?? 0) / 2
while (true) {
  const whole = [...pairTransaction(n), ...pairTransaction(n + 1)]
  const [first, second] = pairTransaction(n + 2)
  await sink.write([...whole, first])
  await sink.write([second])
  n += 3
  process.stdout.write(`${n}\n`)
}
