/** Reading an embedded topic as a feed. Records are read when the reader asks: none wait for a slow one. */
import { setImmediate } from 'node:timers/promises'
import { PipelineError } from '../core/error.ts'
import type { Batch, Feed } from '../core/feed.ts'
import { startOf, type Places } from '../core/place.ts'
import type { Log, Logs } from './embedded-log.ts'
import type { Turn, Wakers } from './embedded-wakers.ts'
import type { ReadOptions, Received } from './topic.ts'

/** SQLite answers synchronously: what is read before others get their turn, some 5 ms. */
const PAGE_BYTES = 1024 * 1024
/** A keepalive comes at least every second. */
const KEEPALIVE_MS = 800

export interface Reading {
  readonly topic: string
  readonly logs: readonly Log[]
  readonly store: Pick<Logs, 'page' | 'low'>
  readonly wakers: Wakers
  readonly options: Pick<ReadOptions, 'group' | 'signal' | 'aheadBytes' | 'assigned'>
  places(partitions: readonly number[]): Places | Promise<Places>
  ack(partition: number, next: number): void
}

/** All partitions are with one reader of a group; the next one of the group waits until that has ended. */
export async function* readEmbedded(reading: Reading): Feed<Received> {
  const { topic, logs, wakers, options } = reading
  const { signal, group } = options
  const turn = wakers.queue(topic, group)
  try {
    yield* standBy(turn, reading)
    if (signal.aborted) return
    const partitions = logs.map((log) => log.partition)
    const places = await reading.places(partitions)
    if (signal.aborted) return
    const cursors = logs.map((log) => firstOf(log, places, reading))
    options.assigned?.(places, partitions)

    for (let first = 0; !signal.aborted; first = (first + 1) % logs.length) {
      const items = readPage(reading, cursors, first)
      if (items.length === 0) {
        await wakers.wait(topic, signal, KEEPALIVE_MS)
        if (signal.aborted) return
        if (logs.some((log) => cursors[log.partition]! < log.next)) continue
      }
      yield { items, ack: acknowledger(reading, items) }
      await setImmediate() // timers and sockets get their turn between two pages
    }
  } finally {
    turn.leave()
  }
}

async function* standBy(turn: Turn, { topic, wakers, options: { signal } }: Reading): Feed<Received> {
  while (!signal.aborted && !turn.isFirst()) {
    await wakers.wait(topic, signal, KEEPALIVE_MS)
    if (!signal.aborted && !turn.isFirst()) yield { items: [], ack: () => Promise.resolve() }
  }
}

function firstOf(log: Log, places: Places, { topic, store, options }: Reading): number {
  const place = places.get(log.partition)
  if (place === undefined) return store.low(log)
  if (place.next <= log.next) return startOf(place)
  throw new PipelineError(
    'IDENTITY',
    `Group ${options.group} has read ${topic} partition ${log.partition} up to offset ${place.next}, but the topic ends at ${log.next}: it is not the topic that was read.`,
    'Restore the state directory that belongs to the sinks, or accept the topic as it is with `incidents source adopt`.',
  )
}

/** Every partition from its cursor on, the first one first, until the page is full; the cursors move behind it. */
function readPage({ logs, store, options }: Reading, cursors: number[], first: number): Received[] {
  const items: Received[] = []
  let left = Math.min(options.aheadBytes, PAGE_BYTES)
  for (let i = 0; i < logs.length && left > 0; i++) {
    const log = logs[(first + i) % logs.length]!
    if (cursors[log.partition]! >= log.next) continue
    const { records, bytes } = store.page(log, cursors[log.partition]!, left)
    const last = records.at(-1)
    cursors[log.partition] = last === undefined ? log.next : last.offset + 1
    left -= bytes
    for (const record of records) items.push(record)
  }
  return items
}

function acknowledger(reading: Reading, items: readonly Received[]): Batch<Received>['ack'] {
  return () => {
    const next = new Map<number, number>()
    for (const item of items) next.set(item.partition, item.offset + 1)
    for (const [partition, offset] of next) reading.ack(partition, offset)
    return Promise.resolve()
  }
}
