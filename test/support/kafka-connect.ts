/** Kafka Connect standalone with Debezium's own transforms and an Avro converter, from Maven packages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, DEPENDENCY_PLUGIN, JVM, KAFKA, LOG4J, maven, startJava, type Server } from './kafka-maven.ts'
import { steadyPort } from './ports.ts'

const DEBEZIUM = '3.6.3.Final'
const CONVERTER = '2.6.13.Final'

export interface ConnectOptions {
  readonly directory: string
  readonly brokers: readonly string[]
  /** The root of Confluent's API of an Apicurio registry. */
  readonly registryUrl: string
  readonly topic: string
  /** Settings of the sink beside its topic, with its transforms. */
  readonly connector: Readonly<Record<string, string>>
}

/** A worker with one sink connector over a topic whose values are in Confluent's framing. */
export async function startConnect(options: ConnectOptions): Promise<Server> {
  const { directory, brokers, registryUrl, topic, connector } = options
  const [jars, port] = await Promise.all([connectJars(), steadyPort()])
  await mkdir(directory, { recursive: true })
  const file = (name: string): string => join(directory, name)
  const value = 'value.converter.apicurio.registry'
  await writeFile(
    file('worker.properties'),
    properties({
      'bootstrap.servers': brokers.join(','),
      'key.converter': 'org.apache.kafka.connect.converters.ByteArrayConverter',
      'value.converter': 'io.apicurio.registry.utils.converter.AvroConverter',
      [`${value}.url`]: registryUrl.replace('/apis/ccompat/v7', '/apis/registry/v2'),
      [`${value}.id-handler`]: 'io.apicurio.registry.serde.Legacy4ByteIdHandler',
      [`${value}.use-id`]: 'contentId',
      [`${value}.headers.enabled`]: 'false',
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

function properties(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function connectJars(): Promise<string> {
  return cached(`connect-${KAFKA}-${DEBEZIUM}-${CONVERTER}`, async (directory) => {
    const pom = join(directory, 'pom.xml')
    await writeFile(pom, POM)
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

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>incidents</groupId>
  <artifactId>connect</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${KAFKA_PARTS.join('\n    ')}
    ${dependency(`io.debezium:debezium-connector-postgres:${DEBEZIUM}`)}
    ${dependency(`io.apicurio:apicurio-registry-utils-converter:${CONVERTER}`)}
    ${dependency('org.apache.logging.log4j:log4j-slf4j-impl:2.25.4')}
  </dependencies>
</project>
`
