import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replayCommand } from '../../commands/replay.ts'
import { map, type Feed } from '../../core/feed.ts'
import type { Output, Received } from '../../core/message.ts'
import type { Place } from '../../proof/place.ts'
import { unifiedPlace } from '../../proof/topics.ts'
import { topicsOf } from '../../runtime.ts'
import { deadLetterCodec } from '../../schemas/dead-letter.ts'
import { eventCodec } from '../../schemas/events.ts'
import { governedCodec } from '../../schemas/governed.ts'
import { rawDecoder } from '../../schemas/raw-decoder.ts'
import { governedTopics } from '../../sinks/governed.ts'
import { unify } from '../../transforms/unify.ts'
import { changeFeed } from '../../transport/changes.ts'
import { random } from '../../workload/random.ts'
import { settledPipeline, type Settled } from '../support/settled.ts'

const KEY = 'a key for tests only'
const never = new AbortController().signal

let settled: Settled

beforeAll(async () => {
  settled = await settledPipeline({ seed: 23, reports: 6, transactions: 60 })
})

afterAll(() => settled.close())

/** The raw topic in batches of any size, its partitions in any order among each other. */
async function* cut(chance: ReturnType<typeof random>): Feed<Received> {
  const { raw } = settled.runtime
  const ends = (await raw.bounds()).map(({ low, high }) => ({ at: low, high }))
  while (ends.some(({ at, high }) => at < high)) {
    const partition = chance.int(0, ends.length - 1)
    const end = ends[partition]!
    if (end.at >= end.high) continue
    const { records, next } = await raw.page(partition, end.at, Math.min(end.high, end.at + chance.int(1, 80)))
    end.at = next
    yield { items: records, ack: () => Promise.resolve() }
  }
}

/** What one run over the raw topic leaves in each partition of each governed topic, as one digest. */
async function digest(run: number): Promise<string> {
  const { registry, raw, config } = settled.runtime
  const names = topicsOf(config)
  const hashes = new Map<string, ReturnType<typeof createHash>>()
  const sink = governedTopics({
    rows: await governedCodec(registry, { topic: names.unified.name, pseudonymKey: KEY }),
    events: await eventCodec(registry, names.events.name),
    letters: await deadLetterCodec(registry, names.deadLetters.name),
    topics: {
      raw: raw.name,
      unified: names.unified.name,
      events: names.events.name,
      deadLetters: names.deadLetters.name,
    },
    target: { write: (outputs: readonly Output[]) => Promise.resolve(outputs.forEach((each) => add(each, hashes))) },
  })
  const { feed } = changeFeed((assigned) => {
    assigned(new Map(), [])
    return cut(random(run, 'cuts'))
  }, rawDecoder(registry))
  for await (const { items } of map(feed, unify)) if (items.length > 0) await sink.write(items)
  return JSON.stringify(
    [...hashes].map(([topic, hash]) => `${topic} ${hash.digest('hex')}`).toSorted((a, b) => (a < b ? -1 : 1)),
  )
}

function add({ messages }: Output, hashes: Map<string, ReturnType<typeof createHash>>): void {
  for (const { topic, message } of messages) {
    const name = `${topic}/${message.partition}`
    const hash = hashes.get(name) ?? createHash('sha256')
    hashes.set(
      name,
      hash
        .update(message.key)
        .update(message.value ?? 'tombstone')
        .update(String(message.timestampMs)),
    )
  }
}

test('the same raw topic gives the same bytes in every governed topic, however it is cut: 20 runs', async () => {
  const digests = new Set<string>()
  for (let run = 1; run <= 20; run++) digests.add(await digest(run))
  expect(digests.size).toBe(1)
  expect((JSON.parse([...digests][0]!) as unknown[]).length).toBeGreaterThan(6)
})

describe('the governed topic anew under another name', () => {
  const rebuild = (into: string) => replayCommand(settled.config, { sink: 'unified', rebuild: true, into }, never)
  const into = () => `${settled.config.NAMESPACE}.unified-2`
  const folded = async (name: string): Promise<unknown> => {
    const { transport, registry, config } = settled.runtime
    const topic = await transport.topic({ ...topicsOf(config).unified, name })
    const { entities }: Place = await unifiedPlace(topic, registry, KEY, `${config.NAMESPACE}.test`)
    return [...entities].map(([entity, rows]) => [entity, [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))])
  }

  test('holds what the live one holds, and unify goes on in it without a gap', async () => {
    expect(await rebuild(into())).toBe(0)
    const live = topicsOf(settled.config).unified.name
    expect(await folded(into())).toEqual(await folded(live))
    const before = await folded(live)
    await settled.run(20, { UNIFIED_TOPIC: into() })
    expect(await folded(live)).toEqual(before)
    await rebuild(`${into()}-again`)
    expect(await folded(`${into()}-again`)).toEqual(await folded(into()))
  })

  test('is refused where there is something already', async () => {
    await expect(rebuild(topicsOf(settled.config).unified.name)).rejects.toMatchObject({ code: 'CONFIG' })
  })
})
