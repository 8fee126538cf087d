import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { embeddedStages } from '../../commands/run.ts'
import { supervise } from '../../commands/supervision.ts'
import { parseConfig } from '../../config.ts'
import { initSource } from '../../connectors/postgres/source-schema.ts'
import { logger, metrics } from '../../observability.ts'
import { analyticsDirectory, dprDirectory, embeddedRuntime, operationalUrl, type Runtime } from '../../runtime.ts'
import { expectations } from '../../proof/expected.ts'
import { governedRows } from '../../proof/place-governed.ts'
import { rawRows } from '../../proof/place-raw.ts'
import type { TopicRow } from '../../proof/place-topic.ts'
import { reconcile, type Reconciliation, type ReconcileOptions } from '../../proof/reconcile.ts'
import { sourceTables } from '../../proof/source-rows.ts'
import { scanTopic } from '../../proof/topic-scan.ts'
import { openZone, type ZoneFile, type ZonePlaces } from '../../sinks/dpr-raw-zone.ts'
import type { Topic } from '../../transport/topic.ts'
import { topics } from '../../transport/topics.ts'
import { runTransactions, seedReports } from '../../workload/load.ts'
import { random, type Random } from '../../workload/random.ts'
import { environmentOf } from '../support/agreement.ts'
import { temporaryDirectory } from '../support/capture.ts'
import { testDatabase, type TestDatabase } from '../support/postgres.ts'
import {
  prisonerId,
  tamperAnalytics,
  tamperDpr,
  tamperOperational,
  tamperTopic,
  type TopicVictims,
  type Victims,
} from '../support/tampering.ts'

/** More take longer, beside the load ever longer, since it never ends: `INCIDENTS_TRIES=25 npx vitest run ...`, again and again. */
const TRIES = Number(process.env['INCIDENTS_TRIES'] ?? 10)
const TRIES_MS = TRIES * 40_000
const ENTITY = 'PrisonerInvolvement'
const SOURCE = 'public.prisoner_involvement'

let database: TestDatabase
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let runtime: Runtime
let unified: Topic
let pool: pg.Pool
let stages: Promise<void>
const stop = new AbortController()

beforeAll(async () => {
  database = await testDatabase()
  directory = await temporaryDirectory()
  const config = parseConfig({ ...environmentOf(database, directory.path, 0), METRICS_PORT: '0' })
  await initSource(database.url, { publication: database.name })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await seedReports(client, { seed: 1, reports: 40, unknownCodes: 2 })
  await client.end()
  const log = logger('silent')
  runtime = await embeddedRuntime({ config, log, metrics: metrics() })
  const withoutApi = new Map([...embeddedStages(runtime)].filter(([name]) => name !== 'serve'))
  stages = supervise(withoutApi, log, stop.signal)
  unified = await runtime.transport.topic(topics(config.NAMESPACE).unified)
  pool = new pg.Pool({ connectionString: database.url, max: 2 })
  await reconciled()
  await runTransactions(pool, { seed: 1, transactions: 400 })
  // so that one row in five has two streamed changes, which differ under every clearance
  for (const comment of ['Seen.', 'Seen again.']) {
    await database.query('UPDATE public.prisoner_involvement SET comment = $1 WHERE id % 5 = 0', [comment])
  }
  await reconciled()
}, 400_000)

afterAll(async () => {
  stop.abort()
  await stages
  await runtime.transport.close()
  await pool.end()
  await database.drop()
  await directory.remove()
})

function reconciled(more: Partial<ReconcileOptions> = {}): Promise<Reconciliation> {
  const { config, transport, registry, raw } = runtime
  return reconcile({
    databaseUrl: database.url,
    publication: database.name,
    namespace: config.NAMESPACE,
    pseudonymKey: config.PSEUDONYM_KEY!,
    transport,
    registry,
    raw,
    unified,
    dpr: openZone({ zone: dprDirectory(config), archive: null }),
    operationalUrl: operationalUrl(config),
    analyticsDirectory: analyticsDirectory(config),
    timeoutMs: 90_000,
    signal: stop.signal,
    ...more,
  })
}

function found({ places }: Reconciliation): string[] {
  return places.flatMap(({ place, keys }) => keys.map(({ key, why }) => `${place} ${key} ${why}`)).sort()
}

