/**
 * Run by test/chaos/capture-process.ts: capture alone, as `incidents capture` and `incidents run` have it, until it ends
 * by itself or its parent does. `FAILPOINT` as `step:count` ends it like a power cut the count-th time it gets there.
 */
import { parseConfig } from '../../config.ts'
import { PipelineError } from '../../core/error.ts'
import { lockStateDirectory } from '../../transport/state-directory.ts'
import { logger, metrics } from '../../observability.ts'
import { capture } from '../../pipeline.ts'
import { embeddedRuntime, kafkaRuntime } from '../../runtime.ts'
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
try {
  const config = parseConfig(environment)
  const lock = await lockStateDirectory(config.STATE_DIR)
  const log = logger(config.LOG_LEVEL)
  const open = config.KAFKA_BROKERS === undefined ? embeddedRuntime : kafkaRuntime
  const runtime = await open({ config, log, metrics: metrics() })
  process.send!({ ready: true })
  await supervise(new Map([['capture', (signal: AbortSignal) => capture(runtime, signal, reached)]]), log, stop.signal)
  await runtime.transport.close()
  lock.release()
} catch (error) {
  const code = error instanceof PipelineError ? error.code : 'unexpected'
  process.stderr.write(`${code}: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
if (process.connected) process.disconnect()
