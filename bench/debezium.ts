/**
 * Debezium in a standalone Kafka Connect worker, from Maven's packages, on the same database, brokers and registry: what
 * capture is compared with. Set as its documentation advises for throughput: large batches and queue, compression, a
 * parallel collector with room.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cpuOf, peakRssOf } from './cpu.ts'
import type { Measured } from './process.ts'

const run = promisify(execFile)

const KAFKA = '4.3.1'
const DEBEZIUM = '3.6.3.Final'
const CONVERTER = '2.6.13.Final'
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

export interface DebeziumOptions {
  readonly directory: string
  readonly databaseUrl: string
  readonly brokers: string
  /** The root of Confluent's API, as Apicurio serves it. */
  readonly registryUrl: string
  /** Name of slot and publication, and prefix of the topics; both must exist. */
  readonly name: string
  readonly table: string
}

/** Streams from the slot's place. */
export async function startDebezium(options: DebeziumOptions): Promise<Measured> {
  const home = await packages()
  const { directory } = options
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'worker.properties'), properties(worker(options, home)))
  await writeFile(join(directory, 'connector.properties'), properties(connector(options)))
  await writeFile(join(directory, 'log4j2.properties'), LOG4J)
  const jars = (await readdir(join(home, 'lib'))).map((name) => join(home, 'lib', name)).join(':')
  const child = spawn(
    'java',
    [
      '-Xms2g',
      '-Xmx2g',
      '-XX:+UseParallelGC',
      `-Dlog4j2.configurationFile=${join(directory, 'log4j2.properties')}`,
      `-Dlog=${join(directory, 'connect.log')}`,
      '-cp',
      jars,
      'org.apache.kafka.connect.cli.ConnectStandalone',
      join(directory, 'worker.properties'),
      join(directory, 'connector.properties'),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    cpuMicros: () => cpuOf(child.pid!),
    peakRssMiB: () => peakRssOf(child.pid!),
    stop: async () => {
      child.kill('SIGTERM')
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref()
      await ended
    },
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function worker({ directory, brokers, registryUrl }: DebeziumOptions, home: string): Record<string, string | number> {
  const converter = (side: string): Record<string, string> => ({
    [`${side}.converter`]: 'io.apicurio.registry.utils.converter.AvroConverter',
    [`${side}.converter.apicurio.registry.url`]: registryUrl.replace(/\/apis\/.*$/, '/apis/registry/v2'),
    [`${side}.converter.apicurio.registry.auto-register`]: 'true',
    [`${side}.converter.apicurio.registry.find-latest`]: 'true',
    [`${side}.converter.apicurio.registry.id-handler`]: 'io.apicurio.registry.serde.Legacy4ByteIdHandler',
    [`${side}.converter.apicurio.registry.use-id`]: 'contentId',
    [`${side}.converter.apicurio.registry.headers.enabled`]: 'false',
  })
  return {
    'bootstrap.servers': brokers,
    'offset.storage.file.filename': join(directory, 'offsets'),
    'offset.flush.interval.ms': 10_000,
    'plugin.path': join(home, 'plugins'),
    'plugin.discovery': 'hybrid_warn',
    listeners: 'http://127.0.0.1:0',
    'producer.enable.idempotence': 'true',
    'producer.linger.ms': 5,
    'producer.batch.size': 524_288,
    'producer.buffer.memory': 134_217_728,
    'producer.compression.type': 'lz4',
    ...converter('key'),
    ...converter('value'),
  }
}

function connector({ databaseUrl, name, table }: DebeziumOptions): Record<string, string | number> {
  const url = new URL(databaseUrl)
  return {
    name,
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': 1,
    'plugin.name': 'pgoutput',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': url.username,
    'database.password': url.password,
    'database.dbname': url.pathname.slice(1),
    'topic.prefix': name,
    'slot.name': name,
    'publication.name': name,
    'publication.autocreate.mode': 'disabled',
    'table.include.list': table,
    'snapshot.mode': 'no_data',
    'schema.name.adjustment.mode': 'avro',
    'tombstones.on.delete': 'false',
    'max.batch.size': 20_480,
    'max.queue.size': 81_920,
  }
}

function properties(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

const LOG4J = `status=error
appender.f.type=File
appender.f.name=F
appender.f.fileName=\${sys:log}
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.f.ref=F
`

/** Fetched once; what is half done is never seen. */
async function packages(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'incidents')
  const target = join(cache, `connect-${KAFKA}-${DEBEZIUM}`)
  if (existsSync(target)) return target
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, '.new-'))
  await fetchJars(work, join(work, 'lib'), [
    `org.apache.kafka:connect-runtime:${KAFKA}`,
    `org.apache.kafka:connect-json:${KAFKA}`,
    'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4',
  ])
  for (const [folder, artifact] of [
    ['debezium', `io.debezium:debezium-connector-postgres:${DEBEZIUM}`],
    ['converter', `io.apicurio:apicurio-registry-utils-converter:${CONVERTER}`],
  ] as const) {
    const to = join(work, 'plugins', folder)
    await fetchJars(work, to, [artifact])
    // the worker brings these itself; an older one beside it stops the plugin's scan
    for (const jar of await readdir(to))
      if (/^(kafka-clients|connect-api|connect-json|slf4j-api)-/.test(jar)) await rm(join(to, jar))
  }
  await rename(work, target)
  return target
}

async function fetchJars(work: string, to: string, artifacts: readonly string[]): Promise<void> {
  const dependency = (artifact: string): string => {
    const [group, name, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`
  }
  const managed = ['kafka-clients', 'connect-api'].map((name) => dependency(`org.apache.kafka:${name}:${KAFKA}`))
  const pom = join(work, 'pom.xml')
  await writeFile(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
     <groupId>incidents</groupId><artifactId>connect</artifactId><version>1</version><packaging>pom</packaging>
     <dependencyManagement><dependencies>${managed.join('')}</dependencies></dependencyManagement>
     <dependencies>${artifacts.map(dependency).join('')}</dependencies></project>`,
  )
  const words = ['-B', '-q', '-ntp', '-f', pom, PLUGIN, '-DincludeScope=runtime', `-DoutputDirectory=${to}`]
  await run('mvn', words, { cwd: work })
}
