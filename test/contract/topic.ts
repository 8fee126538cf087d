/** What transport/topic.ts promises, run against every transport. */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Batch } from '../../core/feed.ts'
import type { Place, Places } from '../../core/place.ts'
import { BEGINNING, position } from '../../core/position.ts'
import type {
  Message,
  Output,
  Processor,
  ReadOptions,
  Received,
  Topic,
  TopicSettings,
  Transport,
} from '../../transport/topic.ts'
import { pause } from '../../core/pause.ts'

export interface OpenTransport {
  readonly transport: Transport
  /** Settings of a topic that does not exist yet. */
  settings(): TopicSettings
  /** Of every topic; at least 2. */
  readonly partitions: number
  close(): Promise<void>
}

const MiB = 1024 * 1024
/** How long a record may take to arrive before a test gives up: a first assignment by a broker takes seconds. */
const PATIENCE_MS = 25_000

export function topicContract(name: string, open: () => Promise<OpenTransport>): void {
  describe(`${name} keeps what a topic promises`, () => {
    let opened: OpenTransport
    let groups = 0

    beforeAll(async () => {
      opened = await open()
    })
    afterAll(async () => {
      await opened.close()
    })

    const newTopic = (given: Partial<TopicSettings> = {}): Promise<Topic> =>
      opened.transport.topic({ ...opened.settings(), maxMessageBytes: 16 * MiB, ...given })
    const newGroup = (): string => `group-${process.pid}-${Date.now()}-${(groups += 1)}`

    test('order is kept per partition and offsets rise', async () => {
      const topic = await newTopic()
      for (let i = 0; i < 300; i += 100) {
        await topic.write(numbered(100, (n) => (i + n) % topic.partitions, i))
      }
      const records = await readOn(topic, newGroup(), 300)
      for (let partition = 0; partition < topic.partitions; partition++) {
        const here = records.filter((record) => record.partition === partition)
        const expected = Array.from({ length: 300 }, (_, n) => n).filter((n) => n % topic.partitions === partition)
        expect(here.map(numberOf)).toEqual(expected)
        expect(rising(here.map((record) => record.offset))).toBe(true)
      }
    })

    test('keys, values and times come back as they were written', async () => {
      const topic = await newTopic()
      const timestampMs = Date.now() - 1234
      const written: Message[] = [
        { partition: 1, key: Buffer.from([0, 255, 1, 128]), value: randomBytes(300), timestampMs },
        { partition: 1, key: Buffer.from('tombstone'), value: null, timestampMs: timestampMs + 1 },
        { partition: 1, key: Buffer.from('empty'), value: Buffer.alloc(0), timestampMs },
        { partition: 1, key: randomBytes(2000), value: randomBytes(MiB), timestampMs: timestampMs - 86_400_000 },
        { partition: 1, key: Buffer.from('last'), value: randomBytes(MiB), timestampMs },
      ]
      await topic.write(written)
      const records = await readOn(topic, newGroup(), written.length)
      expect(records.map(plain)).toEqual(written.map(plain))
    })

    test('an empty write does nothing', async () => {
      const topic = await newTopic()
      await topic.write([])
      expect((await topic.bounds()).map(({ low, high }) => high - low)).toEqual(Array(topic.partitions).fill(0))
    })

    test('a group reads on where it acknowledged', async () => {
      const topic = await newTopic()
      const group = newGroup()
      await topic.write(numbered(10))
      expect((await readOn(topic, group, 10)).map(numberOf)).toEqual(range(0, 10))
      await topic.write(numbered(5, onFirst, 10))
      expect((await readOn(topic, group, 5)).map(numberOf)).toEqual(range(10, 15))
    })

    test('what was not acknowledged is read again', async () => {
      const topic = await newTopic()
      const group = newGroup()
      await topic.write(numbered(10))
      await readOn(topic, group, 10)
      await topic.write(numbered(5, onFirst, 10))
      expect((await readOn(topic, group, 5, { ack: false })).map(numberOf)).toEqual(range(10, 15))
      expect((await readOn(topic, group, 5)).map(numberOf)).toEqual(range(10, 15))
    })

    test('groups know nothing of each other', async () => {
      const topic = await newTopic()
      await topic.write(numbered(10))
      const [one, other] = [newGroup(), newGroup()]
      expect(await readOn(topic, one, 10)).toHaveLength(10)
      expect(await readOn(topic, other, 10)).toHaveLength(10)
    })

    test('the places that a group committed can be asked for', async () => {
      const topic = await newTopic()
      const group = newGroup()
      expect(await opened.transport.committed(group, topic)).toEqual(new Map())
      await topic.write(numbered(10))
      const records = await readOn(topic, group, 10)
      const place = (await opened.transport.committed(group, topic)).get(0)
      expect(place?.next).toBe(records.at(-1)!.offset + 1)
      expect(place?.height).toBe(BEGINNING)
    })

    test('a sink that keeps its own place decides where reading starts, whatever was acknowledged', async () => {
      const topic = await newTopic()
      const group = newGroup()
      await topic.write([...numbered(10), ...numbered(4, () => 1)])
      const offsets = (await readOn(topic, group, 14)).filter((each) => each.partition === 0).map((each) => each.offset)
      const kept: Places = new Map([[0, { next: offsets[7]!, height: position(1, 4096, 7) }]])
      const asked: number[] = []
      const records = await readOn(topic, group, 7, {
        places: (partitions) => {
          asked.push(...partitions)
          return Promise.resolve(new Map([...kept].filter(([partition]) => partitions.includes(partition))))
        },
      })
      const [first, second] = [0, 1].map((p) => records.filter((each) => each.partition === p).map(numberOf))
      expect(first).toEqual([7, 8, 9])
      expect(second).toEqual([0, 1, 2, 3])
      expect(new Set(asked)).toEqual(new Set(range(0, topic.partitions)))
    })

    test('an assignment is told, with its places, before its first record', async () => {
      const topic = await newTopic()
      const group = newGroup()
      await topic.write([...numbered(3), ...numbered(3, () => 1)])
      const height = position(1, 8192, 3)
      const told: [Places, readonly number[]][] = []
      let before = 0
      await readOn(topic, group, 5, {
        places: (partitions) =>
          Promise.resolve(partitions.includes(1) ? new Map([[1, { next: 1, height }]]) : new Map<number, Place>()),
        assigned: (places, partitions) => told.push([places, partitions]),
        each: (batch) => {
          const partitions = new Set(told.flatMap(([, assigned]) => [...assigned]))
          before += batch.items.filter((record) => !partitions.has(record.partition)).length
        },
      })
      expect(before).toBe(0)
      expect(told.flatMap(([, partitions]) => [...partitions]).toSorted((a, b) => a - b)).toEqual(
        range(0, topic.partitions),
      )
      expect(told.map(([places]) => places.get(1)).find((place) => place !== undefined)).toEqual({ next: 1, height })
    })

    test('an idle topic gives an empty batch at least every second', async () => {
      const topic = await newTopic()
      await topic.write(numbered(1))
      const stop = new AbortController()
      const gaps: number[] = []
      let last: number | null = null
      for await (const batch of topic.read({ group: newGroup(), signal: stop.signal, aheadBytes: MiB })) {
        await batch.ack()
        if (last !== null) gaps.push(performance.now() - last)
        last = performance.now()
        if (gaps.length === 4) break
      }
      expect(Math.max(...gaps)).toBeLessThan(1500)
      expect(Math.max(...gaps)).toBeGreaterThan(20) // idle, not spinning
    })

    test('a slow reader does not make the process swallow the topic', async () => {
      const topic = await newTopic()
      for (let i = 0; i < 100; i += 4) await topic.write(large(4, i))
      const stop = new AbortController()
      const before = bufferBytes()
      let seen = 0
      let waiting = 0
      let largest = 0
      for await (const batch of topic.read({ group: newGroup(), signal: stop.signal, aheadBytes: 4 * MiB })) {
        if (batch.items.length === 0) continue
        largest = Math.max(largest, bytesOf(batch))
        if (seen === 0) {
          await pause(1500)
          waiting = bufferBytes() - before
        }
        seen += batch.items.length
        await batch.ack()
        if (seen >= 100) break
      }
      expect(seen).toBe(100)
      expect(waiting).toBeLessThan(40 * MiB)
      expect(largest).toBeLessThanOrEqual(12 * MiB)
    })

    test('records written while a reader waits arrive, in order', async () => {
      const topic = await newTopic()
      const writing = (async () => {
        for (let i = 0; i < 400; i += 4) {
          await topic.write(numbered(4, (n) => n % 2, i))
          if (i % 40 === 0) await pause(5)
        }
      })()
      const records = await readOn(topic, newGroup(), 400)
      await writing
      for (const partition of [0, 1]) {
        const here = records.filter((each) => each.partition === partition).map(numberOf)
        expect(here).toEqual(range(0, 400).filter((n) => n % 2 === partition))
      }
    })

    test('a record reaches a waiting reader within a second', async () => {
      const topic = await newTopic()
      const stop = new AbortController()
      let writtenAt: number | null = null
      let keepalives = 0
      for await (const batch of topic.read({ group: newGroup(), signal: stop.signal, aheadBytes: MiB })) {
        await batch.ack()
        if (batch.items.length > 0) break
        keepalives += 1
        if (keepalives !== 2) continue
        writtenAt = performance.now()
        void topic.write(numbered(1))
      }
      expect(performance.now() - writtenAt!).toBeLessThan(1000)
    })

    test('readers of one group cover every partition together, and what one leaves the other takes', async () => {
      const topic = await newTopic()
      const group = newGroup()
      const seen = new Set<number>()
      const first = background(topic, group, seen)
      const second = background(topic, group, seen)
      await topic.write(numbered(40, (n) => n % topic.partitions))
      await until(() => seen.size === 40)
      await first.stop()
      await topic.write(numbered(40, (n) => n % topic.partitions, 40))
      await until(() => seen.size === 80)
      await second.stop()
      expect([...seen].toSorted((a, b) => a - b)).toEqual(range(0, 80))
    })

    test('the tail is the last records of a partition, oldest first', async () => {
      const topic = await newTopic()
      await topic.write([...numbered(50), ...numbered(2, () => 1)])
      expect((await topic.tail(0, 5)).map(numberOf)).toEqual(range(45, 50))
      expect((await topic.tail(0, 50)).map(numberOf)).toEqual(range(0, 50))
      expect((await topic.tail(1, 5)).map(numberOf)).toEqual([0, 1])
      const last = await topic.tail(0, 1)
      expect(last.map((each) => each.offset + 1)).toEqual([(await topic.bounds())[0]!.high])
      const empty = await newTopic()
      expect(await empty.tail(0, 5)).toEqual([])
    })

    test('pages give a part of a partition, each record once, outside any group', async () => {
      const topic = await newTopic()
      await topic.write([...numbered(50), ...numbered(2, () => 1)])
      const read = async (from: number, to: number): Promise<number[]> => {
        const found: number[] = []
        for (let at = from; at < to;) {
          const { records, next } = await topic.page(0, at, to)
          expect(next).toBeGreaterThan(at)
          found.push(...records.map(numberOf))
          at = next
        }
        return found
      }
      expect(await read(0, 50)).toEqual(range(0, 50))
      expect(await read(7, 8)).toEqual([7])
      expect(await read(20, 45)).toEqual(range(20, 45))
      expect(await read(48, 99)).toEqual([48, 49])
      expect(await topic.page(1, 2, 9)).toEqual({ records: [], next: 9 })
    })

    test('the bounds are the first offset kept and the next one, by partition', async () => {
      const topic = await newTopic()
      expect(await topic.bounds()).toEqual(Array(topic.partitions).fill({ low: 0, high: 0 }))
      await topic.write(numbered(7, () => 1))
      const bounds = await topic.bounds()
      expect(bounds).toHaveLength(topic.partitions)
      expect(bounds[0]).toEqual({ low: 0, high: 0 })
      expect(bounds[1]).toEqual({ low: 0, high: 7 })
    })

    test('a topic that exists is opened, not made anew', async () => {
      const settings = { ...opened.settings(), maxMessageBytes: 16 * MiB }
      await (await opened.transport.topic(settings)).write(numbered(3))
      const again = await opened.transport.topic(settings)
      expect(again.name).toBe(settings.name)
      expect(again.partitions).toBe(opened.partitions)
      expect((await again.tail(0, 9)).map(numberOf)).toEqual([0, 1, 2])
    })

    test.each(['idle', 'in the middle of records'])('abort ends the feed at once and cleanly: %s', async (when) => {
      const topic = await newTopic()
      const stop = new AbortController()
      if (when !== 'idle') for (let i = 0; i < 20; i += 4) await topic.write(large(4, i))
      let abortedAt = 0
      for await (const batch of topic.read({ group: newGroup(), signal: stop.signal, aheadBytes: 2 * MiB })) {
        if (abortedAt > 0 || (when !== 'idle' && batch.items.length === 0)) continue
        abortedAt = performance.now()
        stop.abort()
      }
      expect(abortedAt).toBeGreaterThan(0)
      expect(performance.now() - abortedAt).toBeLessThan(2000)
    })

    test('a feed that is asked for after the abort ends without a record', async () => {
      const topic = await newTopic()
      await topic.write(numbered(3))
      const records: Received[] = []
      for await (const batch of topic.read({ group: newGroup(), signal: AbortSignal.abort(), aheadBytes: MiB })) {
        records.push(...batch.items)
      }
      expect(records).toEqual([])
    })

    test('a processor commits its outputs and its place together', async () => {
      const [source, left, right] = await Promise.all([newTopic(), newTopic(), newTopic()])
      const group = newGroup()
      await source.write([...numbered(6), ...numbered(4, () => 1)])
      await processOn(opened.transport, source, group, 10, (items) => outputs(items, [left, right]))
      for (const topic of [left, right]) {
        const copied = await readOn(topic, newGroup(), 10)
        expect(copied.filter((each) => each.partition === 0).map(numberOf)).toEqual(range(0, 6))
        expect(copied.filter((each) => each.partition === 1).map(numberOf)).toEqual(range(0, 4))
      }
      const committed = await opened.transport.committed(group, source)
      expect(committed.get(0)).toEqual({ next: 6, height: heightOf(5) })
      expect(committed.get(1)).toEqual({ next: 4, height: heightOf(3) })
    })

    test('what a processor read but did not write comes again, and nothing of it was written', async () => {
      const [source, left, right] = await Promise.all([newTopic(), newTopic(), newTopic()])
      const group = newGroup()
      await source.write(numbered(6))
      await processOn(opened.transport, source, group, 6, (items) => outputs(items, [left, right]))
      await source.write(numbered(4, onFirst, 6))
      expect((await processOn(opened.transport, source, group, 4, () => [])).map(numberOf)).toEqual(range(6, 10))
      const told: Places[] = []
      const again = await processOn(opened.transport, source, group, 4, (items) => outputs(items, [left, right]), {
        assigned: (places) => told.push(places),
      })
      expect(again.map(numberOf)).toEqual(range(6, 10))
      expect(told.map((places) => places.get(0)).find((place) => place !== undefined)).toEqual({
        next: 6,
        height: heightOf(5),
      })
      for (const topic of [left, right]) {
        expect((await readOn(topic, newGroup(), 10)).map(numberOf)).toEqual(range(0, 10))
      }
    })

    test('outputs of which one cannot be written are not written at all, and the place stays', async () => {
      const [source, left, right] = await Promise.all([newTopic(), newTopic(), newTopic({ maxMessageBytes: MiB })])
      const group = newGroup()
      await source.write(numbered(3))
      const tooLarge: Message = {
        partition: 0,
        key: Buffer.from('large'),
        value: randomBytes(3 * MiB),
        timestampMs: Date.now(),
      }
      const failing = processOn(opened.transport, source, group, 3, (items) =>
        outputs(items, [left]).map((output) => ({
          ...output,
          messages: [...output.messages, { topic: right.name, message: tooLarge }],
        })),
      )
      await expect(failing).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
      expect((await opened.transport.committed(group, source)).get(0)).toBeUndefined()
      const again = await processOn(opened.transport, source, group, 3, (items) => outputs(items, [left, right]))
      expect(again.map(numberOf)).toEqual([0, 1, 2])
      for (const topic of [left, right]) {
        expect((await readOn(topic, newGroup(), 3)).map(numberOf)).toEqual([0, 1, 2])
      }
    })

    test('a place can be committed without outputs', async () => {
      const source = await newTopic()
      const group = newGroup()
      await source.write(numbered(3))
      await processOn(opened.transport, source, group, 3, (items) => outputs(items, []))
      expect((await opened.transport.committed(group, source)).get(0)).toEqual({ next: 3, height: heightOf(2) })
    })

    test('a place inside a transaction is read on from the transaction’s first record', async () => {
      const source = await newTopic()
      const group = newGroup()
      await source.write(numbered(6))
      const place = { next: 5, height: heightOf(4), resume: 3 }
      await processOn(opened.transport, source, group, 6, () => [{ partition: 0, place, messages: [] }])
      expect((await opened.transport.committed(group, source)).get(0)).toEqual(place)
      const told: Places[] = []
      const again = await processOn(opened.transport, source, group, 3, (items) => outputs(items, []), {
        assigned: (places) => told.push(places),
      })
      expect(again.map(numberOf)).toEqual([3, 4, 5])
      expect(told.map((places) => places.get(0)).find((each) => each !== undefined)).toEqual(place)
      expect((await opened.transport.committed(group, source)).get(0)).toEqual({ next: 6, height: heightOf(5) })
    })

    test('the tail finds the last records whatever transactions leave between them', async () => {
      const [source, target] = await Promise.all([newTopic(), newTopic()])
      await source.write(numbered(8))
      await processOn(opened.transport, source, newGroup(), 8, (items) => outputs(items, [target]), { pieces: true })
      expect((await target.tail(0, 3)).map(numberOf)).toEqual([5, 6, 7])
      expect((await target.tail(0, 20)).map(numberOf)).toEqual(range(0, 8))
    })

    test('abort ends a processor at once and cleanly', async () => {
      const source = await newTopic()
      const stop = new AbortController()
      const processor = await opened.transport.process(source, {
        group: newGroup(),
        signal: stop.signal,
        aheadBytes: MiB,
      })
      let abortedAt = 0
      for await (const _ of processor.feed) {
        if (abortedAt > 0) continue
        abortedAt = performance.now()
        stop.abort()
      }
      expect(abortedAt).toBeGreaterThan(0)
      expect(performance.now() - abortedAt).toBeLessThan(2000)
    })
  })
}