describe('reconcile', () => {
  test('finds every place as the source is, and counts what could not be mapped', async () => {
    const result = await reconciled()
    expect(found(result)).toEqual([])
    const rows = Map.groupBy(result.places, ({ place }) => place)
    expect([...rows.keys()]).toEqual([
      `${database.name}.raw`,
      `${database.name}.unified`,
      'dpr-raw incidentreporting',
      'dpr-raw incidents',
      'operational',
      'analytics',
    ])
    const [source] = await database.query<{ n: string }>('SELECT count(*) AS n FROM public.prisoner_involvement')
    const prisoners = result.places.filter(({ entity }) => entity === SOURCE)
    expect(prisoners.map((each) => each.rows)).toEqual([Number(source!.n), Number(source!.n)])
    const incomplete = await database.query('SELECT FROM prisons.incidents_incomplete')
    expect(result.incomplete).toBe(incomplete.length)
  })

  test(`raises no false alarm while rows flow, ${TRIES} times out of ${TRIES}`, { timeout: TRIES_MS }, async () => {
    const load = new AbortController()
    const running = runTransactions(pool, { seed: 2, transactions: Infinity, rate: 40, signal: load.signal })
    try {
      for (let run = 0; run < TRIES; run++) {
        const result = await reconciled()
        expect(found(result), `run ${run}`).toEqual([])
      }
    } finally {
      load.abort()
      const { transactions } = await running
      expect(transactions).toBeGreaterThan(TRIES * 40)
    }
  })

  test(
    `finds and names a flipped bit, a missing, an extra and a stale row in each place, ${TRIES} times out of ${TRIES}`,
    { timeout: TRIES_MS },
    async () => {
      await reconciled()
      const rows = await prisonerRecords()
      for (let run = 0; run < TRIES; run++) {
        const chance = random(run, 'tampering')
        const victims = chooser(rows, chance)
        const copy = join(directory.path, `copy-${run}`)
        mkdirSync(copy)
        const { config } = runtime
        const damage = [
          ...(await tamperAnalytics(analyticsDirectory(config), copy, victims.rows(), chance)),
          ...(await tamperDpr(dprDirectory(config), copy, victims.rows(), chance, 'incidentreporting')),
          ...(await tamperDpr(dprDirectory(config), copy, victims.rows(), chance, 'incidents')),
        ]
        const store = await tamperOperational(database, victims.rows(), chance)
        const raw = tamperTopic(config.STATE_DIR, runtime.raw.name, victims.records('raw'), chance)
        const governed = tamperTopic(config.STATE_DIR, unified.name, victims.records('unified'), chance)
        try {
          const result = await reconciled({
            analyticsDirectory: copy,
            dpr: {
              reading: (source, table, work) => {
                const zone = table === 'prisoner_involvement' ? copy : dprDirectory(config)
                return openZone({ zone, archive: null }).reading(source, table, work)
              },
            },
          })
          const expected = [...damage, ...store.damage, ...raw.damage, ...governed.damage]
          expect(found(result), `run ${run}`).toEqual(expected.sort())
          const flips = result.places.flatMap(({ keys }) => keys).filter(({ why }) => why === 'different')
          expect(flips.map(({ columns }) => columns.length)).toEqual(flips.map(() => 1))
          expect(flips.every(({ source, place }) => source?.position != null && place !== null)).toBe(true)
        } finally {
          raw.undo()
          governed.undo()
          await store.undo()
        }
      }
    },
  )

  test('judges no place by topics that nobody has filled yet', async () => {
    const config = { ...runtime.config, STATE_DIR: join(directory.path, 'empty') }
    const empty = await embeddedRuntime({ config, log: logger('silent'), metrics: metrics() })
    try {
      const { transport, raw } = empty
      await expect(reconciled({ transport, raw, timeoutMs: 500 })).rejects.toMatchObject({
        code: 'SINK',
        message: expect.stringContaining('has not passed the end of the first snapshot within 0.5 s') as string,
      })
    } finally {
      await empty.transport.close()
    }
  })

  test('looks at some places alone, and only at rows that changed since a position', async () => {
    const { rows } = await pool.query<{ id: number; position: string }>(
      `SELECT source_key::int AS id, position FROM prisons.incidents_prisoner_involvement
       WHERE source_table = $1 ORDER BY position DESC LIMIT 1`,
      [SOURCE],
    )
    const { id, position } = rows[0]!
    const since = { position }
    const set = 'UPDATE prisons.incidents_prisoner_involvement SET prisoner_role = $2 WHERE id = $1'
    const [was] = await database.query<{ role: string }>(
      'SELECT prisoner_role AS role FROM prisons.incidents_prisoner_involvement WHERE id = $1',
      [prisonerId(id)],
    )
    await database.query(set, [prisonerId(id), 'OTHER'])
    try {
      const result = await reconciled({ since, places: ['operational'] })
      expect(found(result)).toEqual([`operational ${prisonerId(id)} different`])
      expect(result.places.map(({ place }) => place)).not.toContain('analytics')
      expect(result.places.reduce((sum, each) => sum + each.rows, 0)).toBeLessThan(2_000)
      const many = await reconciled({ since, places: ['operational'], few: 0 })
      expect(found(many)).toEqual([`operational ${prisonerId(id)} different`])
      expect(many.rows).toBeGreaterThan(2_000) // every row was read instead
    } finally {
      await database.query(set, [prisonerId(id), was!.role])
    }
  })

  test('finds in the archive what DPR’s jobs have moved there, before and while it reads (rule dpr.archive)', async () => {
    const zone = dprDirectory(runtime.config)
    const archive = join(directory.path, 'archive')
    const before = await reconciled({ places: ['dpr-raw'] })
    const move = (source: string, table: string, name: string): void => {
      const folder = join(archive, source, table)
      mkdirSync(folder, { recursive: true })
      renameSync(join(zone, 'raw', source, table, name), join(folder, name))
    }
    for (const path of readdirSync(join(zone, 'raw'), { recursive: true, encoding: 'utf8' })) {
      const [source, table, name] = path.split('/')
      if (name?.startsWith('LOAD') === true) move(source!, table!, name)
    }
    const places: ZonePlaces = { zone, archive }
    const seen = new Set<string>()
    let moves = 0
    const moving = {
      reading: <T>(source: string, table: string, work: (files: readonly ZoneFile[]) => Promise<T>) =>
        openZone(places).reading(source, table, (files) => {
          const oldest = files.find(({ path }) => path.startsWith(zone))
          const isFirst = seen.size < seen.add(`${source}/${table}`).size
          if (isFirst && oldest !== undefined) {
            move(source, table, oldest.name)
            moves += 1
          }
          return work(files)
        }),
    }
    const after = await reconciled({ places: ['dpr-raw'], dpr: moving })
    expect(found(after)).toEqual([])
    expect(moves).toBeGreaterThan(10)
    const held = (result: Reconciliation) => result.places.reduce((sum, { rows }) => sum + rows, 0)
    expect(held(after)).toBeGreaterThanOrEqual(held(before))
    const without = await reconciled({ places: ['dpr-raw'] })
    expect(without.differing).toBeGreaterThan(100)
    expect(new Set(without.places.flatMap(({ keys }) => keys).map(({ why }) => why))).toEqual(new Set(['missing']))
  })
})

