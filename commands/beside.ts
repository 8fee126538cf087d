/** What a command stands on that looks at a pipeline from beside. */
import type { Config } from '../config.ts'
import { PipelineError } from '../core/error.ts'
import { logger, metrics } from '../observability.ts'
import { embeddedRuntime, kafkaRuntime, type Runtime } from '../runtime.ts'
import { holdsTopics } from '../transport/embedded-file.ts'

/** CONFIG where no pipeline has run yet: its state directory would be made, and found empty. */
export async function runtimeBeside(config: Config): Promise<Runtime> {
  const environment = { config, log: logger(config.LOG_LEVEL), metrics: metrics() }
  if (config.KAFKA_BROKERS !== undefined) return kafkaRuntime(environment)
  if (!holdsTopics(config.STATE_DIR)) {
    throw new PipelineError(
      'CONFIG',
      `STATE_DIR is ${config.STATE_DIR}, which holds no topics: no pipeline has run with it`,
      'Set STATE_DIR to that of the pipeline, or KAFKA_BROKERS to its brokers.',
    )
  }
  return embeddedRuntime(environment)
}
