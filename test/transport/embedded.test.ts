import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import { position } from '../../core/position.ts'
import { topicFileError } from '../../transport/embedded-file.ts'
import { embeddedTransport, type EmbeddedOptions, type EmbeddedTransport } from '../../transport/embedded.ts'
import type { Message, Received, Topic, TopicSettings } from '../../transport/topic.ts'
import { topicContract } from '../contract/topic.ts'

const DAY = 86_400_000
const MiB = 1024 * 1024
const toClose: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-topics-'))
  toClose.push(() => rmSync(directory, { recursive: true }))
  return directory
}

async function open(given: Partial<EmbeddedOptions> = {}): Promise<EmbeddedTransport> {
  const directory = given.directory ?? newDirectory()
  const transport = await embeddedTransport({ partitions: 2, maxBytes: 1024 * MiB, ...given, directory })
  toClose.push(() => transport.close())
  return transport
}

const compacted: TopicSettings = { name: 'raw', cleanup: 'compact', keptMs: DAY, maxMessageBytes: MiB }
const deleted: TopicSettings = { ...compacted, name: 'letters', cleanup: 'delete' }

topicContract('the embedded transport', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'incidents-topics-'))
  const partitions = 3
  const transport = await embeddedTransport({ directory, partitions, maxBytes: 4096 * MiB })
  return {
    transport,
    partitions,
    settings: () => ({ ...compacted, name: `t.${randomBytes(4).toString('hex')}` }),
    close: async () => {
      await transport.close()
      rmSync(directory, { recursive: true })
    },
  }
})

describe('the topic file', () => {
  test('keeps records, offsets and places over a restart', async () => {
    const directory = newDirectory()
    const first = await open({ directory })
    const topic = await first.topic(compacted)
    await topic.write([message('a', '1'), message('b', '2')])
    expect(await read(topic, 'g', 2)).toEqual(['a=1', 'b=2'])
    await first.close()

    const second = await open({ directory })
    const again = await second.topic(compacted)
    await again.write([message('c', '3')])
    expect((await second.committed('g', again)).get(0)?.next).toBe(2)
    expect(await read(again, 'g', 1)).toEqual(['c=3'])
    expect((await again.bounds())[0]).toEqual({ low: 0, high: 3 })
  })

  test('holds what write resolved for when the process is killed', async () => {
    const directory = newDirectory()
    const script = `
      import { embeddedTransport } from ${JSON.stringify(new URL('../../transport/embedded.ts', import.meta.url).href)}
      const transport = await embeddedTransport({ directory: ${JSON.stringify(directory)}, partitions: 2, maxBytes: 1e9 })
      const topic = await transport.topic(${JSON.stringify(compacted)})
      for (let n = 0; ; n++) {
        const message = { partition: 0, key: Buffer.from('k'), value: Buffer.from(String(n)), timestampMs: Date.now() }
        await topic.write([message, message])
        process.stdout.write(n + '\\n')
      }`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.length > 500) child.kill('SIGKILL')
    })
    await once(child, 'close')
    const written = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))

    const topic = await (await open({ directory })).topic(compacted)
    const records = await topic.tail(0, 1_000_000)
    expect(records.length % 2).toBe(0)
    expect(records.length).toBeGreaterThanOrEqual((written + 1) * 2)
    expect(records.map((each) => String(each.value))).toEqual(records.map((_, i) => String(Math.floor(i / 2))))
  })

  test('is for nobody but its owner: the raw topic holds rows in clear', async () => {
    const directory = newDirectory()
    await (await (await open({ directory })).topic(compacted)).write([message('a', '1')])
    for (const name of ['topics.sqlite', 'topics.sqlite-wal']) {
      expect(statSync(join(directory, name)).mode & 0o077).toBe(0)
    }
  })

  test('of a newer format is left alone', async () => {
    const directory = newDirectory()
    const db = new DatabaseSync(join(directory, 'topics.sqlite'))
    db.exec('PRAGMA user_version = 99')
    db.close()
    await expect(open({ directory })).rejects.toMatchObject({ code: 'STATE_VERSION' })
  })

  test('that is no topic file is named', async () => {
    const directory = newDirectory()
    writeFileSync(join(directory, 'topics.sqlite'), randomBytes(8192))
    await expect(open({ directory })).rejects.toMatchObject({
      code: 'SINK_FOREIGN',
      message: expect.stringContaining(join(directory, 'topics.sqlite')),
    })
  })

  test('keeps the partitions that a topic was made with', async () => {
    const directory = newDirectory()
    const first = await open({ directory })
    await first.topic(compacted)
    await first.close()
    const other = await open({ directory, partitions: 5 })
    await expect(other.topic(compacted)).rejects.toMatchObject({
      code: 'TOPIC',
      message: expect.stringMatching(/2.*5/),
    })
  })

  test('a full device and a locked file have codes of their own', () => {
    const path = join(newDirectory(), 'x.sqlite')
    const small = new DatabaseSync(path, { timeout: 0 })
    toClose.push(() => small.close())
    small.exec('CREATE TABLE t (b BLOB); PRAGMA max_page_count = 4')
    const insert = small.prepare('INSERT INTO t VALUES (?)')
    expect(failure(path, () => insert.run(randomBytes(100_000)))).toMatchObject({ code: 'DISK_FULL' })
    small.exec('BEGIN EXCLUSIVE')
    const other = new DatabaseSync(path, { timeout: 0 })
    toClose.push(() => other.close())
    expect(failure(path, () => other.exec('BEGIN IMMEDIATE'))).toMatchObject({ code: 'STATE_LOCKED' })
  })
})

