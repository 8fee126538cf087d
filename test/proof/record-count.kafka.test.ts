import { expect, test } from 'vitest'
import { BEGINNING } from '../../core/position.ts'
import { recordCounter } from '../../proof/record-count.ts'
import { transactions } from '../../transport/kafka-transaction.ts'
import { kafkaClient } from '../../transport/kafkajs.ts'
import { numbered, testSettings, testTransport, uniqueName } from '../support/kafka-records.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'

describeKafka('the records of a topic', () => {
  test('are counted without the ends of the transactions that wrote them, or wrote nothing', async () => {
    const { brokers } = needKafka()
    const transport = await testTransport(brokers)
    const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
    const group = uniqueName('g')
    const writer = transactions({
      client: kafkaClient({ brokers, clientId: 'test' }),
      transactionalId: uniqueName('t'),
      group,
      topic: source.name,
      partition: 0,
      targets: () => [target.name],
      maxMessageBytes: () => 1_000_000,
    })
    const patience = () => ({ until: performance.now() + 20_000 })
    const count = recordCounter(target)
    const offsets = async () => (await target.bounds()).reduce((sum, { high }) => sum + high, 0)
    const write = async (next: number, records: number) => {
      const messages = numbered(next, next + records, 1)
      await writer.commit(new Map([[target.name, messages]]), { next, height: BEGINNING }, patience())
    }
    await writer.begin(patience())
    await write(0, 3)
    await expect.poll(count, { timeout: 20_000 }).toBe(3) // an end is in the partitions a moment after it is durable
    await writer.begin(patience()) // writes the end once more
    expect(await count()).toBe(3)
    await write(3, 2)
    await expect.poll(count, { timeout: 20_000 }).toBe(5)
    expect(await recordCounter(target)()).toBe(5)
    expect(await offsets()).toBeGreaterThan(5)
    await writer.close()
    await transport.close()
  })
})
