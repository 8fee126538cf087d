/** One PostgreSQL for the whole run; test files make databases of their own in it (support/postgres.ts). */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../../workload/postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
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