interface ReadOn extends Partial<Pick<ReadOptions, 'places' | 'assigned'>> {
  readonly ack?: boolean
  readonly each?: (batch: Batch<Received>) => void
}

/** Reads until `count` records have come, acknowledging each batch, then closes the feed. */
async function readOn(topic: Topic, group: string, count: number, options: ReadOn = {}): Promise<Received[]> {
  const { ack = true, each, ...rest } = options
  const records: Received[] = []
  const giveUp = AbortSignal.timeout(PATIENCE_MS)
  for await (const batch of topic.read({ group, signal: giveUp, aheadBytes: 4 * MiB, ...rest })) {
    each?.(batch)
    records.push(...batch.items)
    if (ack) await batch.ack()
    if (records.length >= count) return records
  }
  throw new Error(`${records.length} of ${count} records came within ${PATIENCE_MS} ms`)
}

interface ProcessOn extends Partial<Pick<ReadOptions, 'assigned'>> {
  /** One record a write. */
  readonly pieces?: boolean
}

/** Processes until `count` records have come, writing what `convert` makes of them, then closes the processor. */
async function processOn(
  transport: Transport,
  source: Topic,
  group: string,
  count: number,
  convert: (items: readonly Received[]) => readonly Output[],
  options: ProcessOn = {},
): Promise<Received[]> {
  const { pieces = false, ...rest } = options
  const giveUp = AbortSignal.timeout(PATIENCE_MS)
  const processor: Processor = await transport.process(source, { group, signal: giveUp, aheadBytes: 4 * MiB, ...rest })
  const records: Received[] = []
  for await (const batch of processor.feed) {
    records.push(...batch.items)
    for (const items of pieces ? batch.items.map((item) => [item]) : [batch.items]) {
      const made = convert(items)
      if (made.length > 0) await processor.sink.write(made)
    }
    await batch.ack()
    if (records.length >= count) return records
  }
  throw new Error(`${records.length} of ${count} records came within ${PATIENCE_MS} ms`)
}

