/** What a chaos run happens in: a server, a capture, a topic, and what lies between them, each of which can be broken. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../../observability.ts'
import { embeddedRuntime, kafkaRuntime, type Runtime } from '../../runtime.ts'
import { startPostgres, type LocalPostgres } from '../../workload/postgres.ts'
import { startBroker, startRegistry, type Server } from '../support/kafka-maven.ts'
import { steadyPort } from '../support/ports.ts'
import { proxy, type Proxy } from '../support/proxy.ts'
import { smallDisk, type SmallDisk } from '../support/small-disk.ts'
import { captureProcess, type CaptureProcess } from './capture-process.ts'

export interface World {
  /** Past the network that capture has. */
  readonly url: string
  readonly postgres: {
    /** An immediate stop, which is a crash to all that is connected; back after so many milliseconds. */
    crash(downMs: number): Promise<void>
  }
  /** Between capture and PostgreSQL. */
  readonly network: Proxy
  /** The state directory's; null where no device can be made. */
  readonly disk: SmallDisk | null
  readonly broker: {
    /** `kill -9`; back after so many milliseconds. */
    crash(downMs: number): Promise<void>
    readonly network: Proxy
  } | null
  readonly capture: CaptureProcess
  /** The topic as another process has it; to be closed. */
  open(): Promise<Runtime>
  close(): Promise<void>
}

/** Of slot, publication and topics. */
export const NAMESPACE = 'chaos'

export type Transport = 'embedded' | 'kafka'

/** Room for the topic of some thousand runs; a device takes what lies on it. */
const DISK_BYTES = 8 * 2 ** 30
/** Low, so that transactions of some hundred rows are streamed, and that silence is noticed within seconds. */
const SETTINGS = ['fsync=off', 'logical_decoding_work_mem=64kB', 'wal_sender_timeout=3s', 'max_connections=50']

export interface WorldOptions {
  readonly transport: Transport
  /** With Kafka: one that runs already; absent: one of its own. */
  readonly registryUrl?: string
}

/** Starts everything but the load. Rejects with what could not be started, and leaves nothing running. */
export async function chaosWorld(options: WorldOptions): Promise<World> {
  const undo: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    const failures: unknown[] = []
    for (const each of undo.splice(0).reverse()) {
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
  try {
    return await build(options, undo, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  { transport, registryUrl }: WorldOptions,
  undo: (() => unknown)[],
  close: () => Promise<void>,
): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-chaos-'))
  await chmod(directory, 0o755) // PostgreSQL never runs as root: its own user must be able to come this way
  undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }))
  const server = await crashingPostgres(join(directory, 'pg'))
  undo.push(() => server.stop())
  await initSource(server.url, { publication: NAMESPACE })
  const network = await proxy(server.port)
  undo.push(() => network.close())
  const disk = await smallDisk(DISK_BYTES).catch(() => null)
  if (disk !== null) undo.push(() => disk.remove())
  const through = new URL(server.url)
  through.port = String(network.port)
  const broker = transport === 'kafka' ? await crashingBroker(directory, registryUrl, undo) : null
  const environment = {
    DATABASE_URL: through.href,
    NAMESPACE,
    STATE_DIR: join(disk?.path ?? directory, 'state'),
    LOG_LEVEL: 'warn',
    ...broker?.environment,
  }
  const capture = captureProcess(environment)
  undo.push(() => capture.stop())
  const open = transport === 'kafka' ? kafkaRuntime : embeddedRuntime
  return {
    url: server.url,
    postgres: server,
    network,
    disk,
    broker,
    capture,
    open: () => open({ config: parseConfig(environment), log: logger('silent'), metrics: metrics() }),
    close,
  }
}

interface CrashingPostgres {
  readonly url: string
  readonly port: number
  crash(downMs: number): Promise<void>
  stop(): Promise<void>
}

async function crashingPostgres(directory: string): Promise<CrashingPostgres> {
  const port = await steadyPort()
  const start = (): Promise<LocalPostgres> => startPostgres({ directory, port, settings: SETTINGS })
  const { url } = await start()

  /** It may be gone already: a terminal's Ctrl-C reaches the server too. */
  async function end(): Promise<void> {
    const held = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => null)
    const pid = Number(held?.split('\n')[0])
    if (held === null || !isAlive(pid)) return
    process.kill(pid, 'SIGQUIT')
    while (isAlive(pid)) await sleep(20)
  }

  return {
    url,
    port,
    crash: async (downMs) => {
      await end()
      await sleep(downMs)
      await start()
    },
    stop: end,
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function crashingBroker(directory: string, registryUrl: string | undefined, undo: (() => unknown)[]) {
  const [port, controllerPort] = [await steadyPort(), await steadyPort()]
  const network = await proxy(port)
  undo.push(() => network.close())
  const settings = {
    directory: join(directory, 'broker'),
    port,
    controllerPort,
    nodeId: 1,
    voters: `1@127.0.0.1:${controllerPort}`,
    replicas: 1,
    advertisedPort: network.port,
  }
  let server: Server = await startBroker(settings)
  undo.push(() => server.kill())
  const registry = registryUrl === undefined ? await startRegistry(join(directory, 'registry')) : null
  undo.push(() => registry?.kill())
  return {
    network,
    environment: { KAFKA_BROKERS: `127.0.0.1:${network.port}`, SCHEMA_REGISTRY_URL: registryUrl ?? registry!.url },
    crash: async (downMs: number) => {
      await server.kill()
      await sleep(downMs)
      server = await startBroker(settings)
    },
  }
}
