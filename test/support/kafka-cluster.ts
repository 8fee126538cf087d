/** Brokers that a test or a benchmark has for itself, and may end like a power cut does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker, type Server } from './kafka-maven.ts'
import { steadyPort } from './ports.ts'

export interface OwnBrokers {
  readonly brokers: readonly string[]
  /** Ends a node like a power cut does. */
  kill(node: number): Promise<void>
  /** Starts it again, at the same address and with what its disk holds. */
  start(node: number): Promise<void>
  stop(): Promise<void>
}

/** With three nodes, topics are replicated and one node may be down. The nodes' files lie below `directory`. */
export async function startCluster(nodes: number): Promise<OwnBrokers & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'incidents-cluster-'))
  const settings: Parameters<typeof startBroker>[0][] = []
  const ports: [number, number][] = []
  for (let node = 0; node < nodes; node++) ports.push([await steadyPort(), await steadyPort()])
  const voters = ports.map(([, controllerPort], node) => `${node + 1}@127.0.0.1:${controllerPort}`).join(',')
  for (const [node, [port, controllerPort]] of ports.entries()) {
    settings.push({
      directory: join(directory, `node-${node}`),
      port,
      controllerPort,
      nodeId: node + 1,
      voters,
      replicas: nodes,
    })
  }
  const servers: Server[] = await Promise.all(settings.map((each) => startBroker(each)))
  return {
    directory,
    brokers: ports.map(([port]) => `127.0.0.1:${port}`),
    kill: (node) => servers[node]!.kill(),
    start: async (node) => {
      servers[node] = await startBroker(settings[node]!)
    },
    stop: async () => {
      await Promise.all(servers.map((server) => server.kill()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}