/** Each record copied to each topic, and the place behind it. */
function outputs(items: readonly Received[], to: readonly Topic[]): Output[] {
  return [...Map.groupBy(items, (item) => item.partition)].map(([partition, records]) => ({
    partition,
    place: { next: records.at(-1)!.offset + 1, height: heightOf(numberOf(records.at(-1)!)) },
    messages: records.flatMap((message) => to.map((topic) => ({ topic: topic.name, message }))),
  }))
}

const heightOf = (n: number) => position(1, 0x1000 + n, 1)
const onFirst = (): number => 0

function numbered(count: number, partition: (n: number) => number = onFirst, from = 0): Message[] {
  return Array.from({ length: count }, (_, n) => ({
    partition: partition(n),
    key: Buffer.from(`key-${from + n}`),
    value: Buffer.from(String(from + n)),
    timestampMs: Date.now(),
  }))
}

function large(count: number, from: number): Message[] {
  return numbered(count, onFirst, from).map((message) => ({ ...message, value: randomBytes(MiB) }))
}

function numberOf(record: Message): number {
  return Number(String(record.value))
}

function plain({ partition, key, value, timestampMs }: Message) {
  return { partition, key: key.toString('hex'), value: value?.toString('hex') ?? null, timestampMs }
}

function bytesOf(batch: Batch<Received>): number {
  return batch.items.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

function rising(numbers: readonly number[]): boolean {
  return numbers.every((n, i) => i === 0 || n > numbers[i - 1]!)
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > end) throw new Error(`did not come true within ${PATIENCE_MS} ms`)
    await pause(10)
  }
}

/** A reader beside the test that notes the numbers it sees. */
function background(topic: Topic, group: string, seen: Set<number>): { stop(): Promise<void> } {
  const stop = new AbortController()
  const running = (async () => {
    for await (const batch of topic.read({ group, signal: stop.signal, aheadBytes: MiB })) {
      for (const record of batch.items) seen.add(numberOf(record))
      await batch.ack()
    }
  })()
  return {
    stop: async () => {
      stop.abort()
      await running
    },
  }
}

let collect: (() => void) | null = null

/** Memory in buffers that somebody still holds. */
function bufferBytes(): number {
  if (collect === null) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  return process.memoryUsage().arrayBuffers
}
