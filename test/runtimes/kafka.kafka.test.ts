import { kafkaRuntime } from '../../runtime.ts'
import { SINKS } from '../../sinks/names.ts'
import { runtimeContract } from '../contract/runtime.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'
import { startStage } from '../support/processes.ts'

describeKafka('the same stages as processes on Kafka', () => {
  runtimeContract({
    open: kafkaRuntime,
    more: () => {
      const { brokers, registryUrl } = needKafka()
      return { KAFKA_BROKERS: brokers.join(','), SCHEMA_REGISTRY_URL: registryUrl }
    },
    start: (environment) => [
      startStage('capture', ['capture'], environment),
      startStage('unify', ['unify'], environment),
      ...SINKS.map((name) => startStage(name, ['deliver', name], environment)),
      startStage('serve', ['serve'], environment),
    ],
  })
})
