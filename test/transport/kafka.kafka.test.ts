import { randomBytes } from 'node:crypto'
import { kafkaTransport } from '../../transport/kafka.ts'
import { topicContract } from '../contract/topic.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'

describeKafka('with a broker', () => {
  topicContract('Kafka', async () => {
    const name = `contract-${randomBytes(4).toString('hex')}`
    const partitions = 3
    const { brokers } = needKafka()
    const transport = await kafkaTransport({
      brokers: [...brokers],
      partitions,
      clientId: name,
      transactionalPrefix: name,
    })
    let topics = 0
    return {
      transport,
      partitions,
      settings: () => ({
        name: `${name}-${(topics += 1)}`,
        cleanup: 'compact',
        keptMs: 3_600_000,
        maxMessageBytes: 1_000_000,
      }),
      close: () => transport.close(),
    }
  })
})
