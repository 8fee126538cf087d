/** How the topics stand, and how far each of the raw topic's readers is. */
import { lsnOf } from '../core/position.ts'
import type { Places } from '../core/place.ts'
import { topicsOf, type Runtime } from '../runtime.ts'
import { rawDecoder, type RawDecoder } from '../schemas/raw-decoder.ts'
import { SINKS } from '../sinks/names.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic } from '../transport/topic.ts'
import { recordCounter } from '../proof/record-count.ts'

export type Reader = 'unify' | (typeof SINKS)[number]
const READERS: readonly Reader[] = ['unify', ...SINKS]

/** How far one of them is. */
export interface ReaderNow {
  /** Records that it has taken, and those that it has not. */
  readonly passed: number
  readonly behind: number
  /** When the oldest that it has not taken was written; null when there is none. */
  readonly oldest: number | null
  /** Up to which it has taken every partition that it is behind in; null when it is in none, or has taken nothing. */
  readonly lsn: number | null
}

export interface TopicsNow {
  readonly rawHigh: number
  readonly governedHigh: number
  readonly deadLetters: number
  readonly capturedTo: { readonly lsn: number; readonly at: number } | null
  readonly snapshotDone: boolean
  readonly readers: ReadonlyMap<Reader, ReaderNow>
}

/** Gives how they stand each time; rejects when they cannot be read. */
export function topicsReader({ config, transport, registry, raw }: Runtime): () => Promise<TopicsNow> {
  const decoder = rawDecoder(registry)
  const names = topicsOf(config)
  const opened: Promise<readonly Topic[]> = Promise.all([
    transport.topic(names.unified),
    transport.topic(names.events),
    transport.topic(names.deadLetters),
  ])
  opened.catch(() => {})
  let countLetters: (() => Promise<number>) | null = null
  return async (): Promise<TopicsNow> => {
    const [unified, events, letters] = await opened
    const bounds = await raw.bounds()
    const [unifiedBounds, eventBounds] = await Promise.all([unified!, events!].map((topic) => topic.bounds()))
    countLetters ??= recordCounter(letters!)
    const tails = await readTails(raw, decoder)
    const markers = tails.flatMap(({ marker }) => (marker === null ? [] : [marker]))
    const oldest = markers.toSorted((a, b) => (a.position < b.position ? -1 : 1))[0]
    const readers = await Promise.all(
      READERS.map(async (reader) => {
        const places = await transport.committed(`${config.NAMESPACE}.${reader}`, raw)
        return [reader, await readerOf(raw, decoder, bounds, places)] as const
      }),
    )
    return {
      rawHigh: sum(bounds.map(({ high }) => high)),
      governedHigh: sum([...unifiedBounds!, ...eventBounds!].map(({ high }) => high)),
      deadLetters: await countLetters(),
      capturedTo:
        oldest === undefined || markers.length < tails.length
          ? null
          : { lsn: lsnOf(oldest.position), at: oldest.committedAt / 1000 },
      snapshotDone: markers.length === tails.length && markers.every(({ snapshotDone }) => snapshotDone),
      readers: new Map(readers),
    }
  }
}

async function readerOf(
  raw: Topic,
  decoder: RawDecoder,
  bounds: Awaited<ReturnType<Topic['bounds']>>,
  places: Places,
): Promise<ReaderNow> {
  const next = bounds.map(({ low }, partition) => Math.max(low, places.get(partition)?.next ?? 0))
  const behind = bounds.map(({ high }, partition) => Math.max(0, high - next[partition]!))
  const ends = await Promise.all(
    behind.map(async (records, partition) => {
      if (records === 0) return null
      // the last that it has taken, and the first that it has not
      const at = next[partition]!
      const page = await raw.page(partition, Math.max(0, at - 1), at + 1)
      const taken = page.records.filter(({ offset }) => offset < at)
      const [change] = await decoder.decode(taken)
      return {
        oldest: page.records.find(({ offset }) => offset >= at)?.timestampMs ?? null,
        lsn: change === undefined ? 0 : lsnOf(change.position),
      }
    }),
  )
  const waiting = ends.filter((end) => end !== null)
  const known = waiting.flatMap(({ oldest }) => (oldest === null ? [] : [oldest]))
  return {
    passed: sum([...places.values()].map((place) => place.next)),
    behind: sum(behind),
    oldest: known.length === 0 ? null : Math.min(...known),
    lsn: waiting.length === 0 ? null : Math.min(...waiting.map(({ lsn }) => lsn)) || null,
  }
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}