test('a place beyond the end of the topic stops the reader: it is not the topic that was read', async () => {
  const topic = await (await open()).topic(compacted)
  await topic.write([message('a', '1')])
  const feed = topic.read({
    group: 'g',
    signal: AbortSignal.timeout(5000),
    aheadBytes: MiB,
    places: async () => new Map([[0, { next: 50, height: position(1, 1, 1) }]]),
  })
  await expect(feed[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'IDENTITY' })
})

test('closing the transport ends its feeds', async () => {
  const transport = await open()
  const topic = await transport.topic(compacted)
  const reading = (async () => {
    for await (const batch of topic.read({ group: 'g', signal: new AbortController().signal, aheadBytes: MiB })) {
      await batch.ack()
      void transport.close()
    }
    return 'ended'
  })()
  expect(await reading).toBe('ended')
})

describe('pruning', () => {
  const old = Date.now() - 2 * DAY

  test('a compacted topic keeps the last record of each key, once the others are old and read by all', async () => {
    const transport = await open()
    const topic = await transport.topic(compacted)
    await topic.write([message('a', '1', old), message('b', '1', old), message('a', '2', old), message('a', '3', old)])
    await read(topic, 'g', 4)
    expect(await transport.prune()).toBe(2)
    expect(await read(topic, 'fresh', 2)).toEqual(['b=1', 'a=3'])
    expect((await topic.bounds())[0]).toEqual({ low: 1, high: 4 })

    await topic.write([message('b', '2', old)])
    await read(topic, 'g', 1)
    await read(topic, 'fresh', 1)
    expect(await transport.prune()).toBe(1)
    expect(await read(topic, 'other', 2)).toEqual(['a=3', 'b=2'])
  })

  test('a tombstone goes with what it deleted', async () => {
    const transport = await open()
    const topic = await transport.topic(compacted)
    await topic.write([message('a', '1', old), message('a', null, old), message('b', '1', old)])
    await read(topic, 'g', 3)
    await transport.prune()
    expect(await read(topic, 'fresh', 1)).toEqual(['b=1'])
  })

  test('keys of different partitions and topics have nothing to do with each other', async () => {
    const transport = await open()
    const [topic, other] = [await transport.topic(compacted), await transport.topic({ ...compacted, name: 'other' })]
    await topic.write([message('a', '1', old), { ...message('a', '2', old), partition: 1 }])
    await other.write([message('a', '3', old)])
    expect(await transport.prune()).toBe(0)
  })

  test.each([
    { what: 'young records', timestampMs: Date.now(), readers: ['g'] },
    { what: 'records that one group has not read', timestampMs: old, readers: ['g', 'slow'] },
  ])('$what stay', async ({ timestampMs, readers }) => {
    for (const settings of [compacted, deleted]) {
      const transport = await open()
      const topic = await transport.topic(settings)
      await topic.write([message('a', '0', timestampMs)])
      for (const group of readers) await read(topic, group, 1)
      await topic.write([message('a', '1', timestampMs), message('a', '2', timestampMs)])
      await read(topic, 'g', 2)
      const before = await topic.tail(0, 9)
      await transport.prune()
      const kept = (await topic.tail(0, 9)).map(text)
      expect(kept.slice(-2)).toEqual(['a=1', 'a=2'])
      expect(before).toHaveLength(3)
    }
  })

  test('a group that reads only one partition so far holds the other back', async () => {
    const transport = await open()
    const topic = await transport.topic(deleted)
    await topic.write([message('a', '1', old)])
    await read(topic, 'g', 1)
    await topic.write([{ ...message('b', '1', old), partition: 1 }])
    expect(await transport.prune()).toBe(1)
    expect((await topic.tail(1, 9)).map(text)).toEqual(['b=1'])
  })

  test('a topic that deletes by age loses what is old, read or read by nobody', async () => {
    const transport = await open()
    const topic = await transport.topic(deleted)
    await topic.write([message('a', '1', old), message('b', '1', old), message('c', '1')])
    expect(await transport.prune()).toBe(2)
    expect(await topic.bounds()).toEqual([
      { low: 2, high: 3 },
      { low: 0, high: 0 },
    ])
    expect(await read(topic, 'g', 1)).toEqual(['c=1'])
  })

  test('many records go in steps that leave others their turn', async () => {
    const transport = await open()
    const topic = await transport.topic({ ...compacted, keptMs: 0 })
    for (let i = 0; i < 20; i++) await topic.write(Array.from({ length: 1000 }, () => message('k', String(i), old)))
    let longest = 0
    let last = performance.now()
    const watch = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 1)
    expect(await transport.prune()).toBe(19_999)
    clearInterval(watch)
    expect(longest).toBeLessThan(200)
  })
})

