/** What of the topics is not as they are made, and who may read the private one. */
import kafkajs, { type Admin } from 'kafkajs'
import type { Finding } from '../core/finding.ts'
import { brokerError, typeOf } from './kafka-retry.ts'
import { configOf } from './kafka-topics.ts'
import { kafkaClient, type ClientOptions } from './kafkajs.ts'
import type { TopicSettings } from './topic.ts'

const { AclResourceTypes, AclOperationTypes, AclPermissionTypes, ConfigResourceTypes, ResourcePatternTypes } = kafkajs

export interface TopicExamination {
  /** Those that are not there yet are made by capture, and no finding. */
  readonly topics: readonly TopicSettings[]
  /** Only the pipeline may read it. */
  readonly privateTopic: string
  readonly partitions: number
}

/** BROKER. */
export async function examineTopics(options: ClientOptions, given: TopicExamination): Promise<readonly Finding[]> {
  const admin = kafkaClient(options).admin()
  try {
    await admin.connect()
    const there = new Set(await admin.listTopics())
    const topics = given.topics.filter(({ name }) => there.has(name))
    const { brokers } = await admin.describeCluster()
    return [
      ...(await shapes(admin, topics, given.partitions, brokers.length)),
      ...(await settings(admin, topics, Math.min(3, brokers.length))),
      ...(there.has(given.privateTopic) ? await readers(admin, given.privateTopic) : []),
    ]
  } catch (error) {
    throw brokerError(options.brokers, 'examine the topics', error)
  } finally {
    await admin.disconnect()
  }
}

async function shapes(
  admin: Admin,
  topics: readonly TopicSettings[],
  partitions: number,
  brokers: number,
): Promise<readonly Finding[]> {
  if (topics.length === 0) return []
  const { topics: found } = await admin.fetchTopicMetadata({ topics: topics.map(({ name }) => name) })
  return found.flatMap(({ name, partitions: its }): Finding[] => {
    const replicas = Math.min(...its.map((each) => each.replicas.length))
    const behind = its.filter((each) => each.isr.length < each.replicas.length).length
    return [
      ...(its.length === partitions ? [] : [otherPartitions(name, its.length, partitions)]),
      ...(replicas >= Math.min(3, brokers) ? [] : [fewReplicas(name, replicas, Math.min(3, brokers))]),
      ...(behind === 0 ? [] : [replicasBehind(name, behind)]),
    ]
  })
}

function otherPartitions(name: string, found: number, wanted: number): Finding {
  return {
    check: 'topic-partitions',
    severity: 'error',
    found: `topic ${name} has ${found} partitions, ${wanted} were expected`,
    mend: `# start with KAFKA_PARTITIONS=${found}: every incident stays in its partition, so the number cannot change`,
  }
}

function fewReplicas(name: string, found: number, wanted: number): Finding {
  return {
    check: 'topic-replicas',
    severity: 'warning',
    found: `topic ${name} has ${found} ${found === 1 ? 'replica' : 'replicas'} where the cluster could keep ${wanted}: a lost disk loses what only it had`,
    mend: `kafka-reassign-partitions.sh --bootstrap-server … --execute # with ${wanted} replicas for each partition of ${name}`,
  }
}

function replicasBehind(name: string, partitions: number): Finding {
  return {
    check: 'topic-in-sync',
    severity: 'warning',
    found: `${partitions} partitions of topic ${name} have replicas that are not in sync`,
    mend: `kafka-topics.sh --bootstrap-server … --describe --under-replicated-partitions # a broker is down or slow`,
  }
}

/** Only what the pipeline sets itself is compared. */
async function settings(admin: Admin, topics: readonly TopicSettings[], replicas: number): Promise<readonly Finding[]> {
  if (topics.length === 0) return []
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map(({ name }) => ({ type: ConfigResourceTypes.TOPIC, name })),
  })
  return topics.flatMap((topic) => {
    const found = new Map(
      resources
        .find(({ resourceName }) => resourceName === topic.name)
        ?.configEntries.map((entry) => [entry.configName, entry.configValue]),
    )
    return configOf(topic, replicas)
      .filter(({ name, value }) => found.get(name) !== value)
      .map(({ name, value }): Finding => ({
        check: 'topic-setting',
        severity: 'warning',
        found: `topic ${topic.name} has ${name} = ${found.get(name) ?? 'nothing'}, ${value} is needed`,
        mend: `kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name ${topic.name} --add-config ${name}=${value}`,
      }))
  })
}

/** The raw topic holds names and free text: without an authoriser, or with a rule for everybody, it is open. */
async function readers(admin: Admin, topic: string): Promise<readonly Finding[]> {
  try {
    const { resources } = await admin.describeAcls({
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.MATCH,
      operation: AclOperationTypes.ANY,
      permissionType: AclPermissionTypes.ALLOW,
    })
    const reading: readonly number[] = [AclOperationTypes.ALL, AclOperationTypes.READ]
    const everybody = resources.flatMap(({ acls }) =>
      acls.filter(({ principal, operation }) => principal === 'User:*' && reading.includes(operation)),
    )
    return everybody.length === 0 ? [] : [openTo(topic, 'a rule lets everybody read it')]
  } catch (error) {
    if (typeOf(error) === 'SECURITY_DISABLED') return [openTo(topic, 'the brokers have no authoriser')]
    if (typeOf(error) === 'CLUSTER_AUTHORIZATION_FAILED') return [unseen(topic)]
    throw error
  }
}

function openTo(topic: string, why: string): Finding {
  return {
    check: 'topic-private',
    severity: 'warning',
    found: `topic ${topic} holds names and free text, and ${why}`,
    mend: `kafka-acls.sh --bootstrap-server … --remove --allow-principal 'User:*' --operation Read --topic ${topic} # with authorizer.class.name set; then allow the pipeline's principal alone`,
  }
}

function unseen(topic: string): Finding {
  return {
    check: 'topic-private',
    severity: 'warning',
    found: `who may read topic ${topic} cannot be seen with these credentials`,
    mend: `kafka-acls.sh --bootstrap-server … --add --allow-principal 'User:…' --operation Describe --cluster # for the pipeline's principal`,
  }
}
