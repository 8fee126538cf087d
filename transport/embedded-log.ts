/** Appending to and reading from the logs of the topic file. */
import type { SQLOutputValue } from 'node:sqlite'
import { LOG_SPAN, type TopicFile } from './embedded-file.ts'
import type { Message, Received } from './topic.ts'

/** One partition of one topic. `next` is kept in memory, and taken anew by who writes: a command may have written too. */
export interface Log {
  readonly id: number
  readonly topic: string
  readonly partition: number
  next: number
  cleaned: number
}

export interface Logs {
  /** A topic's logs by partition; none when it does not exist. */
  of(topic: string): Log[]
  /** Takes over how far the writing process is, where that is another one. */
  refresh(topic: string, logs: readonly Log[]): void
  /** Inside a transaction. */
  create(topic: string, partitions: number): void
  /** Inside a transaction; the logs' `next` moves with `commit`, once the transaction is through. */
  append(logs: readonly Log[], messages: readonly Message[]): { commit(): void }
  /** Records from an offset on until they reach `maxBytes`, at least one when there is one, or the offset `to` (exclusive). */
  page(log: Log, from: number, maxBytes: number, to?: number): { readonly records: Received[]; readonly bytes: number }
  last(log: Log, count: number): Received[]
  /** The first offset still kept; `next` when the log is empty. */
  low(log: Log): number
}

type Column = SQLOutputValue

export function openLogs(file: TopicFile): Logs {
  const { db } = file
  const find = db.prepare('SELECT id, topic, partition, next, cleaned FROM log WHERE topic = ? ORDER BY partition')
  const make = db.prepare('INSERT INTO log (topic, partition, next, cleaned) VALUES (?, ?, 0, 0)')
  const insert = db.prepare('INSERT INTO record (id, time, key, value) VALUES (?, ?, ?, ?)')
  const advance = db.prepare('UPDATE log SET next = ? WHERE id = ?')
  const sizes = db.prepare(
    'SELECT id, time, length(key), length(value) FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?',
  )
  const bytes = db.prepare(`
    SELECT CAST(group_concat(CAST(key AS TEXT) || coalesce(CAST(value AS TEXT), ''), '') AS BLOB)
    FROM (SELECT key, value FROM record WHERE id >= ? AND id <= ? ORDER BY id)`)
  const backward = db.prepare(
    'SELECT id, time, key, value FROM record WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?',
  )
  const lowest = db.prepare('SELECT min(id) AS id FROM record WHERE id >= ? AND id < ?')
  sizes.setReturnArrays(true)
  bytes.setReturnArrays(true)
  backward.setReturnArrays(true)

  /** Of the last page that was read: as many records as one of this size has are asked for at once. */
  let bytesOfRecord = 500

  /** Up to the record with which `maxBytes` are reached. One by one they would take three times as long. */
  function sizesOf(first: number, end: number, maxBytes: number): Sizes {
    const found: Size[] = []
    let total = 0
    let next = first
    while (true) {
      const limit = 1 + Math.max(0, Math.ceil((maxBytes - total) / bytesOfRecord))
      const some = sizes.all(next, end, limit) as unknown as Size[]
      for (const size of some) {
        found.push(size)
        total += size[2] + (size[3] ?? 0)
        if (total >= maxBytes) break
      }
      if (found.length > 0) bytesOfRecord = Math.max(1, total / found.length)
      if (total >= maxBytes || some.length < limit) return { found, total }
      next = some.at(-1)![0] + 1
    }
  }

  return {
    of: (topic) => file.guard(() => find.all(topic)) as unknown as Log[],
    refresh: (topic, logs) => {
      for (const { partition, next } of file.guard(() => find.all(topic)) as unknown as Log[]) {
        const log = logs[partition]
        if (log !== undefined) log.next = next
      }
    },
    create: (topic, partitions) => {
      for (let partition = 0; partition < partitions; partition++) make.run(topic, partition)
    },
    append: (logs, messages) => {
      const written = find.all(logs[0]!.topic) as unknown as Log[]
      const next = logs.map((log) => written[log.partition]?.next ?? log.next)
      for (const { partition, key, value, timestampMs } of messages) {
        const log = logs[partition]
        if (log === undefined) throw new RangeError(`partition ${partition} of ${logs.length}`)
        insert.run(log.id * LOG_SPAN + next[partition]!, timestampMs, key, value)
        next[partition]! += 1
      }
      for (const log of logs) if (next[log.partition] !== log.next) advance.run(next[log.partition]!, log.id)
      return {
        commit: () => {
          for (const log of logs) log.next = next[log.partition]!
        },
      }
    },
    // all bytes of a page at once: two arrays for each record would cost more than what becomes of them
    page: (log, from, maxBytes, to = log.next) =>
      file.snapshot(() => {
        const base = log.id * LOG_SPAN
        const { found, total } = sizesOf(base + from, base + to, maxBytes)
        if (found.length === 0) return { records: [], bytes: 0 }
        const [whole] = bytes.get(base + from, found.at(-1)![0]) as unknown as [Uint8Array]
        return { records: parted(log, found, buffer(whole)), bytes: total }
      }),
    last: (log, count) =>
      file.guard(() => {
        const base = log.id * LOG_SPAN
        const rows = backward.all(base, base + log.next, count) as unknown as Column[][]
        return rows.reverse().map((row) => received(log, row))
      }),
    low: (log) =>
      file.guard(() => {
        const base = log.id * LOG_SPAN
        const first = lowest.get(base, base + log.next)!['id'] as number | null
        return first === null ? log.next : first - base
      }),
  }
}

/** Of a record: id, time, and the lengths of key and value. */
type Size = readonly [id: number, time: number, key: number, value: number | null]

interface Sizes {
  readonly found: readonly Size[]
  readonly total: number
}

function parted(log: Log, sizes: readonly Size[], whole: Buffer): Received[] {
  let at = 0
  const take = (length: number): Buffer => whole.subarray(at, (at += length))
  return sizes.map(([id, timestampMs, key, value]) => ({
    partition: log.partition,
    offset: id - log.id * LOG_SPAN,
    key: take(key),
    value: value === null ? null : take(value),
    timestampMs,
  }))
}

function received(log: Log, [id, time, key, value]: Column[]): Received {
  return {
    partition: log.partition,
    offset: (id as number) - log.id * LOG_SPAN,
    key: buffer(key as Uint8Array),
    value: value === null ? null : buffer(value as Uint8Array),
    timestampMs: time as number,
  }
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
