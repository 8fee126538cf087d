/** What Kafka's transport does beyond what every transport promises (kafka.kafka.test.ts). */
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BEGINNING, position } from '../../core/position.ts'
import { kafkaClient } from '../../transport/kafkajs.ts'
import { transactions } from '../../transport/kafka-transaction.ts'
import type { Output, Received, Topic, Transport } from '../../transport/topic.ts'
import {
  dealt,
  everything,
  numbered,
  testSettings,
  testTransport,
  uniqueName,
  until,
} from '../support/kafka-records.ts'
import { describeKafka, needKafka } from '../support/kafka.ts'

describeKafka('a transport over Kafka', () => {
  let transport: Transport
  const prefix = uniqueName('prefix')
  beforeAll(async () => {
    transport = await testTransport(needKafka().brokers, { transactionalPrefix: prefix, commitMs: 10 })
  })
  afterAll(() => transport.close())

  test.each([
    [
      'compact',
      { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '86400000', 'delete.retention.ms': '86400000' },
    ],
    ['delete', { 'cleanup.policy': 'delete', 'retention.ms': '86400000' }],
  ] as const)('makes a topic with its settings: %s', async (cleanup, expected) => {
    const { name } = await transport.topic(testSettings({ cleanup, keptMs: 86_400_000, maxMessageBytes: 3_000_000 }))
    const admin = new kafkajs.Kafka({ brokers: [...needKafka().brokers], logLevel: 0 }).admin()
    await admin.connect()
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name }] })
    await admin.disconnect()
    const config = Object.fromEntries(resources[0]!.configEntries.map((each) => [each.configName, each.configValue]))
    expect(config).toMatchObject(expected)
    expect(Number(config['max.message.bytes'])).toBeGreaterThan(3_000_000)
  })

  test('refuses a topic with other partitions, and names both numbers and what to do', async () => {
    const settings = testSettings()
    await transport.topic(settings)
    const other = await testTransport(needKafka().brokers, { partitions: 5 })
    const opening = other.topic(settings)
    await expect(opening).rejects.toMatchObject({ code: 'TOPIC' })
    await expect(opening).rejects.toThrow(/has 3 partitions, not 5/)
    await expect(opening).rejects.toMatchObject({ remedy: expect.stringContaining('KAFKA_PARTITIONS=3') })
    await other.close()
  })

  test('refuses a record that the topic does not take, and writes nothing of that write', async () => {
    const topic = await transport.topic(testSettings({ maxMessageBytes: 100_000 }))
    const large = { ...numbered(3, 4)[0]!, value: Buffer.alloc(100_001) }
    await expect(topic.write([...numbered(0, 3), large])).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect(await everything(topic)).toEqual([[], [], []])
  })

  test('takes the largest record, whatever its bytes', async () => {
    const topic = await transport.topic(testSettings({ maxMessageBytes: 4_000_000 }))
    const value = Buffer.allocUnsafe(4_000_000 - 1)
    for (let i = 0; i < value.length; i++) value[i] = (i * 2_654_435_761) >>> 13
    const key = Buffer.from('k')
    await topic.write([{ partition: 0, key, value, timestampMs: 1 }])
    expect((await topic.tail(0, 1))[0]!.value!.equals(value)).toBe(true)
  })

  test('writes more to a partition than one record batch takes', async () => {
    const topic = await transport.topic(testSettings())
    await topic.write(numbered(0, 30_000, 3, 1000))
    expect(await everything(topic)).toEqual(dealt(30_000))
  })

  test('keeps the order of writes that do not wait for each other', async () => {
    const topic = await transport.topic(testSettings())
    await Promise.all(Array.from({ length: 50 }, (_, i) => topic.write(numbered(i * 60, i * 60 + 60))))
    expect(await everything(topic)).toEqual(dealt(3000))
  })

  test('does not read on behind the end of another topic', async () => {
    const topic = await transport.topic(testSettings())
    await topic.write(numbered(0, 9))
    const reading = (async () => {
      const places = new Map([[1, { next: 1000, height: BEGINNING }]])
      const options = { group: uniqueName('g'), signal: AbortSignal.timeout(30_000), aheadBytes: 1_000_000 }
      for await (const _ of topic.read({ ...options, places: () => Promise.resolve(places) }));
    })()
    await expect(reading).rejects.toMatchObject({ code: 'IDENTITY' })
    await expect(reading).rejects.toThrow(/partition 1 up to offset 1000, but the partition ends at 3/)
  })

  test('lets go of a reader that stops while more is there than it may read ahead', async () => {
    const topic = await transport.topic(testSettings())
    await topic.write(numbered(0, 3000, 3, 1000))
    const options = { group: uniqueName('g'), signal: new AbortController().signal, aheadBytes: 100_000 }
    let stoppedAt = 0
    for await (const { items } of topic.read(options)) {
      if (items.length === 0) continue
      await new Promise((resolve) => setTimeout(resolve, 500))
      stoppedAt = performance.now()
      break
    }
    expect(stoppedAt).toBeGreaterThan(0)
    expect(performance.now() - stoppedAt).toBeLessThan(2000)
  })

  test('says which brokers it cannot reach', async () => {
    const starting = testTransport(['127.0.0.1:1', '127.0.0.1:2'], { patienceMs: 300 })
    await expect(starting).rejects.toMatchObject({ code: 'BROKER' })
    await expect(starting).rejects.toThrow(/127\.0\.0\.1:1, 127\.0\.0\.1:2/)
  })

  test('is silent unless somebody listens', async () => {
    const heard: string[] = []
    const log = (_: string, message: string): void => void heard.push(message)
    await testTransport(['127.0.0.1:1'], { patienceMs: 100, log }).catch(() => {})
    expect(heard.join()).toContain('ECONNREFUSED')
  })

  interface Processing {
    readonly seen: Received[]
    stop(): Promise<void>
  }

  /** Copies in the background; `before` may hold a write up. */
  async function copying(
    through: Transport,
    source: Topic,
    target: Topic,
    group: string,
    before: (items: readonly Received[]) => Promise<void> = async () => {},
  ): Promise<Processing> {
    const stopping = new AbortController()
    const seen: Received[] = []
    const processor = await through.process(source, { group, signal: stopping.signal, aheadBytes: 100_000 })
    const running = (async () => {
      for await (const { items } of processor.feed) {
        seen.push(...items)
        if (items.length === 0) continue
        await before(items)
        await processor.sink.write(copies(items, target))
      }
    })()
    return {
      seen,
      stop: async () => {
        stopping.abort()
        await running
      },
    }
  }

  function copies(items: readonly Received[], target: Topic): Output[] {
    return [...Map.groupBy(items, ({ partition }) => partition)].map(([partition, records]) => ({
      partition,
      place: { next: records.at(-1)!.offset + 1, height: position(1, records.at(-1)!.offset + 1, 1) },
      messages: records.map((message) => ({ topic: target.name, message })),
    }))
  }

  test('hands partitions over to a process that joins, and back, without losing or doubling an output', async () => {
    const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
    const group = uniqueName('g')
    const other = await testTransport(needKafka().brokers, { transactionalPrefix: prefix, commitMs: 10 })
    for (const topic of [source, target]) await other.topic(testSettings({ name: topic.name }))
    let written = 0
    const write = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 30) await source.write(numbered(written, (written += 30)))
    }
    const first = await copying(transport, source, target, group)
    await write(600)
    await until(() => first.seen.length > 0)
    const second = await copying(other, source, target, group)
    await write(600)
    await until(async () => {
      await write(30)
      return second.seen.length > 0
    })
    await first.stop()
    await write(600)
    await until(async () => (await everything(target)).flat().length >= written)
    await second.stop()
    expect(await everything(target)).toEqual(dealt(written))
    await other.close()
  })

  const intruder = (group: string, source: Topic) =>
    transactions({
      client: kafkaClient({ brokers: needKafka().brokers, clientId: 'intruder' }),
      transactionalId: `${prefix}-${group}-0`,
      group,
      topic: source.name,
      partition: 0,
      targets: () => [],
      maxMessageBytes: () => 1_000_000,
    })
  const patience = () => ({ until: performance.now() + 20_000 })

  test('a process that was fenced off but still has the partition writes its outputs once', async () => {
    const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
    const group = uniqueName('g')
    const other = intruder(group, source)
    let fenced = false
    const process = await copying(transport, source, target, group, async () => {
      if (!fenced) await other.begin(patience())
      fenced = true
    })
    await source.write(numbered(0, 30))
    await until(async () => (await everything(target)).flat().length >= 30)
    await process.stop()
    await other.close()
    expect(fenced).toBe(true)
    expect(await everything(target)).toEqual(dealt(30))
  })

  test.each([
    ['all', 4],
    ['half', 2],
  ])(
    'a process whose records another has processed meanwhile does not write them again: %s of them',
    async (_, next) => {
      const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
      const group = uniqueName('g')
      const other = intruder(group, source)
      let fenced = false
      const process = await copying(transport, source, target, group, async () => {
        if (fenced) return
        fenced = true
        const messages = numbered(0, next * 3).filter(({ partition }) => partition === 0)
        await other.begin(patience())
        await other.commit(new Map([[target.name, messages]]), { next, height: BEGINNING }, patience())
      })
      await source.write(numbered(0, 12))
      await until(async () => (await everything(target)).flat().length >= 12)
      await source.write(numbered(12, 24))
      await until(async () => (await everything(target)).flat().length >= 24)
      await process.stop()
      await other.close()
      expect(await everything(target)).toEqual(dealt(24))
    },
  )
})
