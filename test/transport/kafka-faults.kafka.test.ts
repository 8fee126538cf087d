/** Brokers and processes that die like in a power cut. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { BEGINNING } from '../../core/position.ts'
import type { Topic } from '../../transport/topic.ts'
import {
  dealt,
  everything,
  numbered,
  numberOf,
  testSettings,
  testTransport,
  uniqueName,
  until,
} from '../support/kafka-records.ts'
import {
  describeKafka,
  describeOwnBroker,
  describeOwnCluster,
  needKafka,
  ownBroker,
  ownCluster,
} from '../support/kafka.ts'
import { pause } from '../../core/pause.ts'

/** Writes on until it is stopped; then resolves with how many records were acknowledged. */
function writing(topic: Topic): { written(): number; stop(): Promise<number> } {
  let stopped = false
  let written = 0
  const running = (async () => {
    while (!stopped) {
      await topic.write(numbered(written, written + 300, 3, 200))
      written += 300
    }
  })()
  return {
    written: () => written,
    stop: async () => {
      stopped = true
      await running
      return written
    },
  }
}

/** Reads on in the background. */
function readingOf(topic: Topic) {
  const stopping = new AbortController()
  const seen: number[] = []
  const running = (async () => {
    for await (const { items, ack } of topic.read({
      group: uniqueName('g'),
      signal: stopping.signal,
      aheadBytes: 1_000_000,
    })) {
      for (const item of items) seen.push(numberOf(item))
      await ack()
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

/** Waits until the writer has got through what happened, and on for a moment. */
async function writesOn(writer: { written(): number }): Promise<void> {
  const before = writer.written()
  await until(() => writer.written() > before + 900)
  await pause(300)
}

describeOwnBroker('a broker that dies and comes back', () => {
  test('costs writers and readers time, and no record is lost, doubled or out of order', async () => {
    const own = await ownBroker()
    const transport = await testTransport(own.brokers)
    const topic = await transport.topic(testSettings())
    const reader = readingOf(topic)
    const writer = writing(topic)
    for (let i = 0; i < 2; i++) {
      await writesOn(writer)
      await own.kill(0)
      await pause(1500)
      await own.start(0)
    }
    await writesOn(writer)
    const written = await writer.stop()
    expect(await everything(topic)).toEqual(dealt(written))
    await until(() => new Set(reader.seen).size === written)
    await reader.stop()
    await transport.close()
    await own.stop()
  })
})

describeOwnBroker('a broker that dies under a processor', () => {
  test('costs time, and every output is there once and in order, however old its records are', async () => {
    const own = await ownBroker()
    const transport = await testTransport(own.brokers, { commitMs: 20 })
    const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
    const writer = writing(source)
    const stopping = new AbortController()
    const options = { group: uniqueName('g'), signal: stopping.signal, aheadBytes: 50_000 }
    let writes = 0
    const running = (async () => {
      const { feed, sink } = await transport.process(source, options)
      for await (const { items } of feed) {
        const outputs = [...Map.groupBy(items, ({ partition }) => partition)].map(([partition, records]) => ({
          partition,
          place: { next: records.at(-1)!.offset + 1, height: BEGINNING },
          messages: records.map((each) => ({
            topic: target.name,
            message: { ...each, timestampMs: 1_700_000_000_000 },
          })),
        }))
        await sink.write(outputs)
        if (outputs.length > 0) writes += 1
      }
    })()
    for (let i = 0; i < 2; i++) {
      const before = writes
      await until(() => writes > before + 5)
      await own.kill(0)
      await pause(1000)
      await own.start(0)
    }
    const count = await writer.stop()
    await until(async () => {
      const places = await transport.committed(options.group, source)
      return places.values().reduce((sum, { next }) => sum + next, 0) === count
    })
    stopping.abort()
    await running
    expect(await everything(target)).toEqual(dealt(count))
    await transport.close()
    await own.stop()
  }, 150_000)
})

describeOwnCluster('a cluster that loses leaders', () => {
  test('costs writers time, and no record is lost, doubled or out of order', async () => {
    const own = await ownCluster(3)
    const transport = await testTransport(own.brokers)
    const topic = await transport.topic(testSettings())
    const writer = writing(topic)
    for (const node of [0, 1]) {
      await writesOn(writer)
      await own.kill(node)
      await writesOn(writer)
      await own.start(node)
      await pause(2000) // until it has caught up: only one of three may be away
    }
    await writesOn(writer)
    const written = await writer.stop()
    expect(await everything(topic)).toEqual(dealt(written))
    await transport.close()
    await own.stop()
  }, 150_000)
})

describeKafka('a processor that is killed', () => {
  test('again and again, anywhere, leaves every output once and in order', async () => {
    const { brokers } = needKafka()
    const transport = await testTransport(brokers)
    const [source, target] = [await transport.topic(testSettings()), await transport.topic(testSettings())]
    const group = uniqueName('g')
    const count = 30_000
    for (let i = 0; i < count; i += 300) await source.write(numbered(i, i + 300, 3, 250))
    const copier = new URL('../support/kafka-copier.ts', import.meta.url).pathname
    let kills = 0
    const done = async () =>
      (await transport.committed(group, source)).values().reduce((sum, { next }) => sum + next, 0)
    for (let seed = 7; (await done()) < count; seed = (seed * 16_807) % 2_147_483_647) {
      const child = spawn(process.execPath, [copier, brokers.join(','), source.name, target.name, group, '3'], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const before = await done()
      await until(async () => (await done()) > before || child.exitCode !== null)
      await pause(seed % 100)
      if (kills < 5) {
        kills += 1
        child.kill('SIGKILL')
      } else {
        await until(async () => (await done()) === count)
        child.kill('SIGKILL')
      }
      await once(child, 'exit')
    }
    expect(kills).toBe(5)
    expect(await everything(target)).toEqual(dealt(count))
    await transport.close()
  }, 300_000)
})
