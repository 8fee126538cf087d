/** What a place must have read to hold everything that was committed before an LSN, and waiting until it has. */
import { PipelineError } from '../core/error.ts'
import { lsnOf, lsnText, type Lsn } from '../core/position.ts'
import { rawDecoder, type RawDecoder } from '../schemas/raw-decoder.ts'
import type { Registry } from '../schemas/registry.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import type { Needed, ProvenPlace } from './proven-place.ts'
import { pause } from '../core/pause.ts'

export interface Waiting {
  readonly raw: Topic
  readonly registry: Registry
  /** Of each wait. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

const POLL_MS = 100

/** {@link neededFor}, at 0 as soon as the first snapshot is whole; SINK when the raw topic has no such markers within the time. */
export async function neededOrTold(fence: Lsn, waiting: Waiting): Promise<Needed> {
  const signal = limited(waiting)
  try {
    return await neededFor(fence, waiting.raw, rawDecoder(waiting.registry), signal)
  } catch (error) {
    waiting.signal.throwIfAborted()
    if (signal.aborted) throw behind(waiting.raw.name, fence, waiting.timeoutMs)
    throw error
  }
}

/** SINK when the place has not passed within the time. */
export async function untilPassed(place: ProvenPlace, needed: Needed, waiting: Waiting): Promise<void> {
  const signal = limited(waiting)
  while (!(await place.passed(needed))) {
    waiting.signal.throwIfAborted()
    if (signal.aborted) throw behind(place.name, null, waiting.timeoutMs)
    await pause(POLL_MS, signal)
  }
}

/** Whether the place passes an LSN before the signal comes. */
export async function passes(
  place: ProvenPlace,
  lsn: Lsn,
  { raw, registry }: Waiting,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const needed = await neededFor(lsn, raw, rawDecoder(registry), signal)
    while (!(await place.passed(needed))) {
      if (signal.aborted) return false
      await pause(POLL_MS, signal)
    }
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

/** Each wait has the time of its own: reading the rows takes as long as they are many. */
export function limited({ signal, timeoutMs }: Waiting): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
}

/** Whether a consumer group has committed places behind these offsets. */
export async function groupPassed(transport: Transport, group: string, raw: Topic, needed: Needed): Promise<boolean> {
  const places = await transport.committed(group, raw)
  return [...needed].every(([partition, next]) => (places.get(partition)?.next ?? 0) >= next)
}

/**
 * Where a reader of each partition has everything before `lsn`, as soon as every partition has a marker at or behind it;
 * rejects when the signal comes first.
 */
async function neededFor(lsn: Lsn, raw: Topic, decoder: RawDecoder, signal: AbortSignal): Promise<Needed> {
  while (true) {
    signal.throwIfAborted()
    const markers = (await readTails(raw, decoder)).map(({ marker }) => marker)
    if (markers.every((marker) => marker !== null && marker.snapshotDone && lsnOf(marker.position) >= lsn)) {
      const ends = markers.map(async (marker): Promise<[number, number]> => {
        const { partition, offset } = marker!
        return [partition, await behindChanges(raw, decoder, partition, offset)]
      })
      return new Map(await Promise.all(ends))
    }
    await pause(POLL_MS, signal)
  }
}

/** How many records before a marker are looked at: a marker comes every few seconds where nothing else does. */
const LOOK = 200

/**
 * Where the last change before a marker ends. Nobody has to have read the markers behind it: they change no row, and a
 * place that publishes now and then would be waited for because of them alone.
 */
async function behindChanges(raw: Topic, decoder: RawDecoder, partition: number, marker: number): Promise<number> {
  const records = await raw.tail(partition, LOOK)
  const changes = await decoder.decode(records.filter(({ offset }) => offset < marker))
  const last = changes.findLast(({ op }) => op !== 'm')
  return last === undefined ? Math.min(marker, records[0]?.offset ?? marker) : last.offset + 1
}

function fenceText(fence: Lsn | null): string {
  if (fence === null) return 'the fence'
  return fence === 0 ? 'the end of the first snapshot' : lsnText(fence)
}

function behind(place: string, fence: Lsn | null, timeoutMs: number): PipelineError {
  return new PipelineError(
    'SINK',
    `${place} has not passed ${fenceText(fence)} within ${timeoutMs / 1000} s, so nothing can be said of it`,
    'See `incidents status`: start what is not running, or allow more time with --timeout.',
  )
}
