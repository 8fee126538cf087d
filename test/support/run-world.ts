/** A seeded source, and `incidents run` over it as a process, with the commands that are given beside it. */
import pg from 'pg'
import { expect } from 'vitest'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { EXIT } from '../../core/error.ts'
import type { Reconciliation } from '../../proof/reconcile.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { freePort } from '../../workload/postgres.ts'
import { environmentOf } from './agreement.ts'
import { temporaryDirectory } from './capture.ts'
import { runCommand, startCommand, type Ended, type RunningCommand } from './command.ts'
import { comparePlaces } from './places.ts'
import { testDatabase, type TestDatabase } from './postgres.ts'

export interface RunWorld {
  readonly database: TestDatabase
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** `incidents run`; ended with the world if it still runs then. */
  start(): RunningCommand
  /** Ends a run as its operator does. */
  stop(command: RunningCommand): Promise<void>
  /** So many transactions of the workload. */
  live(seed: number, transactions: number): Promise<void>
  incidents(...args: readonly string[]): Promise<Ended>
  /** What a command prints with `--json`, when it ends so. */
  printed(code: number, ...args: readonly string[]): Promise<unknown>
  /** What `reconcile` names, when it ends so. */
  differing(code: number): Promise<readonly { readonly place: string; readonly key: string; readonly why: string }[]>
  /** Waits until every place has what the source has, ends the run, and expects each of them equal. */
  expectEqual(command: RunningCommand): Promise<void>
  count(table: string): Promise<number>
  close(): Promise<void>
}

export async function runWorld(reports: number): Promise<RunWorld> {
  const database = await testDatabase()
  const directory = await temporaryDirectory()
  const environment = environmentOf(database, directory.path, await freePort())
  const running: RunningCommand[] = []
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports })
  await client.end()

  const incidents = (...args: readonly string[]): Promise<Ended> => runCommand(args, environment)

  async function stop(command: RunningCommand): Promise<void> {
    command.signal('SIGTERM')
    expect((await command.ended).code).toBe(EXIT.done)
  }

  async function printed(code: number, ...args: readonly string[]): Promise<unknown> {
    const ended = await incidents(...args, '--json')
    expect({ code: ended.code, stderr: ended.code === code ? '' : ended.stderr }).toEqual({ code, stderr: '' })
    return JSON.parse(ended.stdout)
  }

  return {
    database,
    directory: directory.path,
    environment,
    start: () => {
      const command = startCommand(['run'], { ...environment, LOG_LEVEL: 'info' })
      running.push(command)
      return command
    },
    stop,
    live: async (seed, transactions) => {
      const pool = new pg.Pool({ connectionString: database.url, max: 2 })
      try {
        await runTransactions(pool, { seed, transactions })
      } finally {
        await pool.end()
      }
    },
    incidents,
    printed,
    differing: async (code) => {
      const { places } = (await printed(code, 'reconcile')) as Reconciliation
      return places.flatMap(({ place, keys }) => keys.map(({ key, why }) => ({ place, key, why })))
    },
    expectEqual: async (command) => {
      const places = await comparePlaces(environment, () => stop(command))
      expect(places.filter((each) => each.differing > 0)).toEqual([])
      expect(places.reduce((sum, each) => sum + each.rows, 0)).toBeGreaterThan(1_000)
    },
    count: async (table) => Number((await database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]!.n),
    close: async () => {
      for (const command of running) command.signal('SIGKILL')
      await Promise.all(running.map(({ ended }) => ended))
      await directory.remove()
      await database.drop()
    },
  }
}
