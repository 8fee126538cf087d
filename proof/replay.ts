/**
 * The raw topic once more, into a sink of its own: the same rows come out as the live one holds. Which sink it is does
 * not matter: it keeps its place, so a replay that was killed goes on from there.
 */
import type { Batch, Feed } from '../core/feed.ts'
import type { IncidentChange } from '../core/incident.ts'
import { startOf, type PlacedSink, type Places } from '../core/place.ts'
import { BEGINNING, type Position } from '../core/position.ts'
import { PipelineError } from '../core/error.ts'
import { rawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { changeFeed } from '../transport/changes.ts'
import type { Received, Topic } from '../transport/topic.ts'
import { unify } from '../transforms/unify.ts'

export interface ReplayOptions {
  readonly raw: Topic
  readonly registry: Registry
  readonly sink: PlacedSink<IncidentChange>
  /** What lies before is left out; everything is replayed unless it is given. */
  readonly from?: Position
  /** By partition, where to stop; at the end of the topic unless it is given. */
  readonly until?: ReadonlyMap<number, number>
  /** Told after each write. */
  readonly progress?: (done: number, total: number) => void
  readonly signal: AbortSignal
}

export interface Replayed {
  /** Records of the topic that were read; those of before a restart are not among them. */
  readonly records: number
  /** Rows of the unified model that were handed to the sink. */
  readonly rows: number
}

/**
 * Replays what the topic holds now, one partition after the other, and resolves when the sink has it. Nothing is
 * committed for any group. IDENTITY when the sink has read another topic than this.
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const { raw, registry, sink, signal, progress, from = BEGINNING } = options
  const bounds = boundsUntil(await raw.bounds(), options.until)
  const partitions = bounds.map((_, partition) => partition)
  const places = await sink.places(partitions)
  const starts = bounds.map(({ low }, partition) => Math.max(low, nextOf(places, partition)))
  for (const [partition, { high }] of bounds.entries()) checkTopic(raw, partition, nextOf(places, partition), high)
  const total = bounds.reduce((sum, { high }, partition) => sum + Math.max(0, high - starts[partition]!), 0)
  const counted = { records: 0, rows: 0 }

  async function* records(): Feed<Received> {
    for (const [partition, { high }] of bounds.entries()) {
      let at = starts[partition]!
      while (at < high) {
        signal.throwIfAborted()
        const { records: items, next } = await raw.page(partition, at, high)
        counted.records += items.length
        at = next
        yield unacknowledged(items)
        progress?.(total - left(starts, bounds, partition, at), total)
      }
    }
  }

  const { feed } = changeFeed((assigned) => {
    assigned(places, partitions)
    return records()
  }, rawDecoder(registry))
  for await (const { items } of feed) {
    const changes = items.filter((change) => change.op === 'm' || change.position >= from).map(unify)
    if (changes.length === 0) continue
    counted.rows += changes.reduce((sum, { rows }) => sum + rows.length, 0)
    await sink.write(changes)
  }
  return counted
}

interface Bounds {
  readonly low: number
  readonly high: number
}

function boundsUntil(bounds: readonly Bounds[], until: ReplayOptions['until']): readonly Bounds[] {
  if (until === undefined) return bounds
  return bounds.map(({ low, high }, partition) => ({ low, high: Math.min(high, until.get(partition) ?? 0) }))
}

function unacknowledged<T>(items: readonly T[]): Batch<T> {
  return { items, ack: () => Promise.resolve() }
}

function nextOf(places: Places, partition: number): number {
  const place = places.get(partition)
  return place === undefined ? 0 : startOf(place)
}

function left(starts: readonly number[], bounds: readonly Bounds[], partition: number, at: number): number {
  return bounds.reduce((sum, { high }, p) => {
    if (p < partition) return sum
    return sum + Math.max(0, high - (p === partition ? at : starts[p]!))
  }, 0)
}

function checkTopic(raw: Topic, partition: number, next: number, high: number): void {
  if (next <= high) return
  throw new PipelineError(
    'IDENTITY',
    `The sink has read ${raw.name} partition ${partition} up to offset ${next}, but the topic ends at ${high}: it is not the topic that was read.`,
    'Replay into an empty place.',
  )
}
