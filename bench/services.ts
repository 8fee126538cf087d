/** What a benchmark runs on: PostgreSQL with its defaults, a real broker, a real registry; all on this machine. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafkaServices } from '../test/support/kafka-services.ts'
import { startPostgres } from '../workload/postgres.ts'

export interface Services {
  readonly directory: string
  readonly databaseUrl: string
  readonly brokers: string
  readonly registryUrl: string
  stop(): Promise<void>
}

/** The environment of a pipeline on these services. */
export function environmentOf(services: Services) {
  return {
    DATABASE_URL: services.databaseUrl,
    KAFKA_BROKERS: services.brokers,
    SCHEMA_REGISTRY_URL: services.registryUrl,
    NAMESPACE: `bench_${process.pid}`,
    STATE_DIR: join(services.directory, 'state'),
    DPR_DIR: join(services.directory, 'dpr'),
    ANALYTICS_DIR: join(services.directory, 'analytics'),
    PSEUDONYM_KEY: 'a key for benchmarks only',
    DPR_FLUSH_MS: '1000',
  }
}

/** Brokers and registry as the tests find them: given ones, containers, or Maven packages. */
export async function startServices(): Promise<Services> {
  const kafka = await startKafkaServices()
  if (kafka === null) throw new Error('this benchmark needs Kafka')
  const directory = await mkdtemp(join(tmpdir(), 'incidents-bench-'))
  await chmod(directory, 0o755)
  const server = await startPostgres({ directory: join(directory, 'postgres'), settings: ['max_wal_size=4GB'] })
  return {
    directory,
    databaseUrl: server.url,
    brokers: kafka.services.brokers.join(','),
    registryUrl: kafka.services.registryUrl,
    stop: async () => {
      await server.stop()
      await kafka.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