type Records = ReadonlyMap<number, readonly TopicRow[]>

/** Of every prisoner that exists: the records in both topics, by the source's id. */
async function prisonerRecords(): Promise<{ raw: Records; unified: Records }> {
  const { registry, raw, config } = runtime
  const tables = await sourceTables(database.url, database.name)
  const expected = expectations(tables, config.PSEUDONYM_KEY!)
  const unreadable = (): void => {}
  const inRaw = await recordsOf(raw, rawRows({ registry, tables, unreadable })())
  const projections = expected.projections.unified
  const inUnified = await recordsOf(unified, governedRows({ registry, projections, unreadable })())
  const existing = await database.query<{ id: number }>('SELECT id FROM public.prisoner_involvement ORDER BY id')
  const kind = expected.kinds('table').indexOf(SOURCE)
  const entity = expected.kinds('unified').indexOf(ENTITY)
  return {
    raw: new Map(existing.map(({ id }) => [id, inRaw.get(`${kind} ${id}`) ?? []])),
    unified: new Map(existing.map(({ id }) => [id, inUnified.get(`${entity} ${prisonerId(id)}`) ?? []])),
  }
}

async function recordsOf(
  topic: Topic,
  read: (records: Parameters<Parameters<typeof scanTopic>[0]['take']>[0]) => Promise<readonly TopicRow[]>,
): Promise<Map<string, TopicRow[]>> {
  const all: TopicRow[] = []
  await scanTopic({ topic, take: async (records) => void all.push(...(await read(records))) })
  return Map.groupBy(all, ({ kind, key }) => `${kind} ${key}`)
}

/** Hands out rows, each once. */
function chooser({ raw, unified: governed }: { raw: Records; unified: Records }, chance: Random) {
  const ids = chance.sample([...raw.keys()], raw.size)
  const isStreamed = (id: number): boolean =>
    [raw, governed].every((topic) => (topic.get(id)!.at(-2)?.at.txId ?? 0) > 0)
  const streamed = ids.filter(isStreamed)
  const others = ids.filter((id) => !isStreamed(id) && governed.get(id)!.length > 0)
  const rows = (): Victims => ({
    different: others.pop()!,
    missing: others.pop()!,
    extra: others.pop()!,
    stale: streamed.pop()!,
  })
  return {
    rows,
    records: (topic: 'raw' | 'unified'): TopicVictims => {
      const victims = rows()
      const of = (id: number) => {
        const records = (topic === 'raw' ? raw : governed).get(id)!
        return { key: topic === 'raw' ? String(id) : prisonerId(id), records: records.map(({ record }) => record) }
      }
      const newest = governed.get(victims.different)!.at(-1)!
      const role = newest.cells!.find((cell) => cell !== null && /^[A-Z]+(_[A-Z]+)*$/.test(cell) && cell.length > 5)!
      return {
        different: { ...of(victims.different), text: role },
        missing: of(victims.missing),
        stale: of(victims.stale),
      }
    },
  }
}
