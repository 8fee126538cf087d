/** What the operational store does when its database is not as it should be, beside sinks whose places are. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replayCommand } from '../../commands/replay.ts'
import { operationalPlace } from '../../proof/stores.ts'
import { expectHeldUpAlone } from '../support/held-up.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'

const KEY = 'a key for tests only'

let settled: Settled
let store: TestDatabase
let seed = 100

beforeAll(async () => {
  store = await testDatabase()
  settled = await settledPipeline({ seed: 41, reports: 5, transactions: 10, store: store.url })
})

afterAll(async () => {
  await settled.close()
  await store.drop()
})

const endSessions = () =>
  settled.database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = '${store.name}' AND application_name = 'incidents operational'`)

async function locked(): Promise<() => Promise<unknown>> {
  const client = new pg.Client({ connectionString: store.url })
  await client.connect()
  await client.query('BEGIN; LOCK TABLE prisons.incidents_report')
  return () => client.end()
}

/** The reason that the log must give; null where nothing is wrong but time. */
type Fault = readonly [name: string, reason: RegExp | null, breakIt: () => Promise<() => Promise<unknown>>]

const FAULTS: readonly Fault[] = [
  [
    'full',
    /no space is left/,
    async () => {
      await store.query(`
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON prisons.incidents_place EXECUTE FUNCTION full_disk()`)
      return () => store.query('DROP FUNCTION full_disk CASCADE')
    },
  ],
  [
    'read-only',
    /takes reads only/,
    async () => {
      await store.query(`ALTER DATABASE ${store.name} SET default_transaction_read_only = on`)
      await endSessions()
      return () => settled.database.query(`ALTER DATABASE ${store.name} RESET ALL`)
    },
  ],
  ['slow', null, locked],
  [
    'not taking connections',
    /does not answer or refuses/,
    async () => {
      await settled.database.query(`ALTER DATABASE ${store.name} ALLOW_CONNECTIONS false`)
      await endSessions()
      return () => settled.database.query(`ALTER DATABASE ${store.name} ALLOW_CONNECTIONS true`)
    },
  ],
  [
    'of an older layout',
    /its layout is 1/,
    async () => {
      await store.query('UPDATE prisons.incidents_layout SET version = 1')
      await endSessions()
      return () => store.query('UPDATE prisons.incidents_layout SET version = 3')
    },
  ],
]

describe('a store that is', () => {
  test.for(FAULTS)(
    '%s holds up its own sink alone, status says how far it is behind, and nothing is missed when it is mended',
    async ([, reason, breakIt]) => {
      const { config } = settled
      await expectHeldUpAlone({ settled, sink: 'operational', seed: seed++, reason, breakIt })
      const other = await testDatabase()
      await replayCommand(config, { sink: 'operational', into: other.url }, new AbortController().signal)
      expect(await content(store)).toEqual(await content(other))
      await other.drop()
    },
  )
})

async function content({ url }: TestDatabase): Promise<unknown> {
  const { entities } = await operationalPlace(url, KEY)
  return [...entities].map(([entity, rows]) => [entity, [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))])
}
