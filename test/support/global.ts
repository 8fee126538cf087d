/**
 * One PostgreSQL for the whole run; test files make databases of their own in it (support/postgres.ts). And, when one of
 * the files to run needs them, one Kafka and one schema registry (support/kafka.ts).
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../../workload/postgres.ts'
import { startKafkaServices } from './kafka-services.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [postgres, kafka] = await Promise.allSettled([
    providePostgres(project),
    (await needsKafka(project)) ? startKafkaServices() : Promise.resolve(null),
  ])
  const stop = async (): Promise<void> => {
    if (postgres.status === 'fulfilled') await postgres.value()
    if (kafka.status === 'fulfilled') await kafka.value?.stop()
  }
  for (const each of [postgres, kafka]) {
    if (each.status === 'fulfilled') continue
    await stop()
    throw each.reason
  }
  project.provide('kafka', kafka.status === 'fulfilled' ? (kafka.value?.services ?? null) : null)
  return stop
}

async function providePostgres(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_POSTGRES_URL']
  if (given !== undefined) {
    project.provide('postgresUrl', given)
    return async () => {}
  }
  const directory = await mkdtemp(join(tmpdir(), 'incidents-test-'))
  await chmod(directory, 0o755) // PostgreSQL never runs as root: its own user must be able to come this way
  const server = await startPostgres({
    directory: join(directory, 'pg'),
    settings: ['fsync=off', 'max_connections=200', 'max_replication_slots=60', 'max_wal_senders=60'],
  })
  project.provide('postgresUrl', server.url)
  return async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Whether one of the files that this run was asked for does. */
async function needsKafka(project: TestProject): Promise<boolean> {
  const { filenamePattern } = project.vitest as unknown as { filenamePattern?: string[] }
  const { testFiles } = await project.globTestFiles(filenamePattern)
  return testFiles.some((file) => file.endsWith('.kafka.test.ts'))
}
