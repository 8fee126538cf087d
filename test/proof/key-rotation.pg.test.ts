/**
 * Rotating PSEUDONYM_KEY end to end: the old governed topic stands beside the new one while its readers move, nothing
 * mixes two keys unnoticed, and at the end every place agrees with the source under the new key alone.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayCommand } from '../../commands/replay.ts'
import { openSink } from '../../pipeline.ts'
import type { Place } from '../../proof/place.ts'
import { prove } from '../../proof/proof.ts'
import { analyticsPlace } from '../../proof/stores.ts'
import { unifiedPlace } from '../../proof/topics.ts'
import { topicsOf } from '../../runtime.ts'
import { pseudonym } from '../../schemas/policy/projection.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'

const OLD = 'a key for tests only'
const NEW = 'k2=the second secret key'
const never = new AbortController().signal

let settled: Settled
/** What the two keys make of everybody whom the source names. */
let persons: { readonly old: readonly string[]; readonly new: readonly string[] }

beforeAll(async () => {
  settled = await settledPipeline({ seed: 31, reports: 6, transactions: 60 })
  const rows = await settled.database.query<{ person: string }>(
    `SELECT prisoner_number AS person FROM public.prisoner_involvement UNION SELECT reported_by FROM public.report`,
  )
  persons = {
    old: rows.map(({ person }) => pseudonym(OLD, person)),
    new: rows.map(({ person }) => pseudonym(NEW, person)),
  }
})

afterAll(() => settled.close())

const text = ({ entities }: Place): string => JSON.stringify([...entities].map(([name, rows]) => [name, [...rows]]))

const found = (place: Place, pseudonyms: readonly string[]): number => {
  const all = text(place)
  return pseudonyms.filter((each) => all.includes(each)).length
}

async function unified(name: string): Promise<Place> {
  const { transport, registry, config } = settled.runtime
  const topic = await transport.topic({ ...topicsOf(config).unified, name })
  return unifiedPlace(topic, registry, NEW, `${config.NAMESPACE}.test`)
}

const analytics = (key: string) => analyticsPlace(settled.config.ANALYTICS_DIR!, key)

test('a new key: both topics side by side, analytics rebuilt, and every place agrees with the source', async () => {
  const config = { ...settled.config, PSEUDONYM_KEY: NEW }
  const live = topicsOf(config).unified.name
  const next = `${live}-k2`
  expect(found(await unified(live), persons.old)).toBeGreaterThan(10)
  expect(found(await analytics(OLD), persons.old)).toBeGreaterThan(10)

  await expect(openSink(config, 'analytics')).rejects.toMatchObject({
    code: 'SINK_FOREIGN',
    message: expect.stringContaining('another key') as string,
    remedy: expect.stringContaining('filled anew from the raw topic') as string,
  })
  expect(await replayCommand(config, { sink: 'unified', rebuild: true, into: next }, never)).toBe(0)
  expect(await replayCommand(config, { sink: 'analytics', rebuild: true }, never)).toBe(0)

  const before = text(await unified(live))
  await settled.run(20, { PSEUDONYM_KEY: NEW, UNIFIED_TOPIC: next })
  expect(text(await unified(live)), 'its readers move when they are ready').toBe(before)
  for (const place of [await unified(next), await analytics(NEW)]) {
    expect(found(place, persons.old)).toBe(0)
    expect(found(place, persons.new)).toBeGreaterThan(10)
  }
  const { database, runtime } = settled
  const proof = await prove({
    databaseUrl: database.url,
    publication: database.name,
    namespace: config.NAMESPACE,
    pseudonymKey: NEW,
    registry: runtime.registry,
    raw: runtime.raw,
    unified: await runtime.transport.topic({ ...topicsOf(config).unified, name: next }),
    dprDirectory: config.DPR_DIR!,
    operationalUrl: database.url,
    analyticsDirectory: config.ANALYTICS_DIR!,
  })
  expect(proof.places.filter(({ differing }) => differing > 0)).toEqual([])
  expect(proof.places.length).toBeGreaterThan(30)
})
