/** A process that copies a topic with a processor until it is ended: `kafka-copier.ts BROKERS SOURCE TARGET GROUP PARTITIONS`. */
import { BEGINNING } from '../../core/position.ts'
import { kafkaTransport } from '../../transport/kafka.ts'

const [brokers, source, target, group, partitions] = process.argv.slice(2) as [string, string, string, string, string]
const transport = await kafkaTransport({
  brokers: brokers.split(','),
  partitions: Number(partitions),
  clientId: group,
  transactionalPrefix: 'copier',
  commitMs: 20,
})
const settings = { cleanup: 'compact', keptMs: 3_600_000, maxMessageBytes: 1_000_000 } as const
const from = await transport.topic({ name: source, ...settings })
const to = await transport.topic({ name: target, ...settings })
const { feed, sink } = await transport.process(from, {
  group,
  signal: new AbortController().signal,
  aheadBytes: 50_000,
})
for await (const { items } of feed) {
  await sink.write(
    [...Map.groupBy(items, ({ partition }) => partition)].map(([partition, records]) => ({
      partition,
      place: { next: records.at(-1)!.offset + 1, height: BEGINNING },
      messages: records.map((message) => ({ topic: to.name, message })),
    })),
  )
}
