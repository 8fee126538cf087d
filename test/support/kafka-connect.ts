/** Kafka Connect standalone with Debezium's own transforms and an Avro converter, from Maven packages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, DEPENDENCY_PLUGIN, JVM, KAFKA, LOG4J, maven, startJava, type Server } from './kafka-maven.ts'
import { steadyPort } from './ports.ts'

const CONVERTER = '2.6.13.Final'
/** Which of Debezium's parts a worker has. The newer releases of its sink need a part of Hibernate that nobody publishes. */
const PARTS = {
  transforms: 'io.debezium:debezium-connector-postgres:3.6.3.Final',
  'jdbc-sink': 'io.debezium:debezium-connector-jdbc:3.2.0.Final',
} as const

export interface ConnectOptions {
  readonly directory: string
  readonly brokers: readonly string[]
  /** The root of Confluent's API of an Apicurio registry. */
  readonly registryUrl: string
  readonly topic: string
  readonly debezium: keyof typeof PARTS
  /** Settings of the sink beside its topic, with its transforms. */
  readonly connector: Readonly<Record<string, string>>
}

/** A worker with one sink connector over a topic whose keys and values are in Confluent's framing. */
export async function startConnect(options: ConnectOptions): Promise<Server> {
  const { directory, brokers, registryUrl, topic, connector, debezium } = options
  const [jars, port] = await Promise.all([connectJars(PARTS[debezium]), steadyPort()])
  await mkdir(directory, { recursive: true })
  const file = (name: string): string => join(directory, name)
  await writeFile(
    file('worker.properties'),
    properties({
      'bootstrap.servers': brokers.join(','),
      ...avroConverter('key', registryUrl),
      ...avroConverter('value', registryUrl),
      'offset.storage.file.filename': file('offsets'),
      listeners: `http://127.0.0.1:${port}`,
    }),
  )
  await writeFile(file('connector.properties'), properties({ name: 'sink', topics: topic, ...connector }))
  await writeFile(file('log4j2.properties'), LOG4J)
  return startJava({
    java: 'java',
    words: [
      '-Xms64m',
      '-Xmx384m',
      ...JVM,
      `-Dlog4j2.configurationFile=${file('log4j2.properties')}`,
      '-cp',
      join(jars, '*'),
      'org.apache.kafka.connect.cli.ConnectStandalone',
      file('worker.properties'),
      file('connector.properties'),
    ],
    log: file('connect.log'),
    ready: async () => (await readFile(file('connect.log'), 'utf8')).includes('Created connector sink'),
  })
}

/** For Confluent's framing. */
function avroConverter(of: 'key' | 'value', registryUrl: string): Record<string, string> {
  const registry = `${of}.converter.apicurio.registry`
  return {
    [`${of}.converter`]: 'io.apicurio.registry.utils.converter.AvroConverter',
    [`${registry}.url`]: registryUrl.replace('/apis/ccompat/v7', '/apis/registry/v2'),
    [`${registry}.id-handler`]: 'io.apicurio.registry.serde.Legacy4ByteIdHandler',
    [`${registry}.use-id`]: 'contentId',
    [`${registry}.headers.enabled`]: 'false',
  }
}

function properties(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function connectJars(debezium: string): Promise<string> {
  const [, artifact, version] = debezium.split(':')
  return cached(`connect-${KAFKA}-${artifact}-${version}-${CONVERTER}`, async (directory) => {
    const pom = join(directory, 'pom.xml')
    await writeFile(pom, pomOf(debezium))
    const jars = join(directory, 'jars')
    const words = ['-DincludeScope=runtime', `-DoutputDirectory=${jars}`]
    await maven('-f', pom, `${DEPENDENCY_PLUGIN}:copy-dependencies`, ...words)
    return jars
  })
}

const dependency = (artifact: string): string => {
  const [groupId, artifactId, version] = artifact.split(':')
  return `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`
}

/** The others bring older parts of Kafka along. */
const KAFKA_PARTS = ['connect-runtime', 'connect-file', 'connect-json', 'connect-api', 'kafka-clients'].map((part) =>
  dependency(`org.apache.kafka:${part}:${KAFKA}`),
)

const pomOf = (debezium: string): string => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>incidents</groupId>
  <artifactId>connect</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${KAFKA_PARTS.join('\n    ')}
    ${dependency(debezium)}
    ${dependency(`io.apicurio:apicurio-registry-utils-converter:${CONVERTER}`)}
    ${dependency('org.apache.logging.log4j:log4j-slf4j-impl:2.25.4')}
  </dependencies>
</project>
`
