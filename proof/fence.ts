/** What a place must have read to hold everything that was committed before an LSN. */
import type { Lsn } from '../core/position.ts'
import { lsnOf } from '../core/position.ts'
import type { RawDecoder } from '../schemas/raw-decoder.ts'
import { readTails } from '../transport/recovery.ts'
import type { Topic, Transport } from '../transport/topic.ts'
import type { Needed } from './proven-place.ts'

/** The offsets behind the markers at or behind `lsn`, as soon as every partition has one; rejects when the signal comes first. */
export async function neededFor(lsn: Lsn, raw: Topic, decoder: RawDecoder, signal: AbortSignal): Promise<Needed> {
  while (true) {
    signal.throwIfAborted()
    const tails = await readTails(raw, decoder)
    if (tails.every(({ marker }) => marker !== null && marker.snapshotDone && lsnOf(marker.position) >= lsn)) break
    await pause(signal)
  }
  const bounds = await raw.bounds()
  return new Map(bounds.entries().flatMap(([p, { low, high }]) => (high > low ? [[p, high] as const] : [])))
}

/** Whether a consumer group has committed places behind these offsets. */
export async function groupPassed(transport: Transport, group: string, raw: Topic, needed: Needed): Promise<boolean> {
  const places = await transport.committed(group, raw)
  return [...needed].every(([partition, next]) => (places.get(partition)?.next ?? 0) >= next)
}

export function pause(signal: AbortSignal, ms = 100): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