describe('the size bound', () => {
  const large = (n: number, timestampMs?: number): Message => ({
    ...message(`k${n}`, '', timestampMs),
    value: randomBytes(200_000),
  })

  test('a write beyond it waits until readers and time have made room, in order', async () => {
    const transport = await open({ maxBytes: MiB })
    const topic = await transport.topic({ ...compacted, keptMs: 0 })
    const old = Date.now() - 1000
    for (let n = 0; n < 5; n++) await topic.write([{ ...large(0, old), key: Buffer.from('same') }])
    await read(topic, 'reader', 1)
    const done: number[] = []
    const writes = [5, 6].map((n) => topic.write([large(n, old)]).then(() => done.push(n)))
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(done).toEqual([])
    expect(transport.status().fullSince).not.toBeNull()

    await read(topic, 'reader', 4)
    await Promise.all(writes)
    expect(done).toEqual([5, 6])
    expect(transport.status().fullSince).toBeNull()
    expect(transport.status().bytes).toBeLessThanOrEqual(MiB)
  })

  test('what a reader writes to get on does not wait', async () => {
    const transport = await open({ maxBytes: MiB })
    const [topic, letters] = [await transport.topic(compacted), await transport.topic(deleted)]
    for (let n = 0; n < 4; n++) await topic.write([large(n)])
    await letters.write([large(4)])
    const { sink } = await transport.process(topic, { group: 'p', signal: AbortSignal.timeout(9), aheadBytes: MiB })
    const place = { next: 1, height: position(1, 1, 1) }
    await sink.write([{ partition: 0, place, messages: [{ topic: topic.name, message: large(5) }] }])
    expect((await topic.bounds())[0]!.high).toBe(5)
  })

  test('a write that could never fit is refused at once', async () => {
    const topic = await (await open({ maxBytes: 100_000 })).topic(compacted)
    await expect(topic.write([large(0)])).rejects.toMatchObject({ code: 'TOPIC_FULL' })
  })

  test('a write that waits is refused when the transport closes', async () => {
    const transport = await open({ maxBytes: 500_000 })
    const topic = await transport.topic(compacted)
    await topic.write([large(0)])
    await topic.write([large(1)])
    const waiting = topic.write([large(2)]).catch((error: unknown) => error)
    await transport.close()
    expect(await waiting).toMatchObject({ code: 'TOPIC_FULL' })
  })
})

function message(key: string, value: string | null, timestampMs = Date.now()): Message {
  return { partition: 0, key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestampMs }
}

function text({ key, value }: Received): string {
  return `${String(key)}=${String(value)}`
}

/** Reads and acknowledges records until so many have come; a batch may hold more than are acknowledged. */
async function read(topic: Topic, group: string, count: number): Promise<string[]> {
  const seen: string[] = []
  for await (const batch of topic.read({ group, signal: AbortSignal.timeout(5000), aheadBytes: 1 })) {
    seen.push(...batch.items.map(text))
    await batch.ack()
    if (seen.length >= count) return seen
  }
  throw new Error(`${seen.length} of ${count} records came`)
}

function failure(path: string, work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return topicFileError(path, error)
  }
  throw new Error('did not fail')
}
