/** Topics as they are made. */
import type { Admin } from 'kafkajs'
import { PipelineError } from '../core/error.ts'
import { retrying, typeOf, type Patience } from './kafka-retry.ts'
import type { TopicSettings } from './topic.ts'

/** What a record batch of one record is larger than the record's key and value, when they cannot be compressed. */
const BATCH_OVERHEAD = 4096
const REPLICAS = 3

/** Makes the topic if it is missing. TOPIC when it has other partitions than `partitions`. */
export async function openKafkaTopic(
  admin: Admin,
  settings: TopicSettings,
  partitions: number,
  patience: Patience,
): Promise<void> {
  const { name } = settings
  let found = await countPartitions(admin, name, patience)
  if (found === null) {
    const { brokers } = await retrying(() => admin.describeCluster(), patience)
    const replicationFactor = Math.min(REPLICAS, brokers.length)
    await retrying(
      () =>
        admin.createTopics({
          topics: [
            {
              topic: name,
              numPartitions: partitions,
              replicationFactor,
              configEntries: configOf(settings, replicationFactor),
            },
          ],
        }),
      patience,
    )
    found = partitions
    for (let known = null; known === null && performance.now() < patience.until;) {
      known = await countPartitions(admin, name, patience)
      found = known ?? found
    }
  }
  if (found === partitions) return
  throw new PipelineError(
    'TOPIC',
    `The topic ${name} has ${found} partitions, not ${partitions}.`,
    `Start with KAFKA_PARTITIONS=${found}; the number cannot change, because every incident stays in its partition.`,
  )
}

async function countPartitions(admin: Admin, topic: string, patience: Patience): Promise<number | null> {
  try {
    const { topics } = await retrying(
      () =>
        admin.fetchTopicMetadata({ topics: [topic] }).catch((error: unknown) => {
          if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return { topics: [] }
          throw error
        }),
      patience,
    )
    return topics[0]?.partitions.length ?? null
  } catch (error) {
    if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return null
    throw error
  }
}

/** The settings that a topic is made with, as the brokers write them. */
export function configOf({ cleanup, keptMs, maxMessageBytes }: TopicSettings, replicas: number) {
  const config: Record<string, string | number> = {
    'cleanup.policy': cleanup,
    'max.message.bytes': maxMessageBytes + BATCH_OVERHEAD,
    ...(replicas >= REPLICAS ? { 'min.insync.replicas': 2 } : {}),
    ...(cleanup === 'delete'
      ? { 'retention.ms': keptMs }
      : { 'min.compaction.lag.ms': keptMs, 'delete.retention.ms': keptMs }),
  }
  return Object.entries(config).map(([key, value]) => ({ name: key, value: String(value) }))
}
