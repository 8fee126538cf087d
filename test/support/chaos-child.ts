/**
 * Run by test/chaos/capture-process.ts: capture alone, as `incidents capture` and `incidents run` have it, until it ends
 * by itself or its parent does. `FAILPOINT` as `step:count` ends it like a power cut the count-th time it gets there.
 */
import { parseConfig } from '../../config.ts'
import { PipelineError } from '../../core/error.ts'
import { lockStateDirectory, type StateDirectory } from '../../transport/state-directory.ts'
import { logger, metrics } from '../../observability.ts'
import { capture } from '../../pipeline.ts'
import { embeddedRuntime, kafkaRuntime, type Runtime } from '../../runtime.ts'
import { supervise } from '../../commands/supervision.ts'

const { FAILPOINT = '', ...environment } = process.env
const [name = '', count = '1'] = FAILPOINT.split(':')
let left = Number(count)

function reached(step: string): void {
  if (step !== name || --left > 0) return
  process.kill(process.pid, 'SIGKILL')
}

const stop = new AbortController()
process.once('disconnect', () => stop.abort())
process.once('SIGTERM', () => stop.abort())
let lock: StateDirectory | null = null
let runtime: Runtime | null = null
try {
  const config = parseConfig(environment)
  lock = await lockStateDirectory(config.STATE_DIR)
  const log = logger(config.LOG_LEVEL)
  const open = config.KAFKA_BROKERS === undefined ? embeddedRuntime : kafkaRuntime
  const opened = (runtime = await open({ config, log, metrics: metrics() }))
  const stage = (signal: AbortSignal): Promise<void> => capture(opened, signal, reached)
  await supervise(new Map([['capture', stage]]), log, stop.signal)
} catch (error) {
  const code = error instanceof PipelineError ? error.code : 'unexpected'
  process.stderr.write(`${code}: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await runtime?.transport.close()
  lock?.release()
}
if (process.connected) process.disconnect()
// as commands/main.ts: what a library leaves open must not keep the process
setTimeout(() => process.exit(), 2_000).unref()
