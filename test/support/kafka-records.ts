/** Numbered records, and whether all of them are there, once and in order. */
import { randomBytes } from 'node:crypto'
import { kafkaTransport, type KafkaOptions } from '../../transport/kafka.ts'
import type { Message, Received, Topic, TopicSettings, Transport } from '../../transport/topic.ts'
import { PATIENCE_MS } from './patience.ts'

export function testTransport(brokers: readonly string[], more: Partial<KafkaOptions> = {}): Promise<Transport> {
  return kafkaTransport({ brokers, partitions: 3, clientId: 'test', transactionalPrefix: uniqueName('t'), ...more })
}

export function uniqueName(what: string): string {
  return `${what}-${randomBytes(5).toString('hex')}`
}

export function testSettings(more: Partial<TopicSettings> = {}): TopicSettings {
  return { name: uniqueName('topic'), cleanup: 'compact', keptMs: 3_600_000, maxMessageBytes: 1_000_000, ...more }
}

/** `from` to `to` - 1, dealt out to the partitions in turn; each with so many random bytes. */
export function numbered(from: number, to: number, partitions = 3, padding = 0): Message[] {
  return Array.from({ length: to - from }, (_, i) => ({
    partition: (from + i) % partitions,
    key: Buffer.from(`key-${from + i}`),
    value: Buffer.concat([Buffer.from(`${from + i} `), randomBytes(padding)]),
    timestampMs: Date.now(), // a broker that restarts forgets producers whose newest record is older than a day
  }))
}

export function numberOf({ value }: Received): number {
  return Number.parseInt(String(value), 10)
}

/** The numbers per partition, as a read-committed reader finds them from the beginning until the topic's end. */
export async function everything(topic: Topic): Promise<number[][]> {
  const bounds = await topic.bounds()
  const found: number[][] = bounds.map(() => [])
  await Promise.all(
    bounds.map(async ({ high }, partition) => {
      for (const record of await topic.tail(partition, high)) found[partition]!.push(numberOf(record))
    }),
  )
  return found
}

/** What `everything` gives of `numbered(0, count)` that was written once and in order. */
export function dealt(count: number, partitions = 3): number[][] {
  return Array.from({ length: partitions }, (_, partition) =>
    Array.from({ length: Math.ceil((count - partition) / partitions) }, (_, i) => partition + i * partitions),
  )
}

/** Waits for what must come true. */
export async function until(holds: () => boolean | Promise<boolean>, ms = PATIENCE_MS): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`did not come true within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
